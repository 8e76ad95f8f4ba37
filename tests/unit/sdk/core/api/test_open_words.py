"""Reasons, outcomes, causes are open sets: a word of a newer version neither stops a reader nor needs another CRD."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from tests.support.builders import CREATED, run_object

from podtask.core import clock
from podtask.core.api.names import Cause, Ended, OpenWord, Reason
from podtask.core.crd import crd
from podtask.inspection.next_step import next_step
from podtask.inspection.task_run import SeenTaskRun
from podtask_operator.task_runs.parse import TaskRun

KINDS: list[type[OpenWord]] = [Reason, Ended, Cause]


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_word_is_itself(kind: type[OpenWord]) -> None:
    word = kind("QuantumLost")
    assert str(word) == word.value == "QuantumLost"
    assert word == kind("QuantumLost")
    assert {word: 1}[kind("QuantumLost")] == 1
    assert pickle.loads(pickle.dumps(word)) == word
    assert copy.deepcopy(word) == word
    assert word not in list(kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["", "two words", "lower", "A" * 65, "Line\n", "Ünicode", "9Lives", None, 7], ids=repr)
def test_what_is_no_word_is_refused(kind: type[OpenWord], text: Any) -> None:
    with pytest.raises(ValueError, match="is not a valid"):
        kind(text)


def test_a_known_word_is_the_member() -> None:
    assert Reason("Quota") is Reason.QUOTA


STATUS = {
    "state": "AwaitingRetry",
    "reason": "QuantumLost",
    "attemptsTotal": 1,
    "attempts": [
        {
            "number": 1,
            "cause": "Whim",
            "recordedAt": CREATED,
            "finishedAt": CREATED,
            "outcome": "Vanished",
            "reason": "QuantumLost",
        }
    ],
    "nextAttemptAt": CREATED,
}


def test_a_run_with_words_of_a_newer_version_is_read_and_goes_on() -> None:
    run = TaskRun.parse(run_object({"retries": 2}, status=STATUS))
    assert run.status.reason == Reason("QuantumLost")
    assert run.status.attempts[0].outcome == Ended("Vanished")
    assert run.status.attempts[0].judged


@pytest.mark.parametrize("state", ["Pending", "Running", "AwaitingRetry", "Failed", "Crashed", "Completed"])
def test_a_person_is_told_what_to_do_next(state: str) -> None:
    seen = SeenTaskRun(run_object(status={**STATUS, "state": state}))
    assert next_step(seen, clock.now())


def test_the_crd_names_none_of_the_words() -> None:
    version = crd()["spec"]["versions"][0]
    status = version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    attempt = status["attempts"]["items"]["properties"]
    for schema in (status["reason"], attempt["reason"], attempt["outcome"], attempt["cause"]):
        assert "enum" not in schema
        assert schema["maxLength"] == 64
