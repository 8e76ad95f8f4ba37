"""Equal values have equal hashes in every process: on every Python minor, with every hash seed, after a pickle."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.runner.harness import RUNNER
from tests.unit.runner.hashing import sample
from tests.unit.runner.hashing.interpreters import SEEDS, Worker, ask_all, interpreters
from tests.unit.runner.hashing.values import VALUES, neighbours, spelled, typed

from podtask_runner.hashing.content_hash import content_hash

RECORDED = {
    "none": "1a566744f1e5",
    "ints": "c45f09ce2a8b",
    "floats": "940b5d0bc678",
    "strings": "6cc3ac7723cb",
    "set": "c6c6941c5d27",
    "frozenset in dict": "2f33abdf6dcc",
    "dict": "28d1d9168d7a",
    "ordered": "62c4b01efd04",
    "deque": "30885b13a190",
    "numbers": "0c84fc991060",
    "times": "327b7c45e0f0",
    "zones": "88e9e451f3df",
    "paths": "edd878928f84",
    "uuid": "4faec2d3ebf6",
    "range and slice": "915f2ba4a0c8",
    "many ints": "1b9d4a0ad222",
    "many floats": "ed42fe3df0fb",
    "many strings": "e0894798b229",
    "pattern": "7b9f24373876",
    "cycle": "d58581197653",
}
"""Caches outlive releases and Python minors: who changes one of these changes `canonical.PREFIX` with it."""


@pytest.fixture(scope="module")
def workers() -> Iterator[list[Worker]]:
    """A fresh process for every Python minor of this machine and every hash seed."""
    script = Path(sample.__file__).with_name("hash_worker.py")
    started = [Worker(script, path, seed) for path in interpreters().values() for seed in SEEDS]
    yield started
    for worker in started:
        worker.close()


@given(value=VALUES)
def test_equal_values_have_one_hash_in_every_process(workers: list[Worker], value: Any) -> None:
    answers = ask_all(workers, [spelled(value), spelled(value, backwards=True)])
    assert {found for answer in answers for found in answer} == {answers[0][0]}


@given(value=VALUES, data=st.data())
def test_different_values_have_different_hashes_in_every_process(workers: list[Worker], value: Any, data: Any) -> None:
    others = [near for near in neighbours(value) if typed(near) != typed(value)]
    other = data.draw(st.sampled_from(others))
    for one, two in ask_all(workers, [spelled(value), spelled(other)]):
        assert one != two


def hashes(seed: str, interpreter: str) -> dict[str, str]:
    done = subprocess.run(
        [interpreter, str(Path(sample.__file__))],
        env={**os.environ, "PYTHONPATH": RUNNER, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_code_classes_and_objects_have_one_hash_in_every_process() -> None:
    first, *others = [hashes(seed, path) for path in interpreters().values() for seed in SEEDS]
    assert len(set(first.values())) == len(first), "different values, different hashes"
    for other in others:
        assert other == first


@pytest.mark.parametrize("name", RECORDED)
def test_releases_and_python_minors_do_not_matter(name: str) -> None:
    assert content_hash(sample.VALUES[name]).startswith(f"h1:{RECORDED[name]}")


@pytest.mark.parametrize("name", sorted(set(sample.VALUES) - {"module"}))
def test_a_journey_through_a_pickle_does_not_matter(name: str) -> None:
    value = sample.VALUES[name]
    assert content_hash(pickle.loads(pickle.dumps(value))) == content_hash(value)


def test_a_second_look_does_not_matter() -> None:
    for value in sample.VALUES.values():
        assert content_hash(value) == content_hash(value)
