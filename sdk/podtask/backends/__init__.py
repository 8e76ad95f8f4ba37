"""Where task runs are executed: adapters of the port `podtask.engine.backend.Backend`.

`local` and `process` share `in_process`; `kubernetes` stands alone. Which one a flow uses: `podtask.engine.registry`.
"""

from __future__ import annotations

from podtask.engine.backend import Backend
from podtask.engine.registry import get, known, register

__all__ = ["Backend", "get", "known", "register"]
