"""One datagram to the operator after a stored result: a hint to look now, which saves the wait for the kubelet's poll.
And one at the start of an attempt in a pod that had waited for it: then its claim need not be renewed.

It carries no data and no trust, and nobody answers. Where the network forbids it, or the operator has another address
by now, the kubelet tells of the pod's end a second later. After `podtask_runner.process.delivery`; received by
`podtask_operator.events.doorbell`.
"""

from __future__ import annotations

import json
import socket
from contextlib import suppress

from podtask_runner.protocol import Grants


def message(grants: Grants, *, started: bool = False) -> bytes:
    """Which attempt has stored its outcome; or, in a pod that had waited for it, has started."""
    attempt = {"ns": grants.namespace, "run": grants.task_run, "uid": grants.uid, "attempt": grants.attempt}
    return json.dumps({**attempt, "started": True} if started else attempt, separators=(",", ":")).encode()


def ring(grants: Grants, *, started: bool = False) -> None:
    """Send it, if the grants say where to. Never blocks, never raises: `doorbell` is a literal address, no name."""
    host, _, port = (grants.doorbell or "").rpartition(":")
    if not host or not port.isdecimal():
        return
    host = host.strip("[]")
    with suppress(OSError, OverflowError):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        socket.inet_pton(family, host)  # a name would be looked up, which can take seconds
        with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as out:
            out.sendto(message(grants, started=started), (host, int(port)))
