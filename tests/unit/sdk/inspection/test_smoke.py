"""The program behind `helm test`, against an API server of one TaskRun: it says why, and leaves nothing behind."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError

import pytest

from podtask.inspection import smoke
from podtask.inspection.smoke import EXPECTED, SmokeError, run

Object = dict[str, Any]


def refused(code: int, message: str) -> HTTPError:
    return HTTPError("https://server", code, "Refused", {}, io.BytesIO(json.dumps({"message": message}).encode()))


def status(state: str, succeeded: str, *, message: str = "", value: str | None = EXPECTED, **more: Any) -> Object:
    finished = "False" if succeeded == "Unknown" else "True"
    conditions = [
        {"type": "Succeeded", "status": succeeded, "reason": state, "message": message},
        {"type": "Finished", "status": finished, "reason": state},
    ]
    return {"state": state, "conditions": conditions, "result": {"value": value}, **more}


PENDING = status("Pending", "Unknown", reason="Unschedulable", message="0/1 nodes are available.")
COMPLETED = status("Completed", "True")


class Server:
    """Answers like the API server; `watches` holds what each watch delivers: statuses, whole events, or an error."""

    namespace = "podtask-system"

    def __init__(self, *watches: list[Object] | Exception, create: Exception | None = None) -> None:
        self.watches = list(watches)
        self.create = create
        self.object: Object = {}
        self.deleted: list[str] = []

    def call(self, method: str, name: str = "", body: Object | None = None, **query: str) -> Object:
        if method == "POST":
            if self.create:
                raise self.create
            assert body is not None
            self.object = {**body, "metadata": {"name": "podtask-smoke-x", "resourceVersion": "1"}}
        if method == "DELETE":
            self.deleted.append(name)
        return self.object

    def watch(self, name: str, version: str, seconds: int) -> Iterator[Object]:
        assert seconds >= 1
        events = self.watches.pop(0) if self.watches else []
        if isinstance(events, Exception):
            raise events
        for event in events:
            if "type" in event:
                yield event
            else:
                self.object = {**self.object, "status": event}
                yield {"type": "MODIFIED", "object": self.object}


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock costs ten seconds, and pauses cost nothing."""
    now = iter(range(0, 100_000, 10))
    monkeypatch.setattr(smoke.time, "monotonic", lambda: float(next(now)))
    monkeypatch.setattr(smoke.time, "sleep", lambda _: None)


def test_a_run_that_completes_passes_and_is_deleted(capsys: pytest.CaptureFixture[str]) -> None:
    server = Server([PENDING, COMPLETED])
    assert run(server, 240) == EXPECTED
    assert server.deleted == ["podtask-smoke-x"]
    assert "Pending Unschedulable\nCompleted\n" in capsys.readouterr().out


def test_the_run_expires_by_itself_when_this_process_is_killed() -> None:
    assert smoke.task_run(60)["spec"]["ttlSecondsAfterFinished"] == 300


@pytest.mark.parametrize(
    "trouble", [[PENDING], [{"type": "ERROR", "object": {"code": 410}}], TimeoutError("slow"), refused(503, "later")]
)
def test_an_ended_watch_and_a_short_outage_are_survived(trouble: list[Object] | Exception) -> None:
    assert run(Server(trouble, [COMPLETED]), 240) == EXPECTED


FAILED = status("Failed", "False", message="ValueError: no", attempts=[{"cure": "Fix the task."}])


@pytest.mark.parametrize(
    ("server", "sentence"),
    [
        (Server([FAILED]), r"it ended as Failed \(Failed\): ValueError: no Fix the task\."),
        (Server([status("Completed", "True", value="1")]), 'with the value 1 instead of "hello ada"'),
        (Server(), "is the operator's pod running, and does it serve this namespace"),
        (Server([PENDING]), r"it is still Pending \(Unschedulable\)\. 0/1 nodes are available\."),
        (Server([{"type": "DELETED", "object": {}}]), "was deleted by somebody else"),
        (Server(refused(403, "taskruns is forbidden")), "cannot be followed: taskruns is forbidden"),
        (Server(*[OSError("no route")] * 30), "the API server does not answer: no route"),
    ],
)
def test_what_went_wrong_is_a_sentence_and_the_run_is_deleted(server: Server, sentence: str) -> None:
    with pytest.raises(SmokeError, match=sentence):
        run(server, 240)
    assert server.deleted == ["podtask-smoke-x"]


def test_a_refused_creation_gives_the_servers_sentence() -> None:
    server = Server(create=refused(404, "the server could not find the requested resource"))
    with pytest.raises(SmokeError, match="in namespace podtask-system was refused: the server could"):
        run(server, 240)
    assert server.deleted == []


def test_outside_of_a_pod_it_says_how_to_run_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr(smoke.signal, "signal", lambda *_: None)
    assert smoke.main([]) == 2
    assert "run it by `helm test`" in capsys.readouterr().out
