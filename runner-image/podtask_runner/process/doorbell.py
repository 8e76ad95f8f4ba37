"""One datagram to the operator after a stored result: a hint to look now, which saves the wait for the kubelet's poll.
One at the start of an attempt in a pod that had waited for it: then its claim need not be renewed. And one of a pod
that waits, when its `preload` is over.

It carries no data and no trust, and nobody answers. Where the network forbids it, or the operator has another address
by now, the kubelet tells of the pod's end a second later. After `podtask_runner.process.delivery`; received by
`podtask_operator.events.doorbell`.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from podtask_runner.protocol import Grants

LONGEST: Final = 1024
"""Bytes of a datagram that the operator reads."""


def message(grants: Grants, *, started: bool = False) -> bytes:
    """Which attempt has stored its outcome; or, in a pod that had waited for it, has started."""
    attempt = {"ns": grants.namespace, "run": grants.task_run, "uid": grants.uid, "attempt": grants.attempt}
    return json.dumps({**attempt, "started": True} if started else attempt, separators=(",", ":")).encode()


def ring(grants: Grants, *, started: bool = False) -> None:
    """Send it, if the grants say where to. Never blocks, never raises: `doorbell` is a literal address, no name."""
    tell(grants.doorbell, message(grants, started=started))


def preloaded(pod_uid: str, failed: Sequence[int], why: str) -> bytes:
    """Which places of a pool's `preload` could not be imported in this pod, and why the first could not."""
    while True:
        data = json.dumps({"pod": pod_uid, "failed": list(failed), "why": why}, separators=(",", ":")).encode()
        if len(data) <= LONGEST or not why:
            return data
        why = why[: len(why) // 2]


def tell(address: str | None, data: bytes) -> None:
    """Send one datagram to a literal `address:port`, if there is one. Never blocks, never raises."""
    host, _, port = (address or "").rpartition(":")
    if not host or not port.isdecimal():
        return
    host = host.strip("[]")
    with suppress(OSError, OverflowError):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        socket.inet_pton(family, host)  # a name would be looked up, which can take seconds
        with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as out:
            out.sendto(data, (host, int(port)))
