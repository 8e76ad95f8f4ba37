"""The mutation corpus on every Python minor of this machine: what changes the identity of code, and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.runner.hashing import mutations
from tests.unit.runner.hashing.interpreters import Worker, ask_all, interpreters
from tests.unit.runner.hashing.mutations import CHANGES, KEEPS

Found = dict[str, dict[str, str]]
PROGRAMS = sorted({program for pair in (*CHANGES.values(), *KEEPS.values()) for program in pair})


@pytest.fixture(scope="module")
def found() -> Found:
    """Minor -> program -> identity; one process per minor answers for all programs."""
    script = Path(mutations.__file__).with_name("code_worker.py")
    workers = {minor: Worker(script, path) for minor, path in interpreters().items()}
    answers = ask_all(list(workers.values()), PROGRAMS)
    for worker in workers.values():
        worker.close()
    return {minor: dict(zip(PROGRAMS, answer, strict=True)) for minor, answer in zip(workers, answers, strict=True)}


@pytest.mark.parametrize("what", CHANGES)
def test_it_changes_the_identity(found: Found, what: str) -> None:
    one, other = CHANGES[what]
    for minor, of in found.items():
        assert of[one] != of[other], f"on {minor}"


@pytest.mark.parametrize("what", KEEPS)
def test_it_keeps_the_identity(found: Found, what: str) -> None:
    one, other = KEEPS[what]
    for minor, of in found.items():
        assert of[one] == of[other], f"on {minor}"


@pytest.mark.parametrize("what", [*CHANGES, *KEEPS])
def test_it_has_one_identity_on_all_minors(found: Found, what: str) -> None:
    for program in {**CHANGES, **KEEPS}[what]:
        seen = {of[program] for of in found.values()}
        by_bytecode = "lambdas on a line" in what  # no tree can be told to be theirs
        assert len(seen) == (len(found) if by_bytecode else 1)
        assert all(identity.startswith("h1:") for identity in seen), seen


def test_the_corpus_is_large_enough() -> None:
    assert len(CHANGES) + len(KEEPS) >= 60
    assert not CHANGES.keys() & KEEPS.keys()
