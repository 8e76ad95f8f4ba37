"""Every end of an attempt, by real runs of the supervisor with real children."""

from __future__ import annotations

import base64
import json
import os
import select
import signal
from typing import Any

import pytest
from tests.unit.runner.harness import Attempt, Ran, inline, stored

from podtask_runner import protocol
from podtask_runner.names import PYTHON, TERMINATION_LIMIT, VALUE_LIMIT
from podtask_runner.pickled_names import Shipped
from podtask_runner.process.supervisor import EXIT_CODES
from podtask_runner.protocol import Verdict
from podtask_runner.serialization import header, pickling
from podtask_runner.serialization.exceptions import dump_exception
from podtask_runner.storage.spool import digest


def verdict(ran: Ran, expected: Verdict) -> Ran:
    assert ran.outcome.outcome is expected, ran.stdout
    assert ran.exit_code == EXIT_CODES[expected]
    return ran


class TestCompleted:
    def test_a_result_that_json_carries_is_stored_as_json_and_shown_in_the_status(self, attempt: Attempt) -> None:
        ran = verdict(
            attempt.source("def main(name):\n    return f'hello {name}'", parameters={"name": "ada"}), Verdict.COMPLETED
        )
        data = attempt.path("result").read_bytes()
        assert data == b'"hello ada"'
        assert ran.result.value == '"hello ada"'
        assert (ran.result.digest, ran.result.size, ran.result.serializer) == (digest(data), 11, "json")
        assert ran.result.contentHash is not None
        assert ran.result.contentHash.startswith("h1:")

    def test_the_outcome_object_and_the_termination_message_are_the_same_bytes(self, attempt: Attempt) -> None:
        ran = attempt.source("def main():\n    return 1")
        assert attempt.path("outcome").read_bytes() == ran.termination

    def test_any_other_result_is_pickled_and_small_ones_travel_inline(self, attempt: Attempt) -> None:
        ran = verdict(attempt.call(lambda x: {1, x}, 2), Verdict.COMPLETED)
        assert ran.result.serializer == "cloudpickle"
        assert ran.result.inline is not None
        assert pickling.loads(base64.b64decode(ran.result.inline)) == {1, 2}
        assert pickling.loads(attempt.path("result").read_bytes()) == {1, 2}

    def test_a_large_result_stays_in_the_store_only(self, attempt: Attempt) -> None:
        ran = verdict(attempt.source("def main():\n    return 'x' * 5_000_000"), Verdict.COMPLETED)
        assert ran.result.value is None
        assert ran.result.inline is None
        assert ran.result.size == attempt.path("result").stat().st_size == 5_000_002

    def test_a_result_of_very_many_elements_gets_no_content_hash(self, attempt: Attempt) -> None:
        ran = verdict(attempt.source("def main():\n    return list(range(600_000))"), Verdict.COMPLETED)
        assert ran.result.contentHash is None

    def test_a_value_of_many_quotes_still_fits_the_termination_message(self, attempt: Attempt) -> None:
        ran = verdict(attempt.source("def main():\n    return '\"' * 1000"), Verdict.COMPLETED)
        assert len(ran.termination) <= TERMINATION_LIMIT
        assert ran.result.size <= VALUE_LIMIT

    def test_an_async_function_is_awaited(self, attempt: Attempt) -> None:
        source = "import asyncio\nasync def main():\n    await asyncio.sleep(0)\n    return 'awaited'"
        assert attempt.source(source).result.value == '"awaited"'

    def test_a_class_that_the_source_defines_can_be_read_elsewhere(self, attempt: Attempt) -> None:
        ran = attempt.source("class Point:\n    x = 3\ndef main():\n    return Point()")
        assert pickling.loads(attempt.path("result").read_bytes()).x == 3
        verdict(ran, Verdict.COMPLETED)

    def test_user_code_finds_its_run_in_the_context_and_in_the_environment(self, attempt: Attempt) -> None:
        def look() -> list[Any]:
            import os

            from podtask_runner.attempt.context import current

            info = current()
            assert info is not None
            return [
                info.task_run,
                info.attempt,
                list(info.tags),
                os.environ["PODTASK_TASK_RUN"],
                os.environ["PODTASK_ATTEMPT"],
            ]

        ran = attempt.call(look, options={"attempt": 3, "tags": ("blue",)})
        assert json.loads(ran.result.value or "") == ["hello", 3, ["blue"], "hello", "3"]

    def test_a_thread_left_running_does_not_hold_up_the_outcome_for_ever(self, attempt: Attempt) -> None:
        source = (
            "import threading\ndef main():\n    threading.Thread(target=threading.Event().wait).start()\n    return 1"
        )
        verdict(attempt.source(source, grace_seconds=0.2, timeout_seconds=60.0), Verdict.COMPLETED)

    def test_a_standard_output_of_the_users_own_that_cannot_be_flushed_costs_no_result(self, attempt: Attempt) -> None:
        source = (
            "import sys\nclass Mute:\n    def write(self, text):\n        return len(text)\n"
            "    def flush(self):\n        raise NotImplementedError\n"
            "def main():\n    sys.stdout = Mute()\n    return 1"
        )
        verdict(attempt.source(source), Verdict.COMPLETED)

    def test_an_exception_is_told_although_the_task_has_filled_the_disk(self, attempt: Attempt) -> None:
        source = (
            "import resource\ndef main():\n    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
            "    raise OSError('no space left' * 1000)"
        )
        ran = verdict(attempt.source(source), Verdict.FAILED)
        assert "no space left" in ran.error.message
        assert ran.error.retryable

    def test_a_process_that_user_code_forks_does_not_report_twice(self, attempt: Attempt) -> None:
        ran = verdict(attempt.source("import os\ndef main():\n    return os.fork() > 0"), Verdict.COMPLETED)
        assert ran.result.value == "true"

    @pytest.mark.parametrize(
        ("end", "code"), [("sys.exit(3)", 3), ("sys.exit('no')", 1), ("1 / 0", 1), ("return 'not this'", 0)]
    )
    def test_a_process_that_user_code_forks_ends_with_its_own_exit_code(
        self, attempt: Attempt, end: str, code: int
    ) -> None:
        source = (
            f"import os, sys\ndef main():\n    child = os.fork()\n    if child == 0:\n        {end}\n"
            "    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])"
        )
        ran = verdict(attempt.source(source), Verdict.COMPLETED)
        assert ran.result.value == str(code)
        assert ("ZeroDivisionError" in ran.stdout) is (end == "1 / 0")

    def test_a_process_that_user_code_forks_leaves_the_result_alone(self, attempt: Attempt) -> None:
        source = (
            "import os, threading\nclass Slow:\n    def __reduce__(self):\n        os.waitpid(child, 0)\n"
            "        return int, ()\ndef main():\n    global child\n    child = os.fork()\n"
            "    return Slow() if child else 'x' * 10_000"
        )
        ran = verdict(attempt.source(source), Verdict.COMPLETED)
        assert digest(attempt.path("result").read_bytes()) == ran.result.digest

    def test_a_result_stored_by_an_earlier_execution_of_the_attempt_stands(self, attempt: Attempt) -> None:
        stored(attempt.path("result"), b'"first"')
        ran = verdict(attempt.source("def main():\n    return 'second'"), Verdict.COMPLETED)
        assert (ran.result.digest, ran.result.size) == (digest(b'"first"'), 7)
        assert ran.result.value is None

    def test_an_outcome_stored_by_an_earlier_execution_is_the_one_that_is_told(self, attempt: Attempt) -> None:
        first = protocol.dump_outcome(protocol.Outcome(Verdict.FAILED, error=protocol.Error("E", "first")))
        stored(attempt.path("outcome"), first)
        assert verdict(attempt.source("def main():\n    return 1"), Verdict.FAILED).termination == first


