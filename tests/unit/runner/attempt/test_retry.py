"""What the task's own retry functions answer, and what becomes of those that fail."""

from __future__ import annotations

import math
from typing import Any

import pytest

from podtask_runner.attempt import retry
from podtask_runner.pickled_names import Shipped


def asked(condition: Any = None, delay: Any = None, attempt: int = 1) -> tuple[bool, float | None, str | None]:
    return retry.asked(Shipped(print, condition, delay), ValueError("x"), attempt)


def raising(error: BaseException) -> Any:
    def ask(*_: object) -> Any:
        raise error

    return ask


class Wordless(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("condition", "delay", "answer"),
    [
        (None, None, (True, None, None)),
        (lambda error, attempt: attempt == 1, None, (True, None, None)),
        (lambda error, attempt: attempt == 2, raising(KeyError("not asked")), (False, None, None)),
        (None, lambda error, attempt: 2 * attempt, (True, 2.0, None)),
        (None, lambda error, attempt: -1, (True, 0.0, None)),
        (None, lambda error, attempt: None, (True, None, None)),
    ],
)
def test_the_tasks_own_functions_decide(condition: Any, delay: Any, answer: Any) -> None:
    assert asked(condition, delay) == answer


@pytest.mark.parametrize(
    ("condition", "delay", "sentence"),
    [
        (
            lambda task, run, state: True,
            None,
            r"retry_condition_fn of the task raised TypeError: .*\(exception, attempt",
        ),
        (raising(SystemExit(3)), None, "retry_condition_fn of the task raised SystemExit: 3"),
        (raising(Wordless()), None, "could not be formatted"),
        (None, raising(KeyError("k")), "retry_delay_seconds of the task raised KeyError: 'k'"),
        (None, lambda error, attempt: "soon", "retry_delay_seconds of the task raised ValueError"),
        (None, lambda error, attempt: math.inf, "answered inf seconds"),
        (None, lambda error, attempt: math.nan, "answered nan seconds"),
    ],
)
def test_one_that_fails_ends_the_run_and_says_so(condition: Any, delay: Any, sentence: str) -> None:
    retryable, seconds, why = asked(condition, delay)
    assert (retryable, seconds) == (False, None)
    assert why is not None
    assert why.startswith("Not retried: ")
    with pytest.raises(AssertionError, match=sentence):
        raise AssertionError(why)


def test_an_async_condition_is_no_yes() -> None:
    async def condition(error: BaseException, attempt: int) -> bool:
        return True

    assert "must be a plain function" in str(asked(condition)[2])


@pytest.mark.parametrize("text", ["x" * 6000, "\udcff" * 6000, "ü\0" * 3000])
def test_a_whole_page_of_words_is_cut(text: str) -> None:
    why = str(asked(raising(ValueError(text)))[2])
    assert len(why.encode()) < 2500
