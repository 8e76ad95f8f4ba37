"""Modules that somebody else may import, asked for without importing them.

Used where a value is looked at by its type: if nobody has imported the module, no value of its types is here.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


def loaded(name: str) -> Any:
    """The module, where it was imported whole; else None.

    A module that another thread is importing at this moment stands in `sys.modules` already and lacks names.
    """
    module: ModuleType | None = sys.modules.get(name)
    importing = getattr(getattr(module, "__spec__", None), "_initializing", False)
    return None if importing else module
