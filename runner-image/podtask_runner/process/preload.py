"""Modules that a waiting pod imports before its attempt comes: in the child, after the fork, once.

    names (environment) ──> child: import each ──> a file ──> supervisor: log line, datagram

An import may raise, hang, kill its process or start threads. None of that reaches process 1, and a second child without
these modules waits beside (`podtask_runner.process.warm`), so the pod serves its attempt in any case.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PATIENCE_SECONDS: Final = 300.0
"""For all imports together; a child that takes longer is ended."""
WORDS: Final = 300
"""Characters that are said of a failed import."""


@dataclass(frozen=True)
class Preloaded:
    """What came of the imports. `failed`: places in the list of names."""

    failed: tuple[int, ...] = ()
    why: str = ""
    """Of the first that failed."""


def import_all(names: Sequence[str], report: Path) -> None:
    """Child: import what can be imported, and say what cannot. A process that a module forks ends here."""
    from podtask_runner.serialization.exceptions import message_of

    here = os.getpid()
    failed: list[int] = []
    why = ""
    for number, name in enumerate(names):
        try:
            importlib.import_module(name)
        except BaseException as error:  # noqa: BLE001 - a module may do anything, exit included
            failed.append(number)
            why = why or f"{type(error).__name__}: {message_of(error)}"[:WORDS]
        if os.getpid() != here:
            os._exit(1)
    part = report.with_name(f"{report.name}.part")
    with suppress(OSError):  # no room: then this child counts as one that never ended its imports
        part.write_text(json.dumps([failed, why]))
        part.rename(report)


def read(report: Path, names: Sequence[str]) -> Preloaded | None:
    """Supervisor: what the child has said; None as long as it imports. The modules could have written it, too."""
    try:
        failed, why = json.loads(report.read_bytes())
        numbers = [number for number in failed if type(number) is int and 0 <= number < len(names)]
        return Preloaded(tuple(numbers), str(why)[:WORDS])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, RecursionError):
        return broken(names, "What the importing process has reported cannot be read.")


def broken(names: Sequence[str], why: str) -> Preloaded:
    """None of them can be relied on."""
    return Preloaded(tuple(range(len(names))), why)


def line(names: Sequence[str], came: Preloaded) -> bytes:
    """For the pod's log; nothing where all were imported."""
    if not came.failed:
        return b""
    missing = ", ".join(names[number] for number in came.failed)
    text = f"podtask: preload: cannot import {missing}: {came.why} The pod serves attempts without it.\n"
    return text.encode("utf-8", "backslashreplace")