class TestInputs:
    def test_upstream_results_take_the_place_of_references_and_of_parameters(self, attempt: Attempt) -> None:
        class Future:
            ref = "up-1"

        data = pickling.dumps(
            (([Future()], 1), {}), reference=lambda obj: getattr(obj, "ref", None) if type(obj) is Future else None
        )
        upstream = (
            protocol.Upstream(stored(attempt.path("a"), b"[1.0,2]", "json"), ref="up-1"),
            protocol.Upstream(stored(attempt.path("b"), pickling.dumps({3})), parameter="extra"),
        )
        code = protocol.Code(shipped=inline(pickling.dumps(lambda xs, y, extra: repr((xs, y, extra)))))
        ran = attempt.run(attempt.grants(code, inputs=inline(data), upstream=upstream))
        assert ran.result.value == '"([[1.0, 2]], 1, {3})"'

    @pytest.mark.parametrize(
        ("state", "error", "expected"),
        [
            ("Failed", ValueError("boom", 1), "ValueError: ('boom', 1); None"),
            ("Failed", None, "RemoteError: sentence; None"),
            ("Crashed", SystemExit(3), "TaskCrashed: sentence; SystemExit"),
            ("TimedOut", None, "TaskTimedOut: sentence; None"),
            ("Cancelled", None, "TaskCancelled: sentence; None"),
            ("NotReady", None, "UpstreamNotReady: sentence; None"),
            ("Lost", None, "RunError: sentence; None"),
        ],
    )
    def test_the_failure_of_an_upstream_is_given_as_its_exception(
        self, attempt: Attempt, state: str, error: BaseException | None, expected: str
    ) -> None:
        given = protocol.NOTHING if error is None else stored(attempt.path("a"), dump_exception(error))
        upstream = (protocol.Upstream(given, "x", failure=protocol.Failure(state, "sentence")),)
        source = (
            "def main(x):\n    cause = x.__cause__ and type(x.__cause__).__name__\n"
            "    return f'{type(x).__name__}: {x}; {cause}'"
        )
        ran = verdict(attempt.source(source, upstream=upstream, v=3), Verdict.COMPLETED)
        assert json.loads(ran.result.value) == expected

    def test_a_failure_that_cannot_be_opened_here_is_given_with_its_words(self, attempt: Attempt) -> None:
        data = pickling.dumps(KeyError("x")).replace(b"builtins", b"nowhere_")
        upstream = (protocol.Upstream(stored(attempt.path("a"), data), "x", failure=protocol.Failure("Failed", "why")),)
        ran = attempt.source("def main(x):\n    return f'{type(x).__name__}: {x}'", upstream=upstream, v=3)
        assert verdict(ran, Verdict.COMPLETED).result.value == '"RemoteError: why"'

    def test_an_exception_that_could_not_be_pickled_is_given_as_its_words(self, attempt: Attempt) -> None:
        class Local(Exception):
            def __reduce__(self) -> Any:
                raise TypeError("no way")

        data = dump_exception(Local("boom"))
        upstream = (protocol.Upstream(stored(attempt.path("a"), data), "x", failure=protocol.Failure("Failed", "why")),)
        ran = attempt.source("def main(x):\n    return f'{type(x).__module__}: {x}'", upstream=upstream, v=3)
        assert "podtask.errors" in verdict(ran, Verdict.COMPLETED).result.value
        assert "Local: boom" in ran.result.value

    def test_a_changed_object_is_input_corrupted_and_the_task_does_not_start(self, attempt: Attempt) -> None:
        blob = stored(attempt.path("a"), b'"truth"', "json")
        attempt.path("a").write_bytes(b'"wrong"')
        ran = attempt.source("print('started')\ndef main(x): pass", upstream=(protocol.Upstream(blob, parameter="x"),))
        verdict(ran, Verdict.INPUT_CORRUPTED)
        assert "upstream x" in ran.error.message
        assert "started" not in ran.stdout

    def test_a_missing_object_is_input_corrupted(self, attempt: Attempt) -> None:
        blob = protocol.Blob("0" * 64, 3, url=f"file://{attempt.path('nowhere')}")
        ran = attempt.run(attempt.grants(protocol.Code(shipped=blob)))
        assert "not in the store" in verdict(ran, Verdict.INPUT_CORRUPTED).error.message

    def test_a_pickle_of_another_python_is_refused_before_it_is_opened(self, attempt: Attempt) -> None:
        other = header.Header(1, "2.7", "3.1.2", "linux-x86_64").line() + b"this would crash"
        ran = attempt.run(attempt.grants(protocol.Code(shipped=inline(other))))
        assert "Python 2.7" in verdict(ran, Verdict.ENVIRONMENT_MISMATCH).error.message
        assert PYTHON in ran.error.message
        assert "image with Python 2.7" in (ran.error.cure or "")

    def test_code_made_with_another_python_is_refused_first_of_all(self, attempt: Attempt) -> None:
        verdict(attempt.source("def main(:", python="3.99"), Verdict.ENVIRONMENT_MISMATCH)

    def test_a_module_that_the_image_lacks_is_named(self, attempt: Attempt, tmp_path: Any, monkeypatch: Any) -> None:
        (tmp_path / "only_on_the_laptop.py").write_text("def f(): return 1")
        monkeypatch.syspath_prepend(str(tmp_path))
        import only_on_the_laptop  # type: ignore[import-not-found]

        ran = verdict(attempt.call(only_on_the_laptop.f), Verdict.ENVIRONMENT_MISMATCH)
        assert "'only_on_the_laptop'" in ran.error.message


