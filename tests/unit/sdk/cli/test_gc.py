"""`podtask gc`: what nobody needs goes, what is needed or young stays, and nothing of anybody else's."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from tests.unit.sdk.cli.apiserver import Refuse
from tests.unit.sdk.cli.conftest import NOW, Terminal
from tests.unit.sdk.cli.runs import run

from podtask.cli.common.session import Session
from podtask.core.gc import MANY, SETTLE
from podtask.core.storage import owner as owners
from podtask.core.storage.layout import Bucket
from podtask.kube.bucket_access import FRESH_SECONDS

KEPT, GONE = "0b9a1c1e-0000-4000-8000-000000000001", "0b9a1c1e-0000-4000-8000-000000000002"
MARK = Bucket("", "team").owner
WHY = "its TaskRun is gone, and no status and no live cache entry names it"
LINE = f"team/runs/{GONE}/1/result   10 bytes   {WHY}\n"
FIRST = (
    "podtask: 1 runs, blobs and cache entries seem to be nobody's. The command looks again in 5 minutes and removes "
    "what still is. Until then Ctrl-C removes nothing.\n"
)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the command would have waited."""
    asked: list[float] = []
    monkeypatch.setattr(Session, "pause", lambda _, seconds: asked.append(seconds))
    return asked


@pytest.fixture
def some(podtask: Terminal, waits: list[float]) -> Terminal:
    """Two runs in the bucket, one of them without a TaskRun; and a run of another namespace."""
    existing(podtask, "kept", KEPT)
    for uid in (KEPT, GONE):
        podtask.store.put(podtask.keys(uid).result, b"0123456789")
    podtask.store.put(podtask.keys(GONE, namespace="other").result, b"x")
    podtask.store.put(MARK, owners.dump("uid-of-team", None))
    return podtask


def existing(podtask: Terminal, name: str, uid: str) -> None:
    obj = run(name, "Completed")
    obj["metadata"]["uid"] = uid
    podtask.cluster.add(obj)


def keys(podtask: Terminal) -> list[str]:
    return [info.key for info in podtask.store.list("") if info.key != MARK]


def aged(podtask: Terminal) -> None:
    """The files are older than the command's clock by a day and more; the mark is older still."""
    for path in (podtask.folder / "bucket").rglob("*"):
        os.utime(path, (1000, 1000))
    os.utime(podtask.folder / "bucket" / MARK, (0, 0))


def test_a_dry_run_tells_and_removes_nothing(some: Terminal, waits: list[float]) -> None:
    aged(some)
    before = keys(some)
    said = some("gc --dry-run")
    assert (said.status, said.out) == (0, LINE)
    assert said.err == "podtask: 1 objects (10 bytes) would be removed.\n"
    assert (keys(some), waits) == (before, [])


def test_what_nobody_needs_goes_and_other_namespaces_stay(some: Terminal, waits: list[float]) -> None:
    aged(some)
    said = some("gc")
    assert (said.status, said.out, said.err) == (0, LINE, f"{FIRST}podtask: 1 objects (10 bytes) were removed.\n")
    assert keys(some) == [f"other/runs/{GONE}/1/result", f"team/runs/{KEPT}/1/result"]
    assert waits == [SETTLE.total_seconds()]


