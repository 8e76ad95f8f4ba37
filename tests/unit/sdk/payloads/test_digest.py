"""The digest that guards a re-attached run, and the names that find it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.unit.sdk.harness import Stage, make_run

from podtask import Task, TaskFuture, task, task_input_hash
from podtask.model.task_run import RunKey, slug
from podtask.payloads.hashing import call_digest, code_hash


@task
def add(x, y=1):
    return x + y


@task
def subtract(x, y=1):
    return x - y


def test_the_same_call_has_the_same_digest_and_another_call_another(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    digests = [
        call_digest(make_run(made, stage, args, kwargs))
        for made, args, kwargs in [
            (add, (1,), {}),
            (add, (), {"x": 1, "y": 1}),
            (add, (2,), {}),
            (add, (1,), {"y": 2}),
            (subtract, (1,), {}),
        ]
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 4


def test_a_future_counts_as_the_run_it_stands_for(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    first, second = stage.run(add, 1), stage.run(add, 1)
    digests = {call_digest(make_run(add, stage, ([TaskFuture(run)],))) for run in (first, second, first)}
    assert len(digests) == 2


def test_what_has_no_stable_form_does_not_make_the_digest_unstable(tmp_path: Path) -> None:
    class Restless:
        def __podtask_hash__(self):
            raise TypeError("never the same")

    stage = Stage(tmp_path)
    assert len({call_digest(make_run(add, stage, (Restless(),))) for _ in range(2)}) == 1


def test_the_run_id_is_the_same_for_the_same_key_and_names_a_kubernetes_object() -> None:
    key = RunKey("flow", "task", "0")
    assert key.name("Größe & Co") == RunKey("flow", "task", "0").name("Größe & Co")
    others = {RunKey("flow", "task", "1"), RunKey("flow", "task0", ""), RunKey("flowtask", "", "0")}
    assert len({key.name("x"), *(other.name("x") for other in others)}) == 4


@pytest.mark.parametrize("name", ["greet", "The Ultimate Task", "ÄÖÜ", "", "9lives", "-", "x" * 300, "a_b.c"])
def test_every_task_name_gives_a_dns_label_with_room_for_the_attempt(name: str) -> None:
    assert re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", slug(name))
    assert len(RunKey("f", "t", "0").name(name)) <= 47


def test_the_input_hash_is_a_text_or_none() -> None:
    made = task(lambda x: x, name="made")

    class Context:
        task = made

    def key(x):
        return task_input_hash(Context, {"x": x})  # type: ignore[arg-type]

    assert key(1) == key(1)
    assert len({key(1), key(1.0), key("1"), key([1]), key({1})}) == 5
    assert key(object.__new__(type("Thing", (), {"__reduce_ex__": lambda *_: 1 / 0}))) is None


def test_a_function_that_is_put_into_a_task_counts_for_it_and_not_for_its_copies() -> None:
    def one(x: int) -> int:
        return x + 1

    def two(x: int) -> int:
        return x + 2

    add: Task[..., int] = Task(one)
    copy = add.with_options(name="copy")
    first = code_hash(add)
    assert code_hash(copy) == first
    copy.fn = two
    assert code_hash(copy) == code_hash(Task(two)) != first
    assert code_hash(add) == first
    copy.fn = one
    assert code_hash(copy) == first
