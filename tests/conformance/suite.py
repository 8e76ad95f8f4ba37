"""The backends of the conformance suite. One line more, and every case runs there too.

A backend that needs a cluster carries `marks=pytest.mark.cluster`.
"""

from __future__ import annotations

import pytest

LOCAL = pytest.param("local")
PROCESS = pytest.param("process")
KUBERNETES = pytest.param("kubernetes", marks=[pytest.mark.cluster, pytest.mark.timeout(700)])

BACKENDS = [LOCAL, PROCESS, KUBERNETES]
REMOTE = [PROCESS, KUBERNETES]
"""Those that run a task in a process of its own."""
EVERY_STATE = [LOCAL, PROCESS]
"""Those that report even the shortest state; a cluster reports what lasts."""