def test_what_a_taskrun_names_after_the_wait_stays(some: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    aged(some)
    before = keys(some)
    monkeypatch.setattr(Session, "pause", lambda *_: existing(some, "hit-meanwhile", GONE))
    assert some("gc").out == ""
    assert keys(some) == before


def test_what_is_young_stays(some: Terminal, waits: list[float]) -> None:
    before = keys(some)
    assert some("gc").out == ""
    assert (keys(some), waits) == (before, [])


def forbidden(_: object) -> dict[str, object]:
    raise Refuse(403, "Forbidden", 'namespaces "team" is forbidden: User "ann" cannot get resource')


STRANGERS: dict[str, tuple[Callable[[Terminal], object], str]] = {
    "the context is of another cluster": (
        lambda some: some.cluster.namespaces.update(team={"metadata": {"uid": "uid-in-staging"}}),
        r"Nothing is removed\. The folder of namespace 'team' in this bucket belongs to the namespace with UID "
        r"uid-of-team \(since 1970-01-01\), and here the namespace has UID uid-in-staging\. If this is the wrong "
        r"bucket or the wrong cluster, correct that\. .*podtask bucket adopt --namespace team",
    ),
    "nobody has marked the folder": (
        lambda some: some.store.delete(MARK),
        r"Nothing is removed\. No operator has marked the folder of namespace 'team' in this bucket\. If .*adopt",
    ),
    "the mark cannot be read": (
        lambda some: some.store.put(MARK, b"{"),
        r"belongs to nobody: its mark is unreadable .*podtask bucket adopt",
    ),
    "the namespace is not there": (lambda some: some.cluster.namespaces.clear(), "There is no namespace 'team'"),
    "the namespace may not be read": (
        lambda some: some.cluster.other.update({"/api/v1/namespaces/team": forbidden}),
        r"'ann' may not get namespaces in namespace 'team'\. An administrator can allow it",
    ),
}


@pytest.mark.parametrize("case", STRANGERS)
def test_a_bucket_that_is_not_this_clusters_is_left_alone(some: Terminal, case: str) -> None:
    change, sentence = STRANGERS[case]
    aged(some)
    before = keys(some)
    change(some)
    for line in ("gc", "gc --dry-run", "gc --allow-most"):
        said = some(line)
        assert (said.status, said.out) == (1, "")
        assert re.search(sentence, said.err), said.err
    assert keys(some) == before


@pytest.mark.parametrize("uid", ["uid-elsewhere", "uid-of-team"])
def test_a_folder_that_is_adopted_during_the_wait_is_left_alone(
    some: Terminal, monkeypatch: pytest.MonkeyPatch, uid: str
) -> None:
    aged(some)
    before = keys(some)
    monkeypatch.setattr(Session, "pause", lambda *_: some.store.put(MARK, owners.dump(uid, None)))
    said = some("gc")
    assert (said.status, said.out) == (1, "")
    assert keys(some) == before


def test_where_most_runs_would_go_it_asks_first(some: Terminal, waits: list[float]) -> None:
    for number in range(MANY + 5):
        some.store.put(some.keys(str(UUID(int=number))).result, b"x")
    aged(some)
    before = keys(some)
    said = some("gc -n team")
    assert (said.status, said.out, keys(some), waits) == (1, "", before, [])
    assert said.err == (
        f"podtask: {MANY + 6} of {MANY + 7} runs that namespace 'team' has in the bucket would go, because no TaskRun "
        f"and no cache entry names them. Nothing was removed. Look at them: podtask gc --dry-run -n team. "
        f"If it is right: podtask gc --allow-most -n team\n"
    )
    said = some("gc --dry-run")
    assert said.out.count("\n") == MANY + 6
    assert "podtask: without --dry-run it needs --allow-most: " in said.err
    assert some("gc --allow-most").out.count("\n") == MANY + 6
    assert keys(some) == [f"other/runs/{GONE}/1/result", f"team/runs/{KEPT}/1/result"]


@pytest.mark.parametrize("spare", ["0", "1h", "12h", "46799"])
def test_less_than_clients_count_on_is_refused(some: Terminal, spare: str) -> None:
    aged(some)
    said = some(f"gc --spare {spare}")
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith("podtask: --spare must be at least 13h: for 12 hours a driver counts on what")
    assert len(keys(some)) == 3


@pytest.mark.parametrize(("spare", "goes"), [("13h", True), ("15h", False)])
def test_how_much_is_spared(some: Terminal, spare: str, goes: bool) -> None:
    aged(some)
    at = (NOW - timedelta(hours=14)).timestamp()
    os.utime(some.folder / "bucket" / some.keys(GONE).result, (at, at))
    assert bool(some(f"gc --spare {spare}").out) is goes
    assert timedelta(hours=13).total_seconds() > FRESH_SECONDS
