"""The attempt's own objects, read and written under its grants, with patience and with proof.

Every read is checked against its digest before a byte is interpreted; every write happens once, but for those of
checkpoints, which prove themselves (`podtask_runner.attempt.checkpoint`). A store that is
away is waited for (up to `store_timeout_seconds`), a refusal (403, 400) makes us re-read the grants, because the
operator refreshes them before they expire. Callers: `podtask_runner.attempt.execute` (reads),
`podtask_runner.process.delivery` (writes). One exchange without patience: `podtask_runner.storage.http`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from podtask_runner.errors import AlreadyStored, InputCorrupted, RunnerError, StoreUnavailable
from podtask_runner.protocol import Blob, Grants, Put, Slot
from podtask_runner.storage.http import (
    FORBIDDEN,
    MAY_HAVE_EXPIRED,
    NOT_FOUND,
    PRECONDITION_FAILED,
    Body,
    Consume,
    Endpoints,
    Unreachable,
    local_path,
)
from podtask_runner.storage.spool import Buffer, Digesting, digest

T = TypeVar("T")
Reload = Callable[[], Grants]
PickBlob = Callable[[Grants], Blob]
PickSlot = Callable[[Grants], Slot]

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 10.0
_NAP: Final = 0.5
"""Longest single sleep in seconds, so that `hurry` (called by a signal handler) is noticed."""
_SUCCESS: Final = range(200, 300)
_MAY_PASS: Final = frozenset({*MAY_HAVE_EXPIRED, NOT_FOUND, 408, 409, 425, 429})
"""4xx answers that time can heal: expired grants, throttling, a conflicting conditional write, a slow body."""
_HOPELESS_TRIES: Final = 3


class _Refused(Exception):
    def __init__(self, status: int, doing: str) -> None:
        super().__init__(f"{doing}: the store answered {status}")
        self.status = status


class Store:
    """What one attempt may read and write.

    `reload` reads the grants again (after a refusal); `clock`, `sleep` and `jitter` are seconds and [0, 1), and are
    parameters so that tests need no time.
    """

    def __init__(
        self,
        grants: Grants,
        reload: Reload | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = lambda: os.urandom(1)[0] / 256,
    ) -> None:
        self.grants = grants
        self._reload = reload
        self._clock, self._sleep, self._jitter = clock, sleep, jitter
        self._endpoints = Endpoints()
        self._latest = float("inf")

    def warm_up(self) -> None:
        """Import what the writes will need, while the child is busy."""
        if not self.grants.outcome.put.url.startswith("file:"):
            import encodings.idna  # noqa: F401 - by which sockets encode the name of a host
            import http.client  # noqa: F401

    def close(self) -> None:
        """Give the connections back."""
        self._endpoints.close()

    def renew(self) -> None:
        """Read the grants again: the store refused what these allowed. May be called by any thread."""
        if self._reload is None:
            return
        try:
            self.grants = self._reload()
        except (OSError, ValueError, RunnerError):  # the kubelet swaps the file; the next round reads it
            return

    def hurry(self, seconds: float) -> None:
        """From now on give up after at most `seconds`: the pod is being stopped."""
        self._latest = min(self._latest, self._clock() + seconds)

    def read(self, pick: PickBlob, what: str) -> Buffer:
        """The verified bytes of a blob. Raises `InputCorrupted`, `StoreUnavailable`; `what` names it for people."""
        blob = pick(self.grants)
        if blob.inline is not None:
            return _verified(_decode(blob.inline, what), blob, what)
        return self._twice(lambda: self._download(pick, what), blob, what)

    def read_into(self, pick: PickBlob, path: Path, what: str) -> Path:
        """The verified bytes of a blob as a file at `path`, never in memory. Raises as `read`, and `NoRoom`.

        What lies on this machine is linked, not copied.
        """
        blob = pick(self.grants)
        if blob.inline is not None:
            path.write_bytes(_verified(_decode(blob.inline, what), blob, what))
        else:
            self._twice(lambda: self._download_into(pick, path, what), blob, what)
        return path

    def _twice(self, once: Callable[[], T], blob: Blob, what: str) -> T:
        if blob.url is None:
            raise InputCorrupted(f"{what}: the grants hold neither the bytes nor a URL.")
        try:
            return self._patiently(once)
        except InputCorrupted:  # once more: the damage may have happened on the way
            return self._patiently(once)

    def write(self, pick: PickSlot, body: Body, digest: str, what: str) -> None:
        """Store an object once. An earlier try of ours with the same digest is success.

        Raises `AlreadyStored` when other bytes are there, `StoreUnavailable`.
        """
        self._patiently(lambda: self._upload(pick, body, digest, what))

    def replace(self, pick: Callable[[Grants], Put], body: Body, what: str) -> None:
        """Store an object in the place of what is there. Raises `StoreUnavailable`."""

        def once() -> None:
            put = pick(self.grants)
            _accepted(self._endpoints.put(put.url, put.headers, body, once=False), None, f"storing {what}")

        self._patiently(once)

    def pass_on(self, pick: Callable[[Grants], str], begin: Callable[[], Consume], what: str) -> bool:
        """Feed an object, unverified, to what `begin` makes anew for each try; False where there is none.

        Raises `StoreUnavailable`, and whatever the consumer raises when it has enough.
        """

        def once() -> bool:
            status = self._endpoints.get(pick(self.grants), begin())
            if status == NOT_FOUND:
                return False
            _accepted(status, None, f"reading {what}")
            return True

        return self._patiently(once)

    def read_back(self, pick: PickSlot) -> bytes | None:
        """What stands in one of the attempt's own slots, or None when nothing does. Raises `StoreUnavailable`."""
        pieces: list[bytes] = []

        def once() -> bytes | None:
            pieces.clear()
            status = self._endpoints.get(pick(self.grants).get, pieces.append)
            if status == NOT_FOUND:
                return None
            return b"".join(_accepted(status, pieces, "reading back"))

        return self._patiently(once)

    def _download(self, pick: PickBlob, what: str) -> bytearray:
        blob, data = pick(self.grants), bytearray()

        def consume(piece: bytes) -> None:
            data.extend(piece)
            if len(data) > blob.size:
                raise InputCorrupted(f"{what}: the object is larger than the recorded {blob.size} bytes.")

        self._get(blob, consume, what)
        return _verified(data, blob, what)

    def _download_into(self, pick: PickBlob, path: Path, what: str) -> None:
        """To a file; one that is here already is read for its digest, and then stands under the other name, too."""
        blob, here = pick(self.grants), local_path(pick(self.grants).url or "")
        path.unlink(missing_ok=True)
        with open(os.devnull if here else path, "wb", buffering=0) as stream:  # noqa: PTH123 - either
            passed = Digesting(stream)

            def consume(piece: bytes) -> None:
                passed.write(piece)
                if passed.size > blob.size:
                    raise InputCorrupted(f"{what}: the object is larger than the recorded {blob.size} bytes.")

            self._get(blob, consume, what)
        _same(passed.digest, passed.size, blob, what)
        if here:
            path.symlink_to(here)

    def _get(self, blob: Blob, consume: Callable[[bytes], object], what: str) -> None:
        status = self._endpoints.get(blob.url or "", consume)
        if status == NOT_FOUND:
            raise InputCorrupted(
                f"{what}: the object {blob.digest[:12]} is not in the store any more.",
                "Run the task that produced it again; a longer resultRetentionSeconds keeps results longer.",
            )
        _accepted(status, None, f"reading {what}")

    def _upload(self, pick: PickSlot, body: Body, digest: str, what: str) -> None:
        slot = pick(self.grants)
        status = self._endpoints.put(slot.put.url, slot.put.headers, body)
        if status != PRECONDITION_FAILED:
            _accepted(status, None, f"storing {what}")
            return
        hasher, head, size = hashlib.sha256(), bytearray(), 0

        def consume(piece: bytes) -> None:
            nonlocal size
            hasher.update(piece)
            head.extend(piece[: 64 - len(head)])
            size += len(piece)

        _accepted(self._endpoints.get(slot.get, consume), None, f"reading back {what}")
        if hasher.hexdigest() != digest:
            raise AlreadyStored(
                f"{what}: this attempt has stored {hasher.hexdigest()[:12]} before; it is never replaced.",
                hasher.hexdigest(),
                size,
                bytes(head),
            )

    def _patiently(self, once: Callable[[], T]) -> T:
        """Try until it works, is refused for good, or the time is up. Pauses double, with jitter."""
        until, pause, tries = self._clock() + self.grants.store_timeout_seconds, _FIRST_PAUSE, 0
        while True:
            tries += 1
            try:
                return once()
            except _Refused as refused:
                reason: Exception = refused
                hopeless = 400 <= refused.status < 500 and refused.status not in _MAY_PASS
                if hopeless and tries >= _HOPELESS_TRIES:
                    raise _given_up(reason, tries) from refused
                if refused.status in MAY_HAVE_EXPIRED:
                    self.renew()
            except Unreachable as unreachable:
                reason = unreachable
            wake = self._clock() + pause * (0.5 + self._jitter())
            if wake > min(until, self._latest):
                raise _given_up(reason, tries) from reason
            while (left := wake - self._clock()) > 0 and self._clock() < self._latest:
                self._sleep(min(left, _NAP))
            pause = min(2 * pause, _LONGEST_PAUSE)


