"""The last stretch: store the payload, then the outcome, then leave the termination message.

After `podtask_runner.process.verdicts`. The order is the proof: an outcome that says Completed names an object that is
already there. When the store stays away, the termination message alone says so.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from podtask_runner.attempt.execute import refusal
from podtask_runner.attempt.report import Handover
from podtask_runner.errors import AlreadyStored, StoreUnavailable
from podtask_runner.names import ENV_TERMINATION_LOG, TERMINATION_LOG
from podtask_runner.protocol import Outcome, Result, Verdict, dump_outcome, load_outcome
from podtask_runner.serialization.header import serializer_of
from podtask_runner.storage.client import Store
from podtask_runner.storage.spool import digest

_LAST_TRY_SECONDS: Final = 5.0
"""For the outcome object, when the store was already found to be away."""


def deliver(outcome: Outcome, store: Store, handover: Handover, before_outcome: Callable[[], None]) -> Outcome:
    """Store everything; the outcome as it was delivered. `before_outcome` runs once the payload is stored."""
    started = time.monotonic()
    try:
        outcome = _store_payload(outcome, store, handover)
    except StoreUnavailable as error:
        outcome = replace(refusal(error), timings=outcome.timings)
        store.hurry(_LAST_TRY_SECONDS)
    before_outcome()
    outcome = replace(outcome, timings={**outcome.timings, "store": round(time.monotonic() - started, 4)})
    message = dump_outcome(outcome)
    try:
        store.write(lambda grants: grants.outcome, message, digest(message), "the outcome")
    except AlreadyStored:  # somebody executed this attempt before us; what the store says is what happened
        with suppress(StoreUnavailable, ValueError):
            first = store.read_back(lambda grants: grants.outcome)
            if first is not None:
                outcome, message = load_outcome(first), first
    except StoreUnavailable:
        pass  # the payload is safe if the outcome says so; the termination message carries the same bytes
    say(message)
    return outcome


def say(message: bytes) -> None:
    """Write the termination message, for the kubelet or whoever else reads that file."""
    path = os.environ.get(ENV_TERMINATION_LOG) or TERMINATION_LOG
    with suppress(OSError):  # no such place: the outcome object says the same
        Path(path).write_bytes(message)


def _store_payload(outcome: Outcome, store: Store, handover: Handover) -> Outcome:
    result, error = outcome.result, outcome.error
    if outcome.outcome is Verdict.COMPLETED and result is not None:
        try:
            store.write(lambda grants: grants.result, handover.result, result.digest, "the result")
        except AlreadyStored as first:  # the same attempt, executed twice: its first result stands
            return replace(
                outcome, result=Result(first.digest, first.size, serializer_of(first.head, result.serializer))
            )
    elif error is not None and error.digest is not None:
        try:
            store.write(lambda grants: grants.error, handover.error, error.digest, "the error")
        except AlreadyStored as first:
            return replace(outcome, error=replace(error, digest=first.digest, size=first.size, inline=None))
    return outcome