class TestFailed:
    def test_an_exception_is_told_to_people_and_kept_for_the_driver(self, attempt: Attempt) -> None:
        ran = verdict(attempt.source("def main():\n    x = {}\n    return x['key']"), Verdict.FAILED)
        assert (ran.error.type, ran.error.message) == ("KeyError", "'key'")
        assert "return x['key']" in (ran.error.traceback or "")
        assert "execute.py" not in (ran.error.traceback or "")
        assert "return x['key']" in ran.stdout
        kept = pickling.loads(attempt.path("error").read_bytes())
        assert isinstance(kept, KeyError)
        assert digest(attempt.path("error").read_bytes()) == ran.error.digest

    @pytest.mark.parametrize(
        ("retries_left", "retryable"),
        [(2, False), (0, True)],
        ids=["is asked while a retry is left", "is not asked after the last"],
    )
    def test_the_retry_condition(self, attempt: Attempt, retries_left: int, retryable: bool) -> None:
        def fail() -> None:
            raise ValueError("no")

        shipped = Shipped(fail, retry_condition=lambda exc, attempt: not isinstance(exc, ValueError) or attempt != 2)
        ran = attempt.call(shipped, options={"retries_left": retries_left, "retries_used": 1})
        assert verdict(ran, Verdict.FAILED).error.retryable is retryable

    def test_a_delay_that_the_task_computes_is_among_the_timings(self, attempt: Attempt) -> None:
        def fail() -> None:
            raise ValueError("busy")

        ran = attempt.call(Shipped(fail, retry_delay=lambda _, attempt: 10.0 * attempt), options={"retries_left": 1})
        assert ran.outcome.timings["delay"] == 10.0

    def test_a_retry_condition_that_fails_itself_ends_the_retries_and_says_so(self, attempt: Attempt) -> None:
        def fail() -> None:
            raise ValueError("no")

        def broken(exc: BaseException, attempt: int) -> bool:
            raise ZeroDivisionError("oops")

        ran = verdict(attempt.call(Shipped(fail, retry_condition=broken), options={"retries_left": 1}), Verdict.FAILED)
        assert ran.error.retryable is False
        assert "ZeroDivisionError" in (ran.error.cure or "")

    @pytest.mark.parametrize("words", ["x", "ü", "\x00", "\udc80"])
    def test_the_long_words_of_a_retry_condition_hide_nothing(self, attempt: Attempt, words: str) -> None:
        def fail() -> None:
            raise ValueError("no" * 3000)

        def broken(exc: BaseException, attempt: int) -> bool:
            raise ZeroDivisionError(words * 6000)

        ran = verdict(attempt.call(Shipped(fail, retry_condition=broken), options={"retries_left": 1}), Verdict.FAILED)
        assert ran.error.type == "ValueError"
        assert (ran.error.cure or "").startswith("Not retried: retry_condition_fn of the task raised")

    def test_an_exception_that_cannot_be_pickled_is_one_like_another(self, attempt: Attempt) -> None:
        ran = verdict(
            attempt.source("import threading\ndef main(): raise ValueError(threading.Lock())"), Verdict.FAILED
        )
        assert (ran.error.type, ran.error.retryable) == ("ValueError", True)
        assert "raise ValueError(threading.Lock())" in (ran.error.traceback or "")

    def test_a_huge_traceback_and_message_still_fit_the_termination_message(self, attempt: Attempt) -> None:
        source = "def main(n=300):\n    if n == 0:\n        raise ValueError('\\x00\\udc80ü' * 5000)\n    main(n - 1)"
        ran = verdict(attempt.source(source), Verdict.FAILED)
        assert len(ran.termination) <= TERMINATION_LIMIT
        assert ran.error.type == "ValueError"

    def test_an_exception_that_cannot_be_rebuilt_is_still_a_failure_that_may_be_retried(self, attempt: Attempt) -> None:
        source = (
            "class Odd(Exception):\n    def __init__(self, a, b):\n        super().__init__('odd')\n"
            "def main():\n    raise Odd(1, 2)"
        )
        ran = verdict(attempt.source(source), Verdict.FAILED)
        assert ran.error.retryable
        kept = pickling.loads(attempt.path("error").read_bytes())
        assert str(kept) == "Odd: odd"
        assert "raise Odd(1, 2)" in kept.__podtask_traceback__


