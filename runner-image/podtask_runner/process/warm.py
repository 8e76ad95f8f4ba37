"""Process 1 of a pod of a WarmPool: fork first, wait for the attempt, and give it to a waiting child, once.

    fork a child ─┬─────────────────────────> claim and grants ──> the child's gate ──> `supervisor.attend`
                  └─ with `preload` a second ──┘ (the first one that imported all; the other is its stand-in)

A child with preloaded modules takes the attempt once its imports are over. The clean one takes it where they are not,
where they killed their process, and where the project has a module of a name that was preloaded: in that last case the
preloaded child says so before any code of the task's runs. Beside: `podtask_runner.process.idle`, `preload`.
"""

from __future__ import annotations

import importlib
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from podtask_runner.attempt.report import Handover, no_room
from podtask_runner.errors import RunnerError
from podtask_runner.process import child, doorbell, idle, preload
from podtask_runner.process.delivery import say
from podtask_runner.process.log_shipping import Shipper, Tee, as_error, one_stream
from podtask_runner.process.log_shipping import say as say_aloud
from podtask_runner.process.supervisor import (
    EXIT_CODES,
    Bell,
    attend,
    fork,
    line_of,
    log_post,
    oom_kills,
    read_grants,
    speechless,
)
from podtask_runner.protocol import dump, dump_outcome
from podtask_runner.storage.client import Store


def wait() -> int:
    """Wait for an attempt and execute it; the exit code (`supervisor.EXIT_CODES`). In a child: its exit code."""
    one_stream()
    bell = Bell()
    places = idle.Places.of_environment()
    try:
        handover = Handover.create()
    except OSError as error:
        return speechless(no_room(error))
    store: Store | None = None

    def current() -> Store:
        if store is None:
            raise AssertionError("nothing is shipped before there is an attempt")
        return store

    tee = Tee(Shipper(lambda: log_post(current()), lambda: current().renew()))
    supervisor = os.getpid()
    waiting: list[WaitingChild] = []
    for names in ((), places.preload) if places.preload else ((),):
        gate = idle.Gate(handover.directory)
        pid = fork(bell, None)
        if pid == 0:
            for other in waiting:
                other.gate.close()
            return child.wait(gate, lambda: read_grants(places.grants), handover, supervisor, tee, names)
        gate.supervisor_side()
        waiting.append(WaitingChild(pid, gate))
    for module in AHEAD:
        importlib.import_module(module)
    crew = Crew(bell, handover, places, *waiting)
    try:
        grants = idle.wait(places, bell.read_end, crew.over)
    except RunnerError as error:
        return speechless(error)
    if isinstance(grants, str):
        return _unused(grants, crew, handover)
    killed_before = oom_kills()
    store = Store(grants, lambda: read_grants(places.grants))
    try:
        pid, stand_in = crew.give(dump(grants))
    except OSError as error:
        return speechless(no_room(error))
    doorbell.ring(grants, started=True)
    return attend(grants, store, handover, bell, tee if grants.logs is not None else None, pid, killed_before, stand_in)


AHEAD: Final = ("encodings.idna", "fcntl", "termios", "http.client")
"""What stores the result and ends the log. Imported after the forks: children import what they need themselves."""


@dataclass
class WaitingChild:
    """A child behind its gate."""

    pid: int
    gate: idle.Gate
    ended: int | None = None
    """Its wait status, once it has ended."""

    def has_ended(self) -> bool:
        """Asked again and again; buries it."""
        if self.ended is None:
            with suppress(ChildProcessError):
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                self.ended = status if pid == self.pid else None
        return self.ended is not None

    def kill(self) -> None:
        """At once, with all that its modules have started."""
        for signaller in (os.killpg, os.kill):
            with suppress(ProcessLookupError, PermissionError):
                signaller(self.pid, signal.SIGKILL)

    def bury(self) -> None:
        """After `kill`: until it is gone."""
        if self.ended is None:
            with suppress(ChildProcessError):
                self.ended = os.waitpid(self.pid, 0)[1]


class Crew:
    """The children that wait."""

    def __init__(
        self,
        bell: Bell,
        handover: Handover,
        places: idle.Places,
        clean: WaitingChild,
        loaded: WaitingChild | None = None,
    ) -> None:
        self._bell, self._handover, self._places = bell, handover, places
        self._clean, self._loaded = clean, loaded
        self._imported = False
        self._until = time.monotonic() + preload.PATIENCE_SECONDS

    def over(self) -> str | None:
        """Why no attempt will be taken any more; looks after the imports on the way."""
        self._bell.silence()
        if self._bell.stopped:
            return "The pod was told to stop (SIGTERM) before an attempt was given to it."
        if self._clean.has_ended():
            status = self._clean.ended
            return f"The waiting process ended by itself (status {status}) before an attempt was given to it."
        self._look_at_imports()
        return None

    def _look_at_imports(self) -> None:
        loaded, names = self._loaded, self._places.preload
        if loaded is None:
            return
        came = None if self._imported else preload.read(self._handover.preloaded, names)
        if loaded.has_ended():
            came = preload.broken(names, f"The process that imports them ended by itself (status {loaded.ended}).")
            self._dismiss_loaded()
        elif came is None and not self._imported and time.monotonic() >= self._until:
            came = preload.broken(names, f"Their imports took more than {preload.PATIENCE_SECONDS:g} s.")
            self._dismiss_loaded()
        if came is None:
            return
        self._imported = True
        say_aloud(as_error(preload.line(names, came)))
        doorbell.tell(self._places.doorbell, doorbell.preloaded(self._places.pod_uid, came.failed, came.why))

    def give(self, data: bytes) -> tuple[int, Spare | None]:
        """Let one child have the grants; its pid, and who can take its place. Raises `OSError` without room."""
        self._look_at_imports()
        loaded = self._loaded
        if loaded is not None and self._imported:
            with suppress(BrokenPipeError):  # it has ended this very moment
                loaded.gate.open(data)
                return loaded.pid, Spare(self._clean, self._handover, data)
        self._dismiss_loaded()
        self._clean.gate.open(data)
        return self._clean.pid, None

    def _dismiss_loaded(self) -> None:
        if self._loaded is not None:
            if not self._loaded.has_ended():
                self._loaded.kill()
                self._loaded.bury()
            self._loaded = None
            _forget_last_words(self._handover)

    def dismiss(self) -> None:
        """No attempt will come."""
        self._dismiss_loaded()
        self._clean.kill()
        self._clean.bury()


class Spare:
    """The clean child, as long as the attempt may have to be executed by it (`supervisor.StandIn`)."""

    def __init__(self, clean: WaitingChild, handover: Handover, data: bytes) -> None:
        self._clean, self._handover, self._data = clean, handover, data

    def take_over(self) -> int:
        """It has the grants now; its pid. Raises `OSError` without room."""
        _forget_last_words(self._handover)
        self._clean.gate.open(self._data)
        return self._clean.pid

    def dismiss(self) -> None:
        """End it. Whoever waits for the attempt's end buries it."""
        self._clean.kill()


def _forget_last_words(handover: Handover) -> None:
    """Those of a process that no attempt was given to are not the attempt's."""
    with suppress(OSError):
        handover.fault.write_bytes(b"")


def _unused(why: str, crew: Crew, handover: Handover) -> int:
    """End without an attempt."""
    crew.dismiss()
    handover.remove()
    outcome = idle.never_started(why)
    say(dump_outcome(outcome))
    say_aloud(as_error(line_of(outcome)))
    return EXIT_CODES[outcome.outcome]
