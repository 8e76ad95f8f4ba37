"""The program behind `helm test`, against a server that follows a script: it says why, and leaves nothing behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.sdk.kube.scripted_server import Answer, Scene, hangs_up, says, serving, streams

from podtask.inspection import smoke
from podtask.inspection.cluster import Cluster
from podtask.inspection.smoke import EXPECTED, SmokeError, check_owner, run

Object = dict[str, Any]
NAME = "podtask-smoke-x"


def status(state: str, succeeded: str, *, message: str = "", value: str | None = EXPECTED, **more: Any) -> Object:
    finished = "False" if succeeded == "Unknown" else "True"
    conditions = [
        {"type": "Succeeded", "status": succeeded, "reason": state, "message": message},
        {"type": "Finished", "status": finished, "reason": state},
    ]
    return {"state": state, "conditions": conditions, "result": {"value": value}, **more}


PENDING = status("Pending", "Unknown", reason="Unschedulable", message="0/1 nodes are available.")
COMPLETED = status("Completed", "True")


def run_with(*statuses: Object, version: str = "1") -> Object:
    meta = {"name": NAME, "uid": "u", "resourceVersion": version}
    return {"metadata": meta, **({"status": statuses[0]} if statuses else {})}


def refused(code: int, message: str) -> Answer:
    return says(code, {"reason": "Refused", "message": message})


def watches(*events: Object) -> Answer:
    """What a watch brings: statuses, or whole events."""
    whole = [one if "type" in one else {"type": "MODIFIED", "object": run_with(one)} for one in events]
    return streams(*(json.dumps(one).encode() + b"\n" for one in whole))


GONE: Object = {"type": "ERROR", "object": {"code": 410, "message": "too old resource version"}}


def or_deletes(answer: Answer) -> Answer:
    return lambda handler: (says(200, {}) if handler.command == "DELETE" else answer)(handler)


class Server:
    """A cluster that accepts the TaskRun and then answers by the script; the deletion is always accepted."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.cluster = Cluster(scene.api, "podtask-system")

    def answers(self, *script: Answer, create: Answer | None = None) -> Cluster:
        self.scene.script[:] = [create or says(201, run_with()), *map(or_deletes, (*script, *[watches()] * 50))]
        return self.cluster

    @property
    def deleted(self) -> list[str]:
        return [path.rpartition("/")[2] for verb, path, _, _ in self.scene.asked if verb == "DELETE"]


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as scene:
        yield Server(scene)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock costs ten seconds, and pauses cost nothing."""
    now = iter(range(0, 100_000, 10))
    monkeypatch.setattr(smoke, "time", SimpleNamespace(monotonic=lambda: float(next(now)), sleep=lambda _: None))


def test_a_run_that_completes_passes_and_is_deleted(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(server.answers(watches(PENDING, COMPLETED)), 240) == EXPECTED
    assert server.deleted == [NAME]
    assert "Pending Unschedulable\nCompleted\n" in capsys.readouterr().out


def test_the_run_expires_by_itself_when_this_process_is_killed() -> None:
    assert smoke.task_run(60)["spec"]["ttlSecondsAfterFinished"] == 300


LISTS = says(200, {"items": [run_with(PENDING, version="9")], "metadata": {"resourceVersion": "9"}})
OUTAGES = {
    "an ended watch": [watches(PENDING)],
    "a version that is too old": [watches(GONE), LISTS],
    "a broken connection": [hangs_up],
    "a server that is busy": [refused(503, "later"), LISTS],
}


@pytest.mark.parametrize("trouble", OUTAGES.values(), ids=OUTAGES)
def test_an_ended_watch_and_a_short_outage_are_survived(server: Server, trouble: list[Answer]) -> None:
    assert run(server.answers(*trouble, watches(COMPLETED)), 480) == EXPECTED


def test_what_ended_while_nobody_watched_is_seen_by_the_list(server: Server) -> None:
    ended = {"items": [run_with(COMPLETED, version="9")], "metadata": {"resourceVersion": "9"}}
    assert run(server.answers(watches(GONE), says(200, ended)), 240) == EXPECTED


FAILED = status("Failed", "False", message="ValueError: no", attempts=[{"cure": "Fix the task."}])
EMPTY = says(200, {"items": [], "metadata": {"resourceVersion": "9"}})


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ([watches(FAILED)], r"it ended as Failed \(Failed\): ValueError: no Fix the task\."),
        ([watches(status("Completed", "True", value="1"))], 'with the value 1 instead of "hello ada"'),
        ([], "is the operator's pod running, and does it serve this namespace"),
        ([watches(PENDING)], r"it is still Pending \(Unschedulable\)\. 0/1 nodes are available\."),
        ([watches({"type": "DELETED", "object": run_with()})], "was deleted by somebody else"),
        ([watches(GONE), EMPTY], "was deleted by somebody else"),
        ([refused(403, "taskruns is forbidden")], "cannot be followed: taskruns is forbidden"),
        ([hangs_up] * 50, "the API server does not answer: The API server http://127.0.0.1:.* does not answer"),
    ],
)
def test_what_went_wrong_is_a_sentence_and_the_run_is_deleted(
    server: Server, script: list[Answer], sentence: str
) -> None:
    with pytest.raises(SmokeError, match=sentence):
        run(server.answers(*script), 240)
    assert server.deleted == [NAME]


def test_a_refused_creation_gives_the_servers_sentence(server: Server) -> None:
    no = refused(404, "the server could not find the requested resource")
    with pytest.raises(SmokeError, match="in namespace podtask-system was refused: the server could"):
        run(server.answers(create=no), 240)
    assert server.deleted == []


def test_outside_of_a_pod_it_says_how_to_run_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr(smoke.signal, "signal", lambda *_: None)
    assert smoke.main([]) == 2
    assert "run it by `helm test`" in capsys.readouterr().out


def mark_of(holder: str) -> Answer:
    return says(200, {"kind": "Lease", "spec": {"holderIdentity": holder}})


@pytest.mark.parametrize(
    "answer",
    [says(404, {"code": 404}), mark_of("podtask-system/podtask-operator"), refused(403, "leases is forbidden")],
    ids=["no mark", "its own mark", "no right to read it"],
)
def test_the_release_itself_may_have_run_it(
    server: Server, answer: Answer, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    server.scene.script[:] = [answer]
    check_owner(server.cluster, "podtask-system/podtask-operator")
    assert ("leases is forbidden" in capsys.readouterr().out) == ("no right" in request.node.name)
    ((_, path, _, _),) = server.scene.asked
    assert path == "/apis/coordination.k8s.io/v1/namespaces/podtask-system/leases/podtask-owner"


def test_a_run_of_another_release_says_nothing_about_this_one(server: Server) -> None:
    other = mark_of("other/podtask-operator\x1b[31m" + "x" * 500)
    server.scene.script[:] = [other, other]
    check_owner(server.cluster, None)
    with pytest.raises(SmokeError, match="another release works in namespace podtask-system") as caught:
        check_owner(server.cluster, "podtask-system/podtask-operator")
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 500
