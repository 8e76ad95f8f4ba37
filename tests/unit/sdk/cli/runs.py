"""TaskRuns as the API server has them, for the command to show."""

from __future__ import annotations

import hashlib
from typing import Any

from tests.support.builders import run_object

FINISHED = "2026-01-02T03:05:05Z"


def run(name: str, state: str | None = None, *, minute: int = 4, **parts: Any) -> dict[str, Any]:
    """A TaskRun of namespace `team`, created at 03:<minute>:05; `status` and `spec` add to what the state brings."""
    namespace, labels = parts.pop("namespace", "team"), parts.pop("labels", {})
    meta = {"uid": f"uid-{name}", "namespace": namespace, "labels": labels}
    meta["creationTimestamp"] = f"2026-01-02T03:{minute:02}:05Z"
    status = {**(STATES[state] if state else {}), **parts.pop("status", {})}
    obj = run_object(parts.pop("spec", None), name=name, metadata=meta, status=status or None)
    assert not parts
    return obj


def attempt(number: int = 1, **more: Any) -> dict[str, Any]:
    """An attempt that ran for three seconds on a node."""
    ran = {"startedAt": "2026-01-02T03:04:07Z", "finishedAt": "2026-01-02T03:04:10Z", "node": "dev"}
    return {"number": number, "cause": "First", "recordedAt": "2026-01-02T03:04:06Z", **ran, **more}


FAILED = attempt(outcome="Failed", reason="Exception", message="ValueError: no luck", exitCode=1)
TRACEBACK = 'Traceback (most recent call last):\n  File "<task.source>", line 2, in main\nValueError: no luck\n'
ENDED = {"startedAt": "2026-01-02T03:04:06Z", "finishedAt": FINISHED, "duration": "59s", "attempt": "1/1"}
ONE = {**ENDED, "attemptsTotal": 1}
VALUE = '"hello ada"'
DIGEST = hashlib.sha256(VALUE.encode()).hexdigest()
RESULT = {"digest": DIGEST, "size": 11, "serializer": "json", "value": VALUE, "attempt": 1}
STATES: dict[str, dict[str, Any]] = {
    "Pending": {"state": "Pending", "reason": "Suspended", "message": "It is suspended."},
    "Running": {
        "state": "Running",
        "reason": "Running",
        "attempt": "1/1",
        "attemptsTotal": 1,
        "startedAt": "2026-01-02T03:04:06Z",
        "attempts": [{"number": 1, "cause": "First", "startedAt": "2026-01-02T03:04:07Z", "node": "dev"}],
    },
    "Completed": {
        **ONE,
        "state": "Completed",
        "reason": "Completed",
        "message": "The task completed.",
        "attempts": [attempt(outcome="Completed", reason="Completed", exitCode=0)],
        "result": RESULT,
    },
    "Failed": {
        **ONE,
        "state": "Failed",
        "reason": "Exception",
        "message": "ValueError: no luck",
        "attempts": [FAILED],
        "error": {"type": "ValueError", "message": "no luck", "traceback": TRACEBACK},
    },
    "Crashed": {**ONE, "state": "Crashed", "reason": "Crashed", "message": "SystemExit: 3"},
    "TimedOut": {**ONE, "state": "TimedOut", "reason": "TimedOut", "message": "It took more than 5 s."},
    "Cancelled": {**ONE, "state": "Cancelled", "reason": "Cancelled", "message": "Cancelled by a person."},
    "NotReady": {
        "state": "NotReady",
        "reason": "UpstreamFailed",
        "message": "Upstream task run 'first' did not reach a 'COMPLETED' state.",
        "finishedAt": FINISHED,
    },
}
