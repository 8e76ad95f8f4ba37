"""The command: which checks, in which order, and what becomes of one that breaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import click

from podtask.cli.common import output as printers
from podtask.cli.common.exits import CommandEnded, Exit, sentence
from podtask.cli.common.options import DURATION, debug, with_session
from podtask.cli.common.session import Session, note
from podtask.cli.doctor import cluster as of_cluster
from podtask.cli.doctor import owner as of_owner
from podtask.cli.doctor import parameters as of_parameters
from podtask.cli.doctor import store as of_store
from podtask.cli.doctor import trial as of_trial
from podtask.cli.doctor.findings import Finding, Severity, document, failed, line, skipped
from podtask.errors import PodtaskError

Check = Callable[[], Iterator[Finding]]


@click.group("doctor", invoke_without_command=True)
@click.option("--no-trial", is_flag=True, help="Start no TaskRun.")
@click.option("--image", help="Image for the trial instead of the default runner image.")
@click.option("--timeout", type=DURATION, default=90.0, show_default=True, help="Seconds for the trial.")
@click.option("-o", "--output", type=click.Choice(["json"]), help="Form of the output.")
@click.pass_context
@with_session
def doctor(
    session: Session, ctx: click.Context, *, no_trial: bool, image: str | None, timeout: float, output: str | None
) -> None:
    """Check everything between here and a TaskRun's pod, each with a cure."""
    if ctx.invoked_subcommand is not None:
        return
    found = []
    for finding in _examined(session, no_trial=no_trial, image=image, seconds=timeout):
        found.append(finding)
        if output is None:
            printers.out(line(finding))
    if output is not None:
        printers.out(printers.as_json(document(found)))
    bad = sum(one.verdict is Severity.FAILED for one in found)
    amiss = sum(one.verdict is Severity.WARNING for one in found)
    note(f"podtask: {bad} failed, {amiss} warnings." if bad or amiss else "podtask: all is well.")
    raise CommandEnded(Exit.FAILED if bad else Exit.DONE)


def _examined(session: Session, *, no_trial: bool, image: str | None, seconds: float) -> Iterator[Finding]:
    try:
        found = list(of_cluster.server(session.cluster))
    except PodtaskError as error:
        yield failed("API server", str(error))
        yield skipped("everything else", "there is no cluster to ask")
        return
    yield from found
    cluster = session.cluster
    checks: list[tuple[str, Check]] = [
        ("CRD", lambda: of_cluster.crds(cluster)),
        ("rights", lambda: of_cluster.rights(cluster)),
        ("operator", lambda: of_cluster.operator(cluster)),
        ("owner's mark", lambda: of_owner.owner(cluster)),
        ("bucket from here", lambda: of_store.bucket(session)),
        ("parameters", lambda: of_parameters.parameters(cluster)),
    ]
    bad = False
    for name, check in checks:
        for finding in _guarded(name, check):
            bad = bad or (finding.verdict is Severity.FAILED and name in ("CRD", "rights"))
            yield finding
    if no_trial or bad:
        yield skipped("trial", "--no-trial" if no_trial else "no TaskRun can be created")
        return
    yield from _guarded("trial", lambda: of_trial.trial(cluster, image, seconds))


def _guarded(name: str, check: Check) -> Iterator[Finding]:
    """A check that breaks is a finding."""
    try:
        yield from check()
    except Exception as error:  # noqa: BLE001 - no check stops the others
        yield failed(name, sentence(error))


@doctor.command("store")
@click.option("--store", "url", help="s3://bucket/prefix; else PODTASK_STORE, or what the cluster publishes.")
@click.option("--endpoint-url", help="Of the S3 server; else PODTASK_S3_ENDPOINT_URL, or what the cluster publishes.")
@click.option("--large", type=click.IntRange(min=1), default=64, show_default=True, help="MiB of the large object.")
@click.option("-o", "--output", type=click.Choice(["json"]), help="Form of the output.")
@debug
def store(*, url: str | None, endpoint_url: str | None, large: int, output: str | None) -> None:
    """Print what an S3 server can do of what podtask uses."""
    from podtask.cli.doctor import compat

    with Session(None) as session:
        settings = compat.settings_of(session, url, endpoint_url)
    results = compat.examined(settings, large)
    if output is not None:
        printers.out(printers.as_json([one.__dict__ for one in results]))
    else:
        note(f"podtask: bucket '{settings.bucket}' at {settings.endpoint_url or 'AWS'}")
        rows = [(one.feature, one.works, one.used_for, one.note) for one in results]
        printers.out(printers.table(("FEATURE", "WORKS", "USED FOR", "TOLD"), rows))
    raise CommandEnded(Exit.FAILED if any(one.works == compat.NO and one.vital for one in results) else Exit.DONE)
