"""`podtask gc`: remove from the bucket what nobody needs any more in this namespace. The rules:
`podtask.core.gc`.

The operator does the same for all namespaces now and then; this is for looking before (--dry-run) and for doing it now.
"""

from __future__ import annotations

from datetime import timedelta

import click

from podtask.cli.common import output
from podtask.cli.common.options import DURATION, with_session
from podtask.cli.common.session import Session, note
from podtask.core.gc import SPARE, mark, sweep
from podtask.kube.bucket_access import human


@click.command()
@click.option("--dry-run", is_flag=True, help="Only print what would be removed, and why.")
@click.option(
    "--spare",
    type=DURATION,
    default=f"{SPARE.days}d",
    show_default=True,
    help="Leave what is younger: objects are written before anything names them.",
)
@with_session
def gc(session: Session, *, dry_run: bool, spare: float) -> None:
    """Remove objects from the bucket that no TaskRun and no cache entry needs."""
    because = f"What namespace '{session.namespace}' has stored is in the cluster's bucket"
    store, bucket = session.bucket(session.namespace).open(because, "leave it to the operator, which sweeps by itself")
    now = session.now()  # before the list: what is made meanwhile is young
    marks = mark(session.cluster.runs(session.namespace)[0])
    objects = size = 0
    for gone in sweep(
        store, bucket.prefix, [bucket.namespace], marks, now, spare=timedelta(seconds=spare), dry_run=dry_run
    ):
        objects, size = objects + 1, size + gone.size
        output.out(f"{gone.key}   {human(gone.size)}   {gone.why}")
    note(f"podtask: {objects} objects ({human(size)}) {'would be' if dry_run else 'were'} removed.")
