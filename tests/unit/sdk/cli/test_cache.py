"""`podtask cache`: what is listed, shown, explained and removed."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from tests.support.builders import DIGEST
from tests.support.cache_cases import KEY, UNUSABLE, Stored
from tests.unit.sdk.cli.conftest import NOW, Terminal
from tests.unit.sdk.cli.runs import run

from podtask.core.api.status import ResultInfo
from podtask.core.cache.entry import CacheEntry, Components, Producer
from podtask.core.storage.layout import Bucket

BUCKET = Bucket("", "team", namespace_uid="uid-of-team")
ONE = Components("code-1", {"rows": "h1", "city": "h2"}, "image-1")


def kept(podtask: Terminal, key: str, task_run: str, minutes: float, **more: Any) -> None:
    """An entry of so many minutes ago."""
    entry = CacheEntry(
        key=key,
        result=ResultInfo(DIGEST, 2048, "json"),
        etag="etag",
        producer=Producer(task_run, f"uid-{task_run}", 1),
        created_at=NOW - timedelta(minutes=minutes),
        **more,
    )
    podtask.store.put(BUCKET.cache(key), entry.dump())


@pytest.fixture
def some(podtask: Terminal) -> Terminal:
    """Three entries, one of them expired."""
    kept(podtask, "k1:" + "a" * 40, "first", 30, components=ONE)
    kept(podtask, "my-key", "second", 20, expires_at=NOW + timedelta(hours=3))
    kept(podtask, "k1:" + "b" * 40, "third", 10, expires_at=NOW - timedelta(minutes=1))
    return podtask


def test_the_newest_entry_comes_first(some: Terminal) -> None:
    assert some("cache ls").out == (
        "KEY                        TASKRUN   ATTEMPT   SIZE    AGE   EXPIRES\n"
        "k1:bbbbbbbbbbbbbbbbbbbb…   third     1         2 KiB   10m   expired\n"
        "my-key                     second    1         2 KiB   20m   3h\n"
        "k1:aaaaaaaaaaaaaaaaaaaa…   first     1         2 KiB   30m   never\n"
    )


@pytest.mark.parametrize(
    ("options", "keys"),
    {
        "of a run": ("--task-run second", ["my-key"]),
        "old ones": ("--older-than 15m", ["my-key", "k1:" + "a" * 40]),
        "none": ("--task-run gone", []),
    }.values(),
)
def test_some_entries(some: Terminal, options: str, keys: list[str]) -> None:
    assert some(f"cache ls -o name {options}").out.split() == keys
    listed = json.loads(some(f"cache ls -o json {options}").out)
    assert [one["key"] for one in listed] == keys


@pytest.mark.parametrize("name", ["my-key", "my", "k1:a", "hit"])
def test_one_entry_is_named_by_its_key_or_a_run(some: Terminal, name: str) -> None:
    some.cluster.add(run("hit", "Completed", status={"cache": {"key": "my-key", "outcome": "Hit"}}))
    shown = json.loads(some(f"cache show {name}").out)
    assert shown["producer"]["taskRun"] == ("first" if name == "k1:a" else "second")


def test_an_entry_that_is_not_one_is_an_error(some: Terminal) -> None:
    said = some("cache show k1:")
    assert (said.status, said.err[:38]) == (3, "podtask: 2 entries begin with 'k1:' in")
    assert some("cache show nothing").err.startswith("podtask: There is no entry 'nothing' in namespace 'team'; ")


def test_what_is_no_entry_is_told_and_left_alone(some: Terminal) -> None:
    place = BUCKET.cache("odd")
    some.store.put(place, b"{")
    said = some("cache rm --all")
    assert (said.status, said.out.count("removed")) == (0, 3)
    assert said.err.startswith(f"podtask: {place}: ")
    assert [info.key for info in some.store.list(BUCKET.cache_prefix)] == [place]


@pytest.mark.parametrize("odd", UNUSABLE)
def test_what_no_lookup_would_take_is_told_by_the_same_words(some: Terminal, odd: str) -> None:
    stored = Stored(some.store, BUCKET)
    UNUSABLE[odd].make(stored)
    said = some(f"cache show {KEY}")
    if "not readable" in UNUSABLE[odd].reason:
        why = UNUSABLE[odd].reason.removeprefix("The entry is not readable (").removesuffix("); the entry was dropped.")
        assert said.status == 3
        assert f"podtask: {stored.place}: {why}\n" in said.err
    else:  # the result itself is not looked at
        assert json.loads(said.out)["key"] == KEY
    assert some.store.head(stored.place) is not None


def test_a_key_is_never_answered_by_the_entry_of_another_one(some: Terminal) -> None:
    some.store.put(BUCKET.cache("copied"), some.store.get(BUCKET.cache("my-key")))
    for line in ("show copied", "rm copied"):
        said = some(f"cache {line}")
        assert (said.status, said.out) == (3, "")
    assert some("cache ls -o name").out.split().count("my-key") == 1


@pytest.mark.parametrize("line", ["rm ''", "rm my-key ''", "show ' '"])
def test_an_empty_key_names_no_entry(podtask: Terminal, line: str) -> None:
    kept(podtask, "my-key", "x", 1)
    said = podtask(f"cache {line}")
    assert (said.status, said.out) == (2, "")
    assert said.err == "podtask: An empty key names no entry; podtask cache ls -o name has them all.\n"
    assert podtask("cache ls -o name").out == "my-key\n"


def test_removing_says_each(some: Terminal) -> None:
    assert some("cache rm --expired").out == f"k1:{'b' * 40} removed\n"
    assert some("cache rm my-key my").out == "my-key removed\n"
    assert some("cache ls -o name").out == f"k1:{'a' * 40}\n"
    said = some("cache rm --expired")
    assert (said.status, said.out, said.err) == (0, "", "podtask: there was nothing to remove.\n")
    assert some("cache rm").status == some("cache rm my-key --all").status == 2


WHY = {
    "a hit": (
        {"key": "k", "outcome": "Hit", "sourceRun": "first"},
        "x: Hit: the result is that of first.\nKey: k\n",
    ),
    "it waits": (
        {"key": "k", "outcome": "Waiting", "sourceRun": "first"},
        "x: Waiting: first has the same key and runs already.\nKey: k\n",
    ),
    "no key could be made": ({"outcome": "Off", "missReason": "no image digest"}, "x: Off: no image digest\n"),
    "a miss, compared with the entry most like it": (
        {"key": "own", "outcome": "Miss", "missReason": "There is no entry for this key."},
        "x: Miss: There is no entry for this key.\nKey: own\n"
        "Compared with 'first': argument `rows` changed; code and image the same.\n",
    ),
    "a miss that the operator has explained": (
        {"key": "own", "outcome": "Miss", "missReason": "Whatever the words: code changed.", "comparedWith": "y"},
        "x: Miss: Whatever the words: code changed.\nKey: own\n",
    ),
    "a miss of a run without an entry": (
        {"key": "k", "outcome": "Miss"},
        "x: Miss: there was no entry of this key.\nKey: k\n",
    ),
}


@pytest.mark.parametrize("case", WHY)
def test_why(some: Terminal, case: str) -> None:
    info, out = WHY[case]
    kept(some, "far", "far", 5, components=Components("code-2", {"rows": "h9", "city": "h7"}, "image-1"))
    kept(some, "own", "x", 1, components=Components("code-1", {"rows": "h9", "city": "h2"}, "image-1"))
    some.cluster.add(run("x", "Completed", status={"cache": info}))
    assert some("cache why x").out == out


def test_why_the_cache_was_not_asked(some: Terminal) -> None:
    some.cluster.add(run("x", "Completed"), run("y", "Pending", spec={"cache": {}}))
    assert some("cache why x").out == "x: the cache was not asked: spec.cache is absent.\n"
    assert some("cache why y").out == "y: the cache was not asked: it has not been looked up yet.\n"


def test_without_the_bucket_it_is_a_sentence(podtask: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PODTASK_STORE")
    said = podtask("cache ls")
    assert said.status == 1
    assert said.err.startswith(
        "podtask: The cache of namespace 'team' is in the cluster's bucket, and nobody said here"
    )
