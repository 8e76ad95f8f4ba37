"""Cache keys, why they differ, and the pointer document: `podtask.core.cache.entry`."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.lifecycle_builders import DIGEST, T0, at

from podtask.core.api.status import ResultInfo
from podtask.core.cache.entry import CacheEntry, Components, Producer, compose, for_manifest
from podtask.core.cache.explain import explain
from podtask.core.cache.source import NotCacheable

BASE = Components("h1:code", {"rows": "h1:1", "path": "h1:2"}, "img")
ENTRY = CacheEntry(
    key="k1:abc",
    result=ResultInfo(DIGEST, 5, "json", content_hash="h1:x", value="42", inline="NDI="),
    etag="e",
    producer=Producer("run", "uid-1", 2),
    created_at=T0,
    components=BASE,
    expires_at=at(60),
)

TEXTS = st.text(max_size=4)
COMPONENTS = st.builds(
    Components, TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=3), st.none() | TEXTS, st.none() | TEXTS
)


def test_a_key_is_versioned_and_stays_what_it_is() -> None:
    assert compose(BASE) == "k1:1a185dbf4ee329428d7b9f317f40d876a3a5f02f37ad0209ddccf2f88dfb27d4"


@given(COMPONENTS, COMPONENTS)
def test_different_components_have_different_keys_and_equal_ones_the_same(one: Components, other: Components) -> None:
    assert (compose(one) == compose(other)) is (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Components("ab", {"c": "d"}), Components("a", {"bc": "d"})),
        (Components("a", {"b": "cd"}), Components("a", {"bc": "d"})),
        (Components("a", {}, "arguments"), Components("a", {"arguments": ""})),
        (Components("a", {}, None), Components("a", {}, "")),
        (Components("a", {"b": "c"}, None), Components("a", {}, "b")),
        (Components("1:a"), Components("a")),
        (Components("a", {}, None, "b"), Components("a", {}, "b")),
        (Components("a", {}, None, "b"), Components("a", {"environment": "b"})),
        (Components("a", {}, None, ""), Components("a")),
    ],
)
def test_no_part_runs_into_the_next(one: Components, other: Components) -> None:
    assert compose(one) != compose(other)


def test_the_order_of_arguments_does_not_count() -> None:
    assert compose(BASE) == compose(replace(BASE, arguments=dict(reversed(BASE.arguments.items()))))


SOURCE = "def main(rows, path='x'):\n    return rows\n"


def test_a_manifest_is_identified_by_source_parameters_upstream_and_image() -> None:
    made = for_manifest(source=SOURCE, parameters={"rows": 5}, upstream={"path": "h1:up"}, image="img")
    assert made.arguments.keys() == {"rows", "path"}
    assert made.arguments["path"] == "h1:up"
    assert made.image == "img"
    others = [
        for_manifest(
            source=SOURCE.replace("return rows", "return 1"),
            parameters={"rows": 5},
            upstream={"path": "h1:up"},
            image="img",
        ),
        for_manifest(source=SOURCE, parameters={"rows": 6}, upstream={"path": "h1:up"}, image="img"),
        for_manifest(source=SOURCE, parameters={"rows": 5}, upstream={"path": "h1:other"}, image="img"),
        for_manifest(source=SOURCE, parameters={"rows": 5}, upstream={"path": "h1:up"}, image="img2"),
        for_manifest(source=SOURCE, parameters={"rows": 5, "path": "x"}, image="img"),
    ]
    assert len({compose(made), *map(compose, others)}) == 6
    assert explain(made, others[0]) == "code changed; arguments and image the same"


def test_comments_and_blank_lines_are_no_other_code() -> None:
    commented = "# says hello\n\n" + SOURCE
    assert for_manifest(source=SOURCE).code == for_manifest(source=commented).code


@pytest.mark.parametrize(
    ("value", "other"), [(1, True), (1, 1.0), ("1", 1), ([1, 2], [2, 1]), (None, "null"), ({}, []), (0.0, -0.0)]
)
def test_parameters_that_differ_in_type_alone_differ(value: Any, other: Any) -> None:
    made = [for_manifest(source=SOURCE, parameters={"rows": item}) for item in (value, other)]
    assert compose(made[0]) != compose(made[1])


def test_the_order_within_an_object_does_not_count() -> None:
    made = [for_manifest(source=SOURCE, parameters={"rows": item}) for item in ({"a": 1, "b": 2}, {"b": 2, "a": 1})]
    assert made[0] == made[1]


def test_an_entrypoint_is_identified_by_an_image_pinned_by_digest() -> None:
    pinned = f"registry/img@sha256:{DIGEST}"
    assert for_manifest(entrypoint="pkg.mod:fn", image=pinned).code == "entrypoint:pkg.mod:fn"
    for image in (None, "img", "img:latest", "img:v1.2"):
        with pytest.raises(NotCacheable, match="pinned by digest"):
            for_manifest(entrypoint="pkg.mod:fn", image=image)


ODD_SOURCES = {
    "no Python": "def f(:",
    "a null byte": "x = '\0'",
    "too many brackets": "(" * 5000,
    "too deep for the parser": "-" * 16_000 + "1",
    "too deep for the walk": "x = " + "1+" * 8_000 + "1",
    "a lone surrogate": "x = '\ud800'",
    "tabs and spaces": "if 1:\n\tx = 1\n        y = 2\n",
}


@pytest.mark.parametrize("oddity", ODD_SOURCES)
def test_source_that_cannot_be_analysed_is_a_reason_and_no_error(oddity: str) -> None:
    with pytest.raises(NotCacheable) as found:
        for_manifest(source=ODD_SOURCES[oddity])
    assert "task.source" in str(found.value)


def test_what_has_no_identity_is_a_reason_and_no_error() -> None:
    with pytest.raises(NotCacheable, match="content hash"):
        for_manifest(source=SOURCE, upstream={"rows": None})
    with pytest.raises(NotCacheable, match="given twice"):
        for_manifest(source=SOURCE, parameters={"rows": 1}, upstream={"rows": "h1:x"})
    with pytest.raises(NotCacheable, match=r"cache\.key"):
        for_manifest()
    with pytest.raises(NotCacheable, match="rows"):
        for_manifest(source=SOURCE, parameters={"rows": (i for i in ())})
    deep: Any = None
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(NotCacheable, match="rows"):
        for_manifest(source=SOURCE, parameters={"rows": deep})


def test_a_pointer_survives_its_document() -> None:
    assert CacheEntry.load(ENTRY.dump()) == ENTRY
    least = replace(ENTRY, result=ResultInfo(DIGEST, 5, "json"), components=None, expires_at=None)
    assert CacheEntry.load(least.dump()) == least
    assert CacheEntry.load(replace(least, components=Components("c")).dump()).components == Components("c")


def test_a_pointer_names_no_object_key() -> None:
    document = json.loads(ENTRY.dump())
    assert set(document) == {
        "v", "key", "digest", "size", "etag", "serializer", "contentHash", "value", "inline", "producer",
        "components", "createdAt", "expiresAt",
    }  # fmt: skip
    assert document["producer"] == {"taskRun": "run", "uid": "uid-1", "attempt": 2}


def test_a_pointer_lives_until_it_expires() -> None:
    assert ENTRY.live(at(59.999))
    assert not ENTRY.live(at(60))
    assert replace(ENTRY, expires_at=None).live(at(1e9))


def test_times_of_other_writers_are_read() -> None:
    document = {**json.loads(ENTRY.dump()), "createdAt": "2026-01-02T03:04:05Z", "newer": 1}
    assert CacheEntry.load(json.dumps(document).encode()).created_at == T0.replace(microsecond=0)


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2}, {"v": None}, {"v": True}, {"key": ""}, {"key": 5}, {"digest": "x"}, {"digest": "AB" * 32},
        {"digest": "../" + "a" * 61}, {"digest": DIGEST + "\n"}, {"digest": None}, {"size": -1}, {"size": "5"},
        {"size": 5.0}, {"size": True}, {"size": None}, {"etag": None}, {"etag": {}}, {"serializer": []},
        {"producer": None},
        {"producer": []}, {"producer": {"taskRun": "r", "uid": "../x", "attempt": 1}},
        {"producer": {"taskRun": "r", "uid": "u/1", "attempt": 1}},
        {"producer": {"taskRun": "r", "uid": "u", "attempt": 0}},
        {"producer": {"taskRun": "r", "uid": "u\n", "attempt": 1}}, {"producer": {"uid": "u", "attempt": 1}},
        {"components": []}, {"components": {"code": "c"}}, {"components": {"code": "c", "arguments": {"a": 1}}},
        {"components": {"arguments": {}}}, {"createdAt": None}, {"createdAt": "yesterday"}, {"createdAt": 5},
        {"createdAt": "2026-01-02T03:04:05"}, {"expiresAt": "never"}, {"expiresAt": "2026-01-02T03:04:05"},
        {"value": 42}, {"inline": []}, {"contentHash": {}},
        {"producer": {"taskRun": "r", "uid": "u", "attempt": 10**300}},
        {"producer": {"taskRun": "r", "uid": "u", "attempt": 2**31}},
        {"producer": {"taskRun": "r" * 254, "uid": "u", "attempt": 1}}, {"size": 2**63}, {"size": 10**300},
        {"serializer": "x" * 257}, {"contentHash": "x" * 257}, {"value": "1" * 8193}, {"inline": "A" * 8193},
        {"key": "k" * 1025}, {"etag": "e" * 1025}, {"expiresAt": "9999-12-31T23:59:59-14:00"},
        {"createdAt": "0001-01-01T00:00:00+14:00"},
    ],
)  # fmt: skip
def test_an_odd_pointer_is_a_value_error(change: dict[str, Any]) -> None:
    document = {**json.loads(ENTRY.dump()), **change}
    with pytest.raises(ValueError):
        CacheEntry.load(json.dumps(document).encode())


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"null", b"5", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000, b" " * 300_000, b"{}"],
    ids=lambda data: repr(data[:8]),
)
def test_what_is_no_pointer_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        CacheEntry.load(data)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    with pytest.raises(ValueError):
        CacheEntry.load(data)


def test_an_argument_that_is_nothing_but_an_upstreams_result_has_the_key_of_its_value() -> None:
    by_value = Components("h1:code", {"rows": "h1:1"}).completed({}, None)
    by_future = Components("h1:code", {"rows": "upstream 0"}).completed({"upstream 0": "h1:1"}, None)
    assert compose(by_future) == compose(by_value)


def test_an_upstream_that_is_part_of_an_argument_counts_beside_it() -> None:
    one, other = (
        Components("h1:code", {"rows": "h1:list"}).completed({"upstream 0": h}, None) for h in ("h1:1", "h1:2")
    )
    assert compose(one) != compose(other)
