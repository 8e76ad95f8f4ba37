"""Equal values have equal hashes in every process, whatever its hash seed, and after a journey through a pickle."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.runner import sample
from tests.unit.runner.harness import RUNNER

from podtask_runner.canonical import content_hash


def hashes(seed: str, interpreter: str = sys.executable) -> dict[str, str]:
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


def test_hash_seeds_do_not_matter() -> None:
    first, *others = [hashes(seed) for seed in ("0", "1", "2")]
    assert len(set(first.values())) == len(first), "different values, different hashes"
    for other in others:
        assert other == first


@pytest.mark.parametrize("name", sorted(set(sample.VALUES) - {"module"}))
def test_a_journey_through_a_pickle_does_not_matter(name: str) -> None:
    value = sample.VALUES[name]
    assert content_hash(pickle.loads(pickle.dumps(value))) == content_hash(value)


def test_a_second_look_does_not_matter() -> None:
    for value in sample.VALUES.values():
        assert content_hash(value) == content_hash(value)
