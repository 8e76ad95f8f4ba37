"""Why a run found no entry, in sentences: `podtask.core.cache.explain`."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.sdk.core.cache.test_entry import BASE, COMPONENTS

from podtask.core.cache.entry import POINTER_LIMIT, Components
from podtask.core.cache.explain import (
    RECENT_RUNS,
    Compared,
    Earlier,
    dump_recent,
    explain,
    load_recent,
    remember,
    why_missed,
)


@pytest.mark.parametrize(
    ("after", "text"),
    [
        (BASE, "code, arguments and image the same"),
        (
            replace(BASE, arguments={**BASE.arguments, "rows": "h1:9"}),
            "argument `rows` changed; code and image the same",
        ),
        (
            replace(BASE, arguments={"path": "h1:8", "rows": "h1:9"}),
            "arguments `path` and `rows` changed; code and image the same",
        ),
        (
            replace(BASE, arguments={"rows": "h1:1", "n": "h1:3"}),
            "argument `n` new; argument `path` gone; code and image the same",
        ),
        (replace(BASE, code="h1:other"), "code changed; arguments and image the same"),
        (replace(BASE, image="other"), "image changed; arguments and code the same"),
        (Components("h1:other", {}, None), "arguments `path` and `rows` gone; code changed; image changed"),
    ],
)
def test_why_two_keys_differ(after: Components, text: str) -> None:
    assert explain(BASE, after) == text


@pytest.mark.parametrize(
    ("after", "text"),
    [
        (Components("h1:code", {"n": "h1:2"}), "argument `n` changed; code the same"),
        (Components("h1:other", {"n": "h1:1"}), "code changed; arguments the same"),
        (Components("h1:other"), "argument `n` gone; code changed"),
    ],
)
def test_where_there_is_no_image_none_is_mentioned(after: Components, text: str) -> None:
    assert explain(Components("h1:code", {"n": "h1:1"}), after) == text


def test_many_arguments_are_counted_instead_of_named() -> None:
    many = replace(BASE, arguments={f"n{number}": "h1:1" for number in range(9)})
    assert explain(replace(BASE, arguments={}), many) == (
        "arguments `n0`, `n1`, `n2`, `n3`, `n4` and 4 more new; code and image the same"
    )


@given(COMPONENTS, COMPONENTS)
def test_a_difference_is_always_explained(one: Components, other: Components) -> None:
    assert (explain(one, other) == "code, arguments and image the same") is (one == other)


def of(code: str, **arguments: int) -> Components:
    return Components(code, {name: f"h1:{value}" for name, value in arguments.items()})


@pytest.mark.parametrize(
    ("earlier", "why"),
    [
        pytest.param([], None, id="nothing is known"),
        pytest.param([of("c", n=1, m=1)], None, id="the same run: its entry is gone"),
        pytest.param([of("c", n=2, m=1)], "run 0: argument `n` changed; code the same", id="one argument"),
        pytest.param([of("d", n=1, m=1)], "run 0: code changed; arguments the same", id="the code"),
        pytest.param(
            [of("d", n=2, m=2), of("c", n=2, m=1), of("d", n=1, m=2)],
            "run 1: argument `n` changed; code the same",
            id="the nearest, not the newest",
        ),
        pytest.param(
            [of("c", n=2, m=1), of("c", n=3, m=1)],
            "run 0: argument `n` changed; code the same",
            id="the newest of the nearest",
        ),
        pytest.param([of("c", n=1)], "run 0: argument `m` new; code the same", id="an argument more"),
        pytest.param([of("c", n=1, m=1, k=1)], "run 0: argument `k` gone; code the same", id="an argument less"),
    ],
)
def test_a_miss_is_explained_by_the_nearest_earlier_run(earlier: list[Components], why: str | None) -> None:
    runs = [Earlier(f"run {at}", components) for at, components in enumerate(earlier)]
    found = why_missed(of("c", n=1, m=1), runs)
    assert found == (why and Compared(f"Compared with '{why[:5]}'{why[5:]}.", why[:5]))


RUNS = st.lists(
    st.builds(Earlier, st.text(min_size=1), st.builds(Components, st.text(min_size=1))), max_size=RECENT_RUNS
)


@given(RUNS)
def test_what_is_stored_is_read_again(runs: list[Earlier]) -> None:
    assert load_recent(dump_recent(runs)) == tuple(runs)


def test_the_newest_runs_are_remembered_each_once() -> None:
    runs: tuple[Earlier, ...] = ()
    for number in range(RECENT_RUNS + 4):
        runs = remember(Earlier(f"run {number}", of("c", n=number)), runs)
    assert [run.task_run for run in runs] == [f"run {number}" for number in range(RECENT_RUNS + 3, 3, -1)]
    again = remember(Earlier("again", of("c", n=10)), runs)
    assert [run.task_run for run in again[:2]] == ["again", f"run {RECENT_RUNS + 3}"]
    assert "run 10" not in [run.task_run for run in again]


def test_what_is_too_large_is_forgotten_the_oldest_first() -> None:
    large = [Earlier(f"run {at}", of("c" * (POINTER_LIMIT // 3), n=at)) for at in range(4)]
    assert [run.task_run for run in load_recent(dump_recent(large))] == ["run 0", "run 1"]


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"runs": 1}', b'{"runs": [{"taskRun": "a"}]}', b"[" * 100_000])
def test_whatever_is_odd_about_the_document_is_no_error(data: bytes) -> None:
    assert load_recent(data) == ()


def test_an_environment_that_changed_is_named() -> None:
    before, after = replace(BASE, environment="sha256:1"), replace(BASE, environment="sha256:2")
    assert explain(before, after).startswith("environment (spec.env) changed; ")
    assert explain(BASE, after).startswith("environment (spec.env) changed; ")
    assert why_missed(after, [Earlier("one", before)]) is not None
