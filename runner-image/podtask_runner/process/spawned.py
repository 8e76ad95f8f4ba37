"""The main module of a process that user code spawned: the script's names, and the project with its changes.

Run by `multiprocessing` as `__mp_main__`, which then stands for `__main__`. Before: `podtask_runner.process.spawn`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from podtask_runner.process.spawn import ENV_NAMES
from podtask_runner.script import main_module
from podtask_runner.serialization.pickling import loads


def opened(path: str) -> dict[str, Any]:
    """The names, in a `__main__` that functions of the script work on."""
    state = loads(Path(path).read_bytes())
    if state["project"] is not None:
        from podtask_runner.bundle import finder

        finder.share(*state["project"])
    main_module.adopt()
    main = vars(sys.modules["__main__"])
    for name, data in state["names"].items():
        try:
            main.setdefault(name, loads(data))
        except Exception:  # noqa: BLE001, S112 - a name that is used and missing says so
            continue
    return {name: value for name, value in main.items() if not name.startswith("__")}


if __name__ == "__mp_main__":
    globals().update(opened(os.environ[ENV_NAMES]))
