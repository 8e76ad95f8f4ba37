"""Exceptions of tasks: whatever they are, they are retried and raised, and they show every place."""

from __future__ import annotations

import threading
import traceback

import pytest

from podtask import flow, get_run_context, task


def shown(error: BaseException) -> str:
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


@pytest.mark.usefixtures("backend")
class TestPlaces:
    def test_the_traceback_of_a_task_names_the_file_and_shows_the_line(self) -> None:
        def helper(x):
            return 1 / x  # here it happens

        @task
        def div(x):
            return helper(x)

        @flow
        def failing():
            return shown(div(0).result(raise_on_failure=False))

        text = failing()
        assert 'File "tests/conformance/test_exceptions.py", line' in text
        assert "in helper" in text
        assert "return 1 / x  # here it happens" in text

    @pytest.mark.parametrize("how", ["from", "while handled", "from None", "deep", "group"])
    def test_chained_exceptions_show_all_their_places(self, how: str) -> None:
        @task
        def read_config(how):
            def inner():
                return {}["region"]  # the first place

            def middle():
                try:
                    inner()
                except KeyError as error:
                    raise OSError("unreadable") from error  # the second place

            try:
                middle() if how == "deep" else inner()
            except (KeyError, OSError) as error:
                if how == "while handled":
                    raise ValueError("no region")  # noqa: B904
                if how == "from None":
                    raise ValueError("no region") from None
                if how == "group":
                    error.add_note("seen") if hasattr(error, "add_note") else None
                raise ValueError("no region") from error

        @flow
        def failing():
            return read_config(how).result(raise_on_failure=False)

        error = failing()
        text = shown(error)
        assert isinstance(error, ValueError)
        assert 'raise ValueError("no region")' in text
        assert ("# the first place" in text) is (how != "from None")
        assert ("# the second place" in text) is (how == "deep")
        first = {"from": KeyError, "while handled": type(None), "deep": OSError, "group": KeyError}.get(how)
        assert how == "from None" or isinstance(error.__cause__, first)  # type: ignore[arg-type]
        assert (how == "while handled") is isinstance(error.__context__, KeyError)


@pytest.mark.usefixtures("backend")
class TestUnpicklable:
    def test_an_exception_that_cannot_be_pickled_is_retried(self) -> None:
        @task(retries=3)
        def call():
            class ApiError(Exception):
                def __init__(self, message):
                    super().__init__(message)
                    self.connection = threading.Lock()

            if get_run_context().task_run.run_count < 3:
                raise ApiError("503, try again")
            return "ok"

        @flow
        def calling():
            future = call()
            return future.result(), future.task_run.status.attempts_total

        assert calling() == ("ok", 3)

    @pytest.mark.parametrize("kind", ["itself", "its cause", "its note", "its arguments"])
    def test_one_that_fails_for_good_is_reported_with_type_words_notes_and_place(self, kind: str) -> None:
        @task(retries=1)
        def call(kind):
            class ApiError(Exception):
                pass

            error = ApiError(threading.Lock()) if kind == "its arguments" else ApiError("503")
            error.__notes__ = ["asked at noon", threading.Lock()] if kind == "its note" else ["asked at noon"]
            if kind == "itself":
                error.connection = threading.Lock()
            cause = KeyError(threading.Lock()) if kind == "its cause" else None
            raise error from cause  # the place

        @flow
        def calling():
            future = call(kind)
            state = future.wait()
            return state.name, state.message, future.task_run.status.attempts_total, state.exception()

        name, message, attempts, error = calling()
        assert (name, attempts) == ("Failed", 2)
        assert "ApiError: " in message
        text = shown(error)
        assert "raise error from cause  # the place" in text
        assert "ApiError" in text
        assert error.__notes__[0] == "asked at noon"
        assert kind != "its cause" or "KeyError" in text


@pytest.mark.usefixtures("backend")
class TestRetryFunctions:
    @pytest.mark.parametrize("option", ["retry_condition_fn", "retry_delay_seconds"])
    def test_one_that_fails_is_told_in_state_and_exception(self, option: str) -> None:
        @task(retries=3, **{option: lambda task, run, state: True})
        def flaky():
            raise ConnectionError("once more, please")

        @flow
        def trying():
            future = flaky()
            state = future.wait()
            return state.name, state.message, future.task_run.status, state.exception()

        name, message, status, error = trying()
        why = f"Not retried: {option} of the task raised TypeError: "
        assert (name, status.attempts_total) == ("Failed", 1)
        assert "ConnectionError: once more, please. " + why in message
        assert status.error.cure.startswith(why)
        assert isinstance(error, ConnectionError)
        assert error.__notes__[0].startswith(why)

    @pytest.mark.parametrize("words", ["x", "ü", "\0"])
    def test_a_long_text_of_one_does_not_hide_the_exception(self, words: str) -> None:
        def condition(error, attempt):
            raise ValueError(words * 6000)

        @task(retries=3, retry_condition_fn=condition)
        def flaky():
            raise ConnectionError("once more, please")

        @flow
        def trying():
            state = flaky().wait()
            return state.name, type(state.exception()).__name__

        assert trying() == ("Failed", "ConnectionError")
