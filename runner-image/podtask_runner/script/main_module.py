"""`__main__` where it is the script itself, and where it is an empty module that a pod keeps for a script.

Functions of a script use its globals by name. Where a pickle is opened in the process that wrote it, these are the
script's own; in a pod they are those of one `__main__` that fills up with what the task needs, so that pickle, pools
and `typing.get_type_hints` find the script's names there. What was pickled by another script keeps globals of its own.
A name that is there already is never set again. Used by `podtask_runner.script.functions`; `adopt` by
`podtask_runner.process.child`.
"""

from __future__ import annotations

import hashlib
import os
import sys
import types
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_guest: types.ModuleType | None = None
_script: str | None = None
"""Which script's names `__main__` has: its text, of a notebook an id of the kernel; passed on by pods."""


def adopt() -> None:
    """Make `__main__` an empty module, for the first script that something is opened of."""
    global _guest  # noqa: PLW0603 - as there is one `__main__` in a process
    _guest = sys.modules["__main__"] = types.ModuleType("__main__")


def script_of(values: dict[str, Any]) -> str | None:
    """The id of the script whose globals these are, None of any other globals."""
    global _script  # noqa: PLW0603
    main = sys.modules.get("__main__")
    if main is None or values is not vars(main):
        return None
    if _script is None:
        _script = _text_of(main) or os.urandom(16).hex()
    return _script


def _text_of(main: types.ModuleType) -> str | None:
    """The same for each run of a script, so that its code is the same payload."""
    try:
        text = Path(str(main.__file__)).read_bytes()
    except (AttributeError, OSError):
        return None
    return hashlib.sha256(text).hexdigest()[:32]


def globals_for(script: str | None, names: Iterable[str], copied: dict[str, Any]) -> dict[str, Any]:
    """The globals of a function that uses these names: of `__main__` where that is of the script, else `copied`."""
    global _script  # noqa: PLW0603
    main = sys.modules.get("__main__")
    if script is None or main is None:
        return copied
    if main is not _guest:
        return vars(main) if script == _script and all(name in vars(main) for name in names) else copied
    if _script is None:
        _script = script
        main.__package__ = copied.get("__package__")
    return vars(main) if script == _script else copied


def install(script: str | None, name: str, value: object) -> None:
    """Let a pod's `__main__` have the name, unless it has it already."""
    main = sys.modules.get("__main__")
    if main is _guest and main is not None and globals_for(script, (), {}) is vars(main):
        vars(main).setdefault(name, value)
