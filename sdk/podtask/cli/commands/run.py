"""`podtask run`: a flow from its file, on any backend; or TaskRuns of a YAML file on this machine (--local).

What the flow returns goes to stdout, what happens meanwhile to stderr. Before: `flow_files`, `run_local`.
"""

from __future__ import annotations

import os
import sys
import traceback
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from podtask.cli.commands.submit import create, stay
from podtask.cli.common import flow_files, output
from podtask.cli.common import in_cluster as incluster
from podtask.cli.common.exits import CommandEnded, CommandFailed, Exit, outcome
from podtask.cli.common.options import with_session
from podtask.cli.common.session import Session, note
from podtask.core.api.names import State
from podtask.errors import FlowTimedOut, ParameterTypeError, PodtaskError, RunError
from podtask.inspection.task_run import KIND_PREFIX

if TYPE_CHECKING:
    from podtask import Flow

BACKENDS = ("local", "process", "kubernetes")


@click.command()
@click.argument("place", required=False, metavar="[FILE.py:FLOW]")
@click.option("--param", "params", multiple=True, help="An argument, NAME=VALUE; the value is JSON, or else a text.")
@click.option("--on", "backend", type=click.Choice(BACKENDS), help="Where tasks run; else PODTASK_BACKEND, or here.")
@click.option("--in-cluster", is_flag=True, help="Let a pod drive the flow: it goes on without this machine.")
@click.option("--image", help="With --in-cluster: image of the driver; it needs podtask[kubernetes].")
@click.option("--wait", is_flag=True, help="With --in-cluster: wait for the end; the exit status is the outcome.")
@click.option("--logs", is_flag=True, help="With --in-cluster: print what the driver prints, then as --wait.")
@click.option("-f", "--filename", help="With --local: a file with TaskRuns instead of a flow.")
@click.option("--local", is_flag=True, help="Run the TaskRuns of the file here, by the same rules, with no cluster.")
@with_session
def run(
    session: Session,
    place: str | None,
    *,
    params: tuple[str, ...],
    backend: str | None,
    in_cluster: bool,
    image: str | None,
    wait: bool,
    logs: bool,
    filename: str | None,
    local: bool,
) -> None:
    """Run a flow of a Python file, or the TaskRuns of a YAML file on this machine."""
    if filename is not None:
        if place or params or backend or in_cluster or not local:
            raise CommandFailed(
                "-f FILE goes with --local and nothing else; on the cluster: podtask submit -f FILE.", Exit.USAGE
            )
        _file(filename)
        return
    if place is None or local:
        raise CommandFailed("Which flow? podtask run FILE.py:FLOW, or podtask run -f taskrun.yaml --local.", Exit.USAGE)
    if in_cluster:
        if backend is not None:
            raise CommandFailed("--in-cluster drives on Kubernetes; leave --on out.", Exit.USAGE)
        _in_cluster(session, place, flow_files.parameters(params), image, wait=wait, logs=logs)
        return
    if image or wait or logs:
        raise CommandFailed("--image, --wait and --logs go with --in-cluster.", Exit.USAGE)
    session.pass_on()
    _flow(place, flow_files.parameters(params), backend)


def _flow(place: str, arguments: dict[str, Any], backend: str | None) -> None:
    _, flow = _loaded(place)
    flow_files.fits(flow, arguments)
    if backend is not None:
        os.environ["PODTASK_BACKEND"] = backend  # for subflows too
        flow = flow.with_options(backend=backend)
    try:
        value = flow(**arguments)
        if flow.isasync:
            import asyncio

            value = asyncio.run(value)
    except Exception as error:
        if isinstance(error, PodtaskError) and not isinstance(error, (RunError, FlowTimedOut)) and not _users(error):
            # It has not come to the user's program: a setting, the cluster, an argument.
            wrong = Exit.USAGE if isinstance(error, ParameterTypeError) else Exit.FAILED
            raise CommandFailed(str(error), wrong) from error
        # The user's own program failed: its traceback is the answer, as of `python FILE.py`.
        traceback.print_exception(error)
        raise CommandEnded(Exit.RUN_FAILED) from error
    if value is not None:
        output.out(output.value(value))


def _loaded(place: str) -> tuple[str, Flow[..., Any]]:
    """See `flow_files.load`. What the file itself raises is the user's, and told as `python FILE.py` tells it."""
    try:
        return flow_files.load(place)
    except CommandFailed:
        raise
    except Exception as error:
        traceback.print_exception(error.with_traceback(_users(error)))
        raise CommandEnded(Exit.FAILED) from error


def _users(error: Exception) -> TracebackType | None:
    """The traceback from where the user's own code begins; None where it has not come to that."""
    from podtask_runner.hashing import modules

    trace = error.__traceback__
    while trace is not None:
        if modules.is_own(str(trace.tb_frame.f_globals.get("__name__", "")), trace.tb_frame.f_code.co_filename):
            return trace
        trace = trace.tb_next
    return None


def _in_cluster(session: Session, place: str, arguments: dict[str, Any], image: str | None, **stays: Any) -> None:
    attribute, flow = _loaded(place)
    flow_files.fits(flow, arguments)
    driver_image, bundle = image or _driver_image(session), _bundle(session, flow, place)
    made = create(session, incluster.manifest(place, flow, attribute, arguments, driver_image, bundle))
    output.out(f"{KIND_PREFIX}{made.name} created")
    note(f"podtask: its TaskRuns: podtask list --flow-run {made.flow_run}{session.where}")
    stay(session, [made], **stays)


def _bundle(session: Session, flow: Flow[..., Any], place: str) -> dict[str, Any] | None:
    """The project that the flow belongs to, as a field of the driver's TaskRun. Raises `NoBucket`."""
    from podtask import Task
    from podtask.backends.kubernetes.code_fields import bundle_field
    from podtask.payloads.module_policy import policy_of
    from podtask.payloads.project import text

    project = policy_of(Task(flow.fn)).project()
    bundle = project.bundle()
    if not bundle.collected.sources:
        return None
    where, named = place.partition(":")[0], [place.partition(":")[0]]
    if where.endswith(".py"):
        named = [each.name for each in text.read(Path(where).read_bytes(), "__main__", package=False).imports]
    bucket = session.bucket(session.namespace)
    return bundle_field(bucket, bundle, project.reach(named), f"The project of flow '{flow.name}'")


def _driver_image(session: Session) -> str:
    """What the chart publishes. Raises `CommandFailed`."""
    from podtask.core.api.names import CLIENT_CONFIG_MAP
    from podtask.kube.client_config import client_config

    published = partial(session.cluster.api.config_map, name=CLIENT_CONFIG_MAP)
    found = client_config(session.namespace, published, "driverImage")
    if found is not None:
        return found["driverImage"]
    raise CommandFailed(
        "Drivers in the cluster are not switched on, or it is not published: helm upgrade podtask charts/podtask "
        f"--reuse-values --set 'driver.enabled=true,driver.namespaces={{{session.namespace}}}'; or name an image with "
        "podtask[kubernetes]: --image."
    )


def _file(path: str) -> None:
    from podtask.cli.common import manifest_files, run_local

    states = run_local.run(manifest_files.read(path))
    for name, state in states.items():
        if state.is_completed():
            value = state.result
            output.out(f"{name} {output.state(state.name)}: {output.value(value)}")
        else:
            output.out(f"{name} {output.state(state.name)}")
            note(f"podtask: {name}: {state.message}")
    sys.stdout.flush()
    raise CommandEnded(outcome(State(state.name) for state in states.values()))
