"""An operator that numbers its writes, and kills itself before or after one of them. `python -m` starts it.

Writes are PATCH, POST and DELETE on the API server, except Events and the Lease, and PUTs into the bucket. Each is a
line of the file WRITES names, written before it is made. The mark of a namespace's owner is not counted.
Nothing in the product knows of this: two methods are wrapped.
Times that depend on how busy the machine is are no writes: short phases
are never reported.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

from podtask.core.lifecycle import rules
from podtask.core.storage.s3 import S3Store
from podtask_operator.__main__ import main
from podtask_operator.kube.client import Api

WRITES, KILL_AT, KILL_WHEN = "PODTASK_TEST_WRITES", "PODTASK_TEST_KILL_AT", "PODTASK_TEST_KILL_WHEN"
GRANTS = r"-[0-9a-f]{8}-grants$"
"""The end of the name of a Secret with grants; the start of the run's UID is another one each time."""
BEFORE, AFTER = "before", "after"


class Writes:
    """Numbers writes from 1; the process ends at the one that was asked for."""

    def __init__(self) -> None:
        self._told = Path(os.environ[WRITES])
        self._at = int(os.environ.get(KILL_AT, "0"))
        self._when = os.environ.get(KILL_WHEN, BEFORE)
        self._lock = threading.Lock()
        self._number = 0

    def begin(self, what: str) -> int:
        """A write is about to be made."""
        with self._lock:
            self._number += 1
            number = self._number
            with self._told.open("a") as told:
                told.write(what + "\n")
        self._kill(number, BEFORE)
        return number

    def end(self, number: int) -> None:
        """It was made; nobody has seen the answer yet."""
        self._kill(number, AFTER)

    def _kill(self, number: int, when: str) -> None:
        if number == self._at and when == self._when:
            os.kill(os.getpid(), signal.SIGKILL)
            threading.Event().wait()  # the signal is on its way


def described(method: str, path: str, body: Any) -> str | None:
    """A write in words; None for what is no write of a TaskRun: an Event, the Lease."""
    if method == "GET" or path.endswith("/events") or "/leases" in path:
        return None
    parts = path.split("/namespaces/", 1)[1].split("/")[1:]
    if parts[-1] == "status":
        status = body["status"]
        ended = [f"{a['number']} {a.get('outcome', 'runs')}" for a in status.get("attempts") or ()]
        return f"{method} status: {status.get('state', 'unchanged')}; attempts {', '.join(ended) or 'unchanged'}"
    name = parts[1] if len(parts) > 1 else body["metadata"]["name"]
    return f"{method} {parts[0]} {re.sub(GRANTS, '-grants', name)}"


def wrap(writes: Writes) -> None:
    """Number the writes of this process."""
    call, put = Api._call, S3Store.put

    async def numbered_call(self: Api, method: str, path: str, body: Any = None, **more: Any) -> Any:
        what = described(method, path, body)
        number = writes.begin(what) if what else 0
        answer = await call(self, method, path, body, **more)
        writes.end(number)
        return answer

    def numbered_put(self: S3Store, key: str, data: bytes, **more: Any) -> str:
        if key.endswith("/owner.json"):  # once per namespace, in the background: it stands at no fixed place
            return put(self, key, data, **more)
        number = writes.begin(f"PUT {'/'.join(key.split('/')[2:3])}")
        etag = put(self, key, data, **more)
        writes.end(number)
        return etag

    Api._call = numbered_call  # type: ignore[method-assign]
    S3Store.put = numbered_put  # type: ignore[method-assign]
    rules.REPORT_AFTER = timedelta(hours=1)


if __name__ == "__main__":
    wrap(Writes())
    sys.exit(main())
