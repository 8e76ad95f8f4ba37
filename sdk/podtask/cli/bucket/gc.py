"""`podtask gc`: remove from the bucket what nobody needs any more in this namespace. The rules:
`podtask.core.gc`.

The operator does the same for all namespaces now and then; this is for looking before (--dry-run) and for doing it now.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from podtask.cli.common import output
from podtask.cli.common.exits import CommandFailed, Exit
from podtask.cli.common.options import DURATION, with_session
from podtask.cli.common.session import Session, note
from podtask.core.gc import LEAST_SPARE, SETTLE, SPARE, Removal, remove, survey
from podtask.core.storage import owner as owners
from podtask.core.storage.marks import Marks, mark
from podtask.kube.bucket_access import human

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from podtask.core.gc import NamespaceObjects
    from podtask.core.storage import Store
    from podtask.core.storage.layout import Bucket


@click.command()
@click.option("--dry-run", is_flag=True, help="Only print what would be removed, and why.")
@click.option(
    "--spare",
    type=DURATION,
    default=f"{SPARE.days}d",
    show_default=True,
    help=f"Leave what is younger, at least {LEAST_SPARE.total_seconds() / 3600:g}h: objects are written before "
    "anything names them.",
)
@click.option("--allow-most", is_flag=True, help="Go on although most runs of the namespace would go.")
@with_session
def gc(session: Session, *, dry_run: bool, spare: float, allow_most: bool) -> None:
    """Remove objects from the bucket that no TaskRun and no cache entry needs."""
    if spare < LEAST_SPARE.total_seconds():
        least = f"{LEAST_SPARE.total_seconds() / 3600:g}h"
        raise CommandFailed(
            f"--spare must be at least {least}: for 12 hours a driver counts on what it has uploaded, before any "
            f"TaskRun names it. Objects that are younger go with a later gc.",
            Exit.USAGE,
        )
    because = f"What namespace '{session.namespace}' has stored is in the cluster's bucket"
    store, bucket = session.bucket(session.namespace).open(because, "leave it to the operator, which sweeps by itself")
    _checked(session, store, bucket)
    pass_ = _Pass(session, store, bucket, session.now(), timedelta(seconds=spare))  # now: before the list
    objects = size = 0
    for gone in pass_.removals(dry_run=dry_run, allow_most=allow_most):
        objects, size = objects + 1, size + gone.size
        output.out(f"{gone.key}   {human(gone.size)}   {gone.why}")
    note(f"podtask: {objects} objects ({human(size)}) {'would be' if dry_run else 'were'} removed.")


class _Pass:
    def __init__(self, session: Session, store: Store, bucket: Bucket, now: datetime, spare: timedelta) -> None:
        self._session = session
        self._store = store
        self._bucket = bucket
        self._now = now
        self._spare = spare

    def removals(self, *, dry_run: bool, allow_most: bool) -> Iterator[Removal]:
        """What nobody needs; removed unless it is a dry run."""
        namespaces = [self._bucket.namespace]
        for part in survey(self._store, self._bucket.prefix, namespaces, self._marks(), self._now, spare=self._spare):
            too_much = part.too_much
            if too_much is not None and dry_run:
                note(f"podtask: without --dry-run it needs --allow-most: {too_much}.")
            elif too_much is not None and not allow_most:
                raise CommandFailed(
                    f"{too_much[0].upper()}{too_much[1:]}. Nothing was removed. Look at them: podtask gc --dry-run"
                    f"{self._session.where}. If it is right: podtask gc --allow-most{self._session.where}"
                )
            if part.candidates and not dry_run:
                minutes = SETTLE.total_seconds() / 60
                note(
                    f"podtask: {len(part.candidates)} runs, blobs and cache entries seem to be nobody's. The command "
                    f"looks again in {minutes:g} minutes and removes what still is. Until then Ctrl-C removes nothing."
                )
                self._session.pause(SETTLE.total_seconds())
            yield from self._removed(part, dry_run=dry_run)

    def _removed(self, part: NamespaceObjects, *, dry_run: bool) -> Iterator[Removal]:
        for batch in part.batches():
            owner = _checked(self._session, self._store, self._bucket)
            if owner != part.owner:
                raise CommandFailed(f"Namespace '{self._bucket.namespace}' was adopted meanwhile; start again.")
            marks = self._marks()
            yield from remove(self._store, part, batch, marks, self._now, spare=self._spare, dry_run=dry_run)

    def _marks(self) -> Marks:
        return mark(self._session.cluster.runs(self._bucket.namespace)[0])


def _checked(session: Session, store: Store, bucket: Bucket) -> owners.BucketOwner | None:
    """The mark of the namespace's folder. Raises `CommandFailed` where that is of another namespace or cluster."""
    owner = owners.read(store, bucket)
    refusal = owners.refusal(owner, bucket.namespace, session.cluster.namespace_uid(bucket.namespace), None)
    if refusal is not None:
        raise CommandFailed(f"Nothing is removed. {refusal}")
    return owner