class TestCrashed:
    @pytest.mark.parametrize(
        ("body", "kind", "message"),
        [
            pytest.param("import sys; sys.exit(3)", "SystemExit", "sys.exit(3)", id="a system exit by user code"),
            pytest.param("raise KeyboardInterrupt", "KeyboardInterrupt", "interrupt signal", id="a keyboard interrupt"),
            pytest.param(
                "raise GeneratorExit('odd')", "GeneratorExit", "GeneratorExit: odd", id="any other BaseException"
            ),
            pytest.param(
                "import threading; return threading.Lock()",
                "TypeError",
                "the result (lock)",
                id="an unpicklable result",
            ),
            pytest.param(
                "import ctypes; ctypes.string_at(0)", "SIGSEGV", "SIGSEGV while the task ran", id="a segmentation fault"
            ),
            pytest.param("import os; os.abort()", "SIGABRT", "SIGABRT", id="an abort"),
            pytest.param(
                "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
                "SIGKILL",
                "SIGKILL",
                id="a kill -9 of the child",
            ),
            pytest.param(
                "import os; os._exit(0)", "Exit", "code 0 and without a result", id="an exit without a result"
            ),
        ],
    )
    def test_is_the_verdict_for(self, attempt: Attempt, body: str, kind: str, message: str) -> None:
        ran = verdict(attempt.source(f"def main():\n    {body}", retries_left=3), Verdict.CRASHED)
        assert ran.error.type == kind
        assert message in ran.error.message
        assert ran.error.message.startswith("Execution was ")
        assert ran.error.cure
        assert not ran.error.retryable
        assert ran.error.message in ran.stdout

    def test_a_segmentation_fault_shows_the_python_line_that_caused_it(self, attempt: Attempt) -> None:
        ran = attempt.source("import ctypes\ndef main():\n    ctypes.string_at(0)")
        assert 'File "<task.source>", line 3 in main' in (ran.error.traceback or "")
        assert "Segmentation fault" in ran.stdout

    def test_a_crash_while_loading_says_so(self, attempt: Attempt) -> None:
        ran = verdict(attempt.source("import os\nos._exit(7)\ndef main(): pass"), Verdict.CRASHED)
        assert "loaded" in ran.error.message


