"""`podtask run`: a flow from its file, on any backend; or TaskRuns of a YAML file on this machine (--local).

What the flow returns goes to stdout, what happens meanwhile to stderr. Before: `flowfiles`, `locally`.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import Any

import click

from podtask.cli import flowfiles, printers
from podtask.cli.failures import CommandFailed, Ended, Exit, outcome
from podtask.cli.options import debug
from podtask.cli.session import note
from podtask.core.names import State

BACKENDS = ("local", "process", "kubernetes")


@click.command()
@click.argument("place", required=False, metavar="[FILE.py:FLOW]")
@click.option("--param", "params", multiple=True, help="An argument, NAME=VALUE; the value is JSON, or else a text.")
@click.option("--on", "backend", type=click.Choice(BACKENDS), help="Where tasks run; else PODTASK_BACKEND, or here.")
@click.option("-n", "--namespace", help="Namespace of the TaskRuns, with --on kubernetes.")
@click.option("-f", "--filename", help="With --local: a file with TaskRuns instead of a flow.")
@click.option("--local", is_flag=True, help="Run the TaskRuns of the file here, by the same rules, with no cluster.")
@debug
def run(
    *,
    place: str | None,
    params: tuple[str, ...],
    backend: str | None,
    namespace: str | None,
    filename: str | None,
    local: bool,
) -> None:
    """Run a flow of a Python file, or the TaskRuns of a YAML file on this machine."""
    if filename is not None:
        if place or params or backend or not local:
            raise CommandFailed(
                "-f FILE goes with --local and nothing else; on the cluster: podtask submit -f FILE.", Exit.USAGE
            )
        _file(filename)
        return
    if place is None or local:
        raise CommandFailed("Which flow? podtask run FILE.py:FLOW, or podtask run -f taskrun.yaml --local.", Exit.USAGE)
    if namespace is not None:
        os.environ["PODTASK_NAMESPACE"] = namespace
    _flow(place, flowfiles.parameters(params), backend)


def _flow(place: str, arguments: dict[str, Any], backend: str | None) -> None:
    flow = flowfiles.load(place)
    flowfiles.fits(flow, arguments)
    if backend is not None:
        os.environ["PODTASK_BACKEND"] = backend  # for subflows too
        flow = flow.with_options(backend=backend)
    try:
        value = flow(**arguments)
        if flow.isasync:
            import asyncio

            value = asyncio.run(value)
    except Exception as error:
        # The user's own program failed: its traceback is the answer, as of `python FILE.py`.
        traceback.print_exception(error)
        raise Ended(Exit.RUN_FAILED) from error
    if value is not None:
        printers.out(printers.value(value))


def _file(path: str) -> None:
    from podtask.cli import locally, manifests

    states = locally.run(manifests.read(path))
    for name, state in states.items():
        if state.is_completed():
            value = state.result
            sys.stdout.write(f"{name} {printers.state(state.name)}: {printers.value(value)}\n")
        else:
            sys.stdout.write(f"{name} {printers.state(state.name)}\n")
            note(f"podtask: {name}: {state.message}")
    sys.stdout.flush()
    raise Ended(outcome(State(state.name) for state in states.values()))