def _given_up(reason: Exception, tries: int) -> StoreUnavailable:
    refused = isinstance(reason, _Refused) and reason.status == FORBIDDEN
    cure = (
        "The grants were refused: check that the clocks agree and that the operator is running (it renews them)."
        if refused
        else "Check that the pods can reach the store's endpoint (network policy, proxy, the store itself)."
    )
    return StoreUnavailable(f"{reason} (tried {tries} times)", cure)


def _accepted(status: int, value: T, doing: str) -> T:
    if status not in _SUCCESS:
        raise _Refused(status, doing)
    return value


def _decode(inline: str, what: str) -> bytes:
    try:
        return base64.b64decode(inline, validate=True)
    except binascii.Error as error:
        raise InputCorrupted(f"{what}: the inline bytes are not base64 ({error}).") from None


BufferT = TypeVar("BufferT", bytes, bytearray)


def _verified(data: BufferT, blob: Blob, what: str) -> BufferT:
    _same(digest(data), len(data), blob, what)
    return data


def _same(digest: str, size: int, blob: Blob, what: str) -> None:
    if digest != blob.digest:
        raise InputCorrupted(
            f"{what}: expected sha256 {blob.digest[:12]}, got {digest[:12]} ({size} bytes).",
            "The object was changed after it was written. Run the task that produced it again.",
        )
