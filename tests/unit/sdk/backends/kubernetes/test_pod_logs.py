"""Pod logs, step by step: which lines are shown, in which order, and that no run waits for a log that is not there."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from tests.unit.sdk.backends.kubernetes.harness import run_of

from podtask import Task
from podtask.backends.kubernetes.pod_logs import BACKLOG, FAILURES, PODS_PER_LOOK, PodLogs
from podtask.core.api.names import Ended, State
from podtask.core.api.status import Attempt, Status
from podtask.kube.errors import ClusterRefused, ClusterUnreachable
from podtask.model.task_run import TaskRun

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
RUNNING = Status(State.RUNNING, attempts=(Attempt(1, started_at=NOW),), attempts_total=1)
JUDGED = replace(RUNNING.attempts[0], outcome=Ended.FAILED, finished_at=NOW)
WAITING = Status(State.AWAITING_RETRY, attempts=(JUDGED,), attempts_total=1)
FAILED = Status(State.FAILED, attempts=(JUDGED,), attempts_total=1, finished_at=NOW)


def one() -> int:
    return 1


class Scene:
    """Logs of pods as a test writes them, and what happened in which order."""

    def __init__(self) -> None:
        self.pods: dict[str, list[str]] = {}
        self.happened: list[str] = []
        self.reads: list[tuple[str, str | None]] = []
        self.refusal: Exception | None = None
        self.log_tail: dict[int, bytes] = {}
        self.logs = PodLogs(self.read, log_tail=lambda _, number: self.log_tail.get(number, b""), threaded=False)

    def read(self, pod: str, since: str | None, limit_bytes: int, seconds: float) -> str:
        self.reads.append((pod, since))
        if self.refusal is not None:
            raise self.refusal
        lines = self.pods.get(pod, [])
        kept = [line for line in lines if since is None or line[:19] >= since[:19]]
        return "".join(f"{line}\n" for line in kept)

    def update(self, run: TaskRun, status: Status) -> None:
        self.logs.update(run, status, lambda: self.happened.append(f"told {status.state}"))


@pytest.fixture
def scene(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Scene:
    made = Scene()

    class Out:
        def __init__(self, info: object) -> None:
            pass

        def info(self, _: str, line: str) -> None:
            made.happened.append(line)

    monkeypatch.setattr("podtask.backends.kubernetes.pod_logs.task_run_logger", Out)
    return made


@pytest.fixture
def run() -> TaskRun:
    return run_of(Task(one))


def test_a_short_tasks_lines_come_before_its_end(scene: Scene, run: TaskRun) -> None:
    scene.pods[f"{run.id}-1"] = ["2026-01-02T03:04:05.1Z hello", "2026-01-02T03:04:05.2Z "]
    scene.update(run, FAILED)
    assert scene.happened == []
    scene.logs.step()
    assert scene.happened == ["hello", "", "told Failed"]


def test_a_running_tasks_lines_come_as_they_are_written_each_once(scene: Scene, run: TaskRun) -> None:
    lines = scene.pods[f"{run.id}-1"] = ["2026-01-02T03:04:05.1Z one", "2026-01-02T03:04:05.2Z two"]
    scene.update(run, RUNNING)
    scene.logs.step()
    lines.append("2026-01-02T03:04:05.3Z three")
    scene.logs.step()
    lines.append("2026-01-02T03:04:06.1Z four")
    scene.update(run, FAILED)
    scene.logs.step()
    assert scene.happened == ["told Running", "one", "two", "three", "four", "told Failed"]
    assert [since for _, since in scene.reads] == [None, "2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"]


@pytest.mark.parametrize("end", ["\r", "\f", "\x1c", "\x85", "\u2028"])
def test_what_python_takes_for_the_end_of_a_line_too_loses_no_line(scene: Scene, run: TaskRun, end: str) -> None:
    bar = f"epoch 1:  10%{end}epoch 1:  20%"
    lines = scene.pods[f"{run.id}-1"] = [f"2026-01-02T03:04:05.1Z {bar}", "2026-01-02T03:04:05.2Z saved"]
    scene.update(run, RUNNING)
    scene.logs.step()
    lines.append("2026-01-02T03:04:06.1Z done")
    scene.logs.step()
    assert scene.happened == ["told Running", bar, "saved", "done"]


def test_a_node_that_is_not_on_utc_is_asked_for_what_came_since(scene: Scene, run: TaskRun) -> None:
    lines = scene.pods[f"{run.id}-1"] = ["2026-03-29T01:59:59.100000000+01:00 one"]
    scene.update(run, RUNNING)
    scene.logs.step()
    lines += ["2026-03-29T03:00:00.100000000+02:00 two", "2026-03-29T03:00:01.100000000+02:00 three"]
    scene.logs.step()
    lines.append("2026-10-25T02:00:00.100000000+01:00 four")
    scene.update(run, FAILED)
    scene.logs.step()
    assert scene.happened == ["told Running", "one", "two", "three", "four", "told Failed"]
    assert [since for _, since in scene.reads] == [None, "2026-03-29T00:59:59Z", "2026-03-29T01:00:01Z"]


def test_what_the_kubelet_says_instead_of_a_log_is_no_line_of_it(scene: Scene, run: TaskRun) -> None:
    lines = scene.pods[f"{run.id}-1"] = ["unable to retrieve container logs for cri-o://0123"]
    scene.update(run, RUNNING)
    scene.logs.step()
    lines.append("2026-01-02T03:04:05.1Z one")
    scene.update(run, FAILED)
    scene.logs.step()
    assert scene.happened == ["told Running", "one", "told Failed"]


def test_every_attempt_is_read_once(scene: Scene, run: TaskRun) -> None:
    scene.pods = {f"{run.id}-1": ["2026-01-02T03:04:05.1Z first"], f"{run.id}-2": ["2026-01-02T03:04:07.1Z second"]}
    scene.update(run, WAITING)
    scene.update(run, WAITING)
    scene.update(run, replace(FAILED, attempts=(JUDGED, replace(JUDGED, number=2)), attempts_total=2))
    scene.logs.step()
    scene.logs.step()
    assert scene.happened == ["told AwaitingRetry", "told AwaitingRetry", "first", "second", "told Failed"]
    assert len(scene.reads) == 2


@pytest.mark.parametrize(
    "status",
    [
        Status(State.NOT_READY, finished_at=NOW),
        Status(State.CACHED, finished_at=NOW),
        replace(FAILED, attempts=(replace(JUDGED, started_at=None),)),
    ],
)
def test_without_a_container_that_started_there_is_nothing_to_read(scene: Scene, run: TaskRun, status: Status) -> None:
    scene.update(run, status)
    assert scene.happened == [f"told {status.state}"]


def test_an_attempt_that_runs_at_a_cancelled_end_is_read_too(scene: Scene, run: TaskRun) -> None:
    scene.pods[f"{run.id}-1"] = ["2026-01-02T03:04:05.1Z last words"]
    scene.update(run, replace(RUNNING, state=State.CANCELLED, finished_at=NOW))
    scene.logs.step()
    assert scene.happened == ["last words", "told Cancelled"]


def test_a_pod_that_is_gone_costs_only_its_lines(scene: Scene, run: TaskRun) -> None:
    scene.refusal = ClusterRefused("no such pod", 404, "NotFound")
    for _ in range(FAILURES + 1):
        scene.update(run, FAILED)
        scene.logs.step()
    assert scene.happened == ["told Failed"] * (FAILURES + 1)
    assert not scene.logs.off


@pytest.mark.parametrize(
    ("refusal", "reads"), [(ClusterRefused("may not", 403), 1), (ClusterUnreachable("timed out"), FAILURES)]
)
def test_logs_that_cannot_be_had_are_given_up_with_one_line(
    scene: Scene, caplog: pytest.LogCaptureFixture, refusal: Exception, reads: int
) -> None:
    scene.refusal = refusal
    for number in range(FAILURES + 2):
        scene.update(run_of(Task(one), number=str(number)), FAILED)
        if not scene.logs.off:
            scene.logs.step()
    assert scene.happened == ["told Failed"] * (FAILURES + 2)
    assert len(scene.reads) == reads
    assert caplog.text.count("is not shown any more") == 1


def test_with_many_ends_at_once_results_go_first(scene: Scene) -> None:
    for number in range(BACKLOG + 5):
        scene.update(run_of(Task(one), number=str(number)), FAILED)
    assert scene.happened == ["told Failed"] * 5


def test_a_look_is_at_a_few_pods_and_all_have_their_turn(scene: Scene) -> None:
    runs = [run_of(Task(one), number=str(number)) for number in range(PODS_PER_LOOK + 3)]
    for run in runs:
        scene.update(run, RUNNING)
    scene.logs.step()
    assert len(scene.reads) == PODS_PER_LOOK
    scene.logs.step()
    assert {pod for pod, _ in scene.reads} == {f"{run.id}-1" for run in runs}


def test_closing_tells_what_waited(scene: Scene, run: TaskRun) -> None:
    scene.update(run, FAILED)
    scene.logs.close()
    assert scene.happened == ["told Failed"]
    late: list[Any] = []
    scene.logs.update(run, FAILED, lambda: late.append("told"))
    assert late == ["told"]


KILLED = replace(FAILED, attempts=(replace(JUDGED, outcome=Ended.OUT_OF_MEMORY),))


def test_a_log_that_its_runner_could_not_complete_ends_with_the_operators_sentence(scene: Scene, run: TaskRun) -> None:
    scene.pods[f"{run.id}-1"] = ["2026-01-02T03:04:05.1Z hello"]
    scene.log_tail[1] = b"hello\n[podtask: attempt 1 ended (OutOfMemory)]\n"
    scene.update(run, KILLED)
    scene.logs.step()
    assert scene.happened == ["hello", "[podtask: attempt 1 ended (OutOfMemory)]", "told Failed"]


def test_of_a_pod_that_is_gone_all_last_words_are_shown(scene: Scene, run: TaskRun) -> None:
    scene.refusal = ClusterRefused("gone", 404, "NotFound")
    scene.log_tail[1] = b"hello\n[podtask: attempt 1 ended (OutOfMemory)]\n"
    scene.update(run, KILLED)
    scene.logs.step()
    assert scene.happened == ["hello", "[podtask: attempt 1 ended (OutOfMemory)]", "told Failed"]


def test_an_attempt_that_its_runner_ended_is_not_asked_for_last_words(scene: Scene, run: TaskRun) -> None:
    scene.log_tail[1] = b"never asked for"
    scene.update(run, FAILED)
    scene.logs.step()
    assert scene.happened == ["told Failed"]


def test_last_words_that_cannot_be_had_cost_only_themselves(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> bytes:
        raise ClusterUnreachable("timed out")

    monkeypatch.setattr(scene.logs, "_log_tail", away)
    for number in range(2):
        scene.update(run_of(Task(one), number=str(number)), KILLED)
        scene.logs.step()
    assert scene.happened == ["told Failed"] * 2


def test_an_end_that_raises_keeps_no_other_from_being_told(run: TaskRun, caplog: pytest.LogCaptureFixture) -> None:
    told = threading.Event()

    def broken() -> None:
        raise RuntimeError("a table that is gone")

    logs = PodLogs(lambda *_: "")
    logs.update(run, FAILED, broken)
    logs.update(run_of(Task(one), number="other"), FAILED, told.set)
    assert told.wait(30)
    logs.close()
    assert "a table that is gone" in caplog.text
