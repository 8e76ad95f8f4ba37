"""`podtask cache`: what the cache of a namespace holds, why a run missed it, and how to forget something.

The entries are small JSON objects in the bucket (`podtask.core.cache.entry.CacheEntry`), each pointing at the result of
an attempt. Removing one removes no result: the next identical run starts a pod. Before: `session` (the bucket).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from podtask.cli.common import output as printers
from podtask.cli.common import selection
from podtask.cli.common.exits import CommandFailed, Exit
from podtask.cli.common.options import DURATION, latest, with_session
from podtask.cli.common.session import Session, note
from podtask.core.api.names import CacheOutcome
from podtask.core.cache.explain import Earlier, why_missed
from podtask.core.cache.repository import read_entry
from podtask.core.storage.base import NotStored
from podtask.inspection.durations import age, span
from podtask.inspection.task_run import SeenTaskRun
from podtask.kube.bucket_access import human

if TYPE_CHECKING:
    from datetime import datetime

    from podtask.core.cache.entry import CacheEntry
    from podtask.core.storage import Store
    from podtask.core.storage.layout import Bucket

READERS = 16
"""Entries that are read at the same time."""
SHOWN = 24
"""Characters of a key in the table; `cache show` takes as many as are needed."""


@click.group("cache", no_args_is_help=True)
def cache() -> None:
    """List the results that are reused, tell why one was not, forget some."""


@cache.command("ls")
@click.option("--task-run", help="Only what this TaskRun stored.")
@click.option("--older-than", type=DURATION, help="Only older than that: 30m, 2h, 1d.")
@click.option("--no-headers", is_flag=True, help="Without the line of column names.")
@click.option("-o", "--output", type=click.Choice(["json", "name"]), help="Form of the output.")
@with_session
def ls(
    session: Session, *, task_run: str | None, older_than: float | None, no_headers: bool, output: str | None
) -> None:
    """List the entries, newest first."""
    now = session.now()
    held = [
        one
        for one in _entries(session)
        if task_run in (None, one.producer.task_run)
        and (older_than is None or (now - one.created_at).total_seconds() >= older_than)
    ]
    if output == "json":
        printers.out(printers.as_json([_document(one) for one in held]))
    elif output == "name":
        printers.out("\n".join(one.key for one in held)) if held else None
    elif held:
        head = ("KEY", "TASKRUN", "ATTEMPT", "SIZE", "AGE", "EXPIRES")
        printers.out(printers.table(head, [_row(one, now) for one in held], header=not no_headers))
    else:
        note(f"podtask: the cache of namespace '{session.namespace}' has no such entries.")


@cache.command("show")
@click.argument("key")
@with_session
def show(session: Session, key: str) -> None:
    """Print one entry: by its key, the start of it, or the name of a TaskRun."""
    printers.out(printers.as_json(_document(_one(session, key))))


@cache.command("why")
@click.argument("name", required=False)
@latest
@with_session
def why(session: Session, name: str | None, *, latest: bool) -> None:
    """Tell why a TaskRun used the cache, or why it did not."""
    run = selection.one(session, name, latest=latest)
    info = run.status.cache
    if info is None:
        asked = "it has not been looked up yet" if run.spec.get("cache") is not None else "spec.cache is absent"
        printers.out(f"{run.name}: the cache was not asked: {asked}.")
        return
    told = {
        CacheOutcome.HIT: f"Hit: the result is that of {info.source_run}.",
        CacheOutcome.WAITING: f"Waiting: {info.source_run} has the same key and runs already.",
        CacheOutcome.MISS: f"Miss: {info.miss_reason or 'there was no entry of this key.'}",
        CacheOutcome.OFF: f"Off: {info.miss_reason or 'no key was made.'}",
    }[info.outcome]
    printers.out(f"{run.name}: {told}")
    if info.key is not None:
        printers.out(f"Key: {info.key}")
    if info.outcome is CacheOutcome.MISS and info.key is not None and info.compared_with is None:
        _compare(session, info.key)


@cache.command("rm")
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--all", "everything", is_flag=True, help="All entries of the namespace.")
@click.option("--expired", is_flag=True, help="Those that are used no longer.")
@with_session
def rm(session: Session, keys: tuple[str, ...], *, everything: bool, expired: bool) -> None:
    """Forget entries: by key, the start of it, or the name of a TaskRun. Results stay where they are."""
    if sum((bool(keys), everything, expired)) != 1:
        raise CommandFailed("Which entries? Give keys, --expired, or --all.", Exit.USAGE)
    now = session.now()
    if keys:
        held = list({one.key: one for one in (_one(session, key) for key in keys)}.values())
    else:
        held = [one for one in _entries(session) if everything or not one.live(now)]
    store, bucket = _open(session)
    for one in held:
        store.delete(bucket.cache(one.key))
        printers.out(f"{one.key} removed")
    if not held:
        note("podtask: there was nothing to remove.")


def _compare(session: Session, key: str) -> None:
    """What is different from the entry that is most like it, where the operator did not say."""
    entries = _entries(session)
    own = next((one for one in entries if one.key == key), None)
    if own is None or own.components is None:
        note(
            "podtask: it has no entry with components (it did not complete, or chose its key), so nothing is compared."
        )
        return
    others = [Earlier(one.producer.task_run, one.components) for one in entries if one.key != key and one.components]
    found = why_missed(own.components, others)
    printers.out(found.text if found else "No other entry to compare it with.")


def _open(session: Session) -> tuple[Store, Bucket]:
    because = f"The cache of namespace '{session.namespace}' is in the cluster's bucket"
    store, bucket = session.bucket(session.namespace).open(
        because, "delete TaskRuns and submit them with cache.refresh"
    )
    # One that was made anew under the name has no entries of the one before.
    return store, replace(bucket, namespace_uid=session.cluster.namespace_uid(session.namespace))


def _entries(session: Session) -> list[CacheEntry]:
    """All entries, newest first. What is no entry is told on stderr and left alone."""
    store, bucket = _open(session)
    places = [info.key for info in store.list(bucket.cache_prefix)]
    with ThreadPoolExecutor(READERS, thread_name_prefix="podtask-cache") as pool:
        found = [one for one in pool.map(lambda place: _read(store, place), places) if one is not None]
    return sorted(found, key=lambda one: (one.created_at, one.key), reverse=True)


def _read(store: Store, place: str) -> CacheEntry | None:
    try:
        return read_entry(store, place)
    except NotStored:
        return None  # removed meanwhile
    except ValueError as odd:
        note(f"podtask: {place}: {odd}")
        return None


def _one(session: Session, key: str) -> CacheEntry:
    if not key.strip():  # every key begins with it: a shell variable that nobody set
        raise CommandFailed("An empty key names no entry; podtask cache ls -o name has them all.", Exit.USAGE)
    store, bucket = _open(session)
    exact = _read(store, bucket.cache(key))
    if exact is not None:
        return exact
    found = [one for one in _entries(session) if one.key.startswith(key)]
    found = found or _of_run(session, key)
    if len(found) == 1:
        return found[0]
    many = f"{len(found)} entries begin with '{key}'" if found else f"There is no entry '{key}'"
    raise CommandFailed(
        f"{many} in namespace '{session.namespace}'; podtask cache ls -o name has them all.", Exit.NOT_FOUND
    )


def _of_run(session: Session, name: str) -> list[CacheEntry]:
    """The entry that a TaskRun uses or has made."""
    found = session.cluster.run(name)
    info = SeenTaskRun(found).status.cache if found is not None else None
    if info is None or info.key is None:
        return []
    store, bucket = _open(session)
    return list(filter(None, [_read(store, bucket.cache(info.key))]))


def _row(entry: CacheEntry, now: datetime) -> tuple[str, ...]:
    key = entry.key if len(entry.key) <= SHOWN else f"{entry.key[: SHOWN - 1]}…"
    left = "never" if entry.expires_at is None else span((entry.expires_at - now).total_seconds())
    expires = left if entry.live(now) else "expired"
    made = entry.producer
    return key, made.task_run, str(made.attempt), human(entry.result.size), age(entry.created_at, now), expires


def _document(entry: CacheEntry) -> object:
    """The entry as it is stored."""
    import json

    return json.loads(entry.dump())
