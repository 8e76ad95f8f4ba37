"""Follows the API server's audit log of `dev/cluster`: who wrote what in one namespace, and when."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

WRITES = ("create", "update", "patch", "delete")
OPERATOR, SDK = "podtask-operator", "podtask-sdk"


class Call(NamedTuple):
    """One answered write. Times in seconds since the epoch."""

    agent: str
    verb: str
    what: str
    """Resource and subresource: `taskruns/status`."""
    name: str
    received: float
    answered: float
    code: int


class Audit:
    """The writes in a namespace since this was made; the file may be rotated meanwhile."""

    def __init__(self, namespace: str) -> None:
        self.calls: list[Call] = []
        self._namespace = namespace
        self._path = Path(os.environ["KUBECONFIG"]).parent / "logs" / "audit.log"
        self._closed = threading.Event()
        self._file = self._path.open("rb")
        self._file.seek(0, os.SEEK_END)
        self._reader = threading.Thread(target=self._follow, daemon=True)
        self._reader.start()

    def close(self) -> None:
        """Stop following."""
        self._closed.set()
        self._reader.join(10)
        self._file.close()

    def counted(self, since: float, until: float = float("inf")) -> Counter[str]:
        """The operator's writes by resource; Leases apart."""
        return Counter(
            f"{call.verb} {call.what}"
            for call in list(self.calls)
            if call.agent == OPERATOR and since <= call.received < until and call.what != "leases"
        )

    def launched(self, since: float) -> list[float]:
        """Seconds from the answer to a TaskRun's creation to the arrival of the POST of its first pod."""
        created = {c.name: c.answered for c in list(self.calls) if c.agent == SDK and c.received >= since}
        return [
            call.received - created[call.name.removesuffix("-1")]
            for call in list(self.calls)
            if (call.agent, call.verb, call.what) == (OPERATOR, "create", "pods")
            and call.name.removesuffix("-1") in created
        ]

    def _follow(self) -> None:
        wanted = f'"namespace":"{self._namespace}"'.encode()
        while not self._closed.wait(0.5):
            self._take(wanted)
            if self._path.exists() and self._path.stat().st_ino != os.fstat(self._file.fileno()).st_ino:
                self._take(wanted)
                self._file.close()
                self._file = self._path.open("rb")

    def _take(self, wanted: bytes) -> None:
        while line := self._file.readline():
            if not line.endswith(b"\n"):
                self._file.seek(-len(line), os.SEEK_CUR)
                return
            if wanted in line and (OPERATOR.encode() in line or SDK.encode() in line):
                self._put(json.loads(line))

    def _put(self, entry: dict[str, object]) -> None:
        ref, answer = entry.get("objectRef"), entry.get("responseStatus")
        if entry["stage"] != "ResponseComplete" or entry["verb"] not in WRITES or not isinstance(ref, dict):
            return
        what = "/".join(filter(None, (ref.get("resource"), ref.get("subresource"))))
        code = answer.get("code", 0) if isinstance(answer, dict) else 0
        times = (_seconds(str(entry[name])) for name in ("requestReceivedTimestamp", "stageTimestamp"))
        agent, verb = str(entry.get("userAgent", "")), str(entry["verb"])
        self.calls.append(Call(agent, verb, what, str(ref.get("name", "")), *times, code))


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