class TestStopped:
    WAIT = "import threading, sys\nprint('ready', flush=True)\nthreading.Event().wait()"

    def stop(self, attempt: Attempt, body: str, number: int = signal.SIGTERM, **options: Any) -> Ran:
        text = "def main():\n" + "\n".join(f"    {line}" for line in body.splitlines())
        with attempt.started(attempt.grants(protocol.Code(source=text), **options)) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            os.kill(process.pid, number)
            return attempt.end(process)

    def test_sigterm_from_outside_is_an_interruption(self, attempt: Attempt) -> None:
        assert verdict(self.stop(attempt, self.WAIT), Verdict.INTERRUPTED).error.retryable

    def test_a_task_that_is_told_to_stop_tidies_up_on_its_way_out(self, attempt: Attempt) -> None:
        body = "try:\n" + "".join(f"    {line}\n" for line in self.WAIT.splitlines())
        ran = self.stop(attempt, body + "finally:\n    print('tidied up')")
        assert "tidied up" in ran.stdout
        assert "SystemExit" not in verdict(ran, Verdict.INTERRUPTED).error.message

    def test_an_async_task_that_is_told_to_stop_tidies_up_too(self, attempt: Attempt) -> None:
        body = (
            "import asyncio\nasync def work():\n    try:\n        print('ready', flush=True)\n"
            "        await asyncio.sleep(600)\n    finally:\n        print('tidied up')\nasyncio.run(work())"
        )
        assert "tidied up" in self.stop(attempt, body).stdout

    def test_a_process_that_the_task_forked_ends_by_the_signal_as_ever(self, attempt: Attempt) -> None:
        body = (
            "import multiprocessing, time\n"
            "child = multiprocessing.get_context('fork').Process(target=time.sleep, args=(600,))\n"
            "child.start()\nchild.terminate()\nchild.join(20)\nreturn child.exitcode"
        )
        ran = attempt.source("def main():\n" + "".join(f"    {line}\n" for line in body.splitlines()))
        assert verdict(ran, Verdict.COMPLETED).result.value == "-15"

    def test_sigterm_that_user_code_turns_into_system_exit_is_still_an_interruption(self, attempt: Attempt) -> None:
        body = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n" + self.WAIT
        assert "sys.exit(5)" in verdict(self.stop(attempt, body), Verdict.INTERRUPTED).error.message

    def test_sigterm_that_user_code_ignores_ends_in_a_kill_after_the_grace_time(self, attempt: Attempt) -> None:
        body = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + self.WAIT
        verdict(self.stop(attempt, body, grace_seconds=0.2), Verdict.INTERRUPTED)

    def test_work_that_is_finished_within_the_grace_time_counts(self, attempt: Attempt) -> None:
        # no Event: its lock may be held by the very code that the handler interrupts
        body = (
            "import signal, time\nasked = []\n"
            "signal.signal(signal.SIGTERM, lambda *_: asked.append(1))\nprint('ready', flush=True)\n"
            "while not asked:\n    time.sleep(0.01)\nreturn 'saved'"
        )
        assert verdict(self.stop(attempt, body), Verdict.COMPLETED).result.value == '"saved"'

    def test_a_task_beyond_its_time_is_timed_out_and_everything_it_started_is_gone(self, attempt: Attempt) -> None:
        pid_file = attempt.root / "pid"
        body = (
            "import subprocess, sys, pathlib, threading\n"
            "other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
            f"pathlib.Path({str(pid_file)!r}).write_text(str(other.pid))\nthreading.Event().wait()"
        )
        text = "def main():\n" + "\n".join(f"    {line}" for line in body.splitlines())
        ran = verdict(attempt.source(text, timeout_seconds=3.0), Verdict.TIMED_OUT)
        assert "3 s" in ran.error.message
        assert ran.error.retryable
        assert is_gone(int(pid_file.read_text()))

    def test_the_child_does_not_outlive_a_supervisor_that_is_killed(self, attempt: Attempt) -> None:
        text = "import os, threading\ndef main():\n    print(os.getpid(), flush=True)\n    threading.Event().wait()"
        with attempt.started(attempt.grants(protocol.Code(source=text))) as process:
            assert process.stdout is not None
            child = int(process.stdout.readline())
            process.kill()
        assert is_gone(child)


def is_gone(pid: int, seconds: float = 30.0) -> bool:
    """Whether a process has ended, or does so while we wait for it (it need not be our child)."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], seconds)[0])
    finally:
        os.close(handle)
