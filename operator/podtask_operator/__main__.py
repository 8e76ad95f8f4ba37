"""`python -m podtask_operator`: settings from the environment, then `process`. Exit status 2 for what a person must
correct, 1 when another operator took over."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from podtask_operator import settings
from podtask_operator.process import leader_election, probes, wiring
from podtask_operator.runtime.logging import configure


async def operate(configuration: settings.Settings) -> None:
    """Serve until SIGTERM or SIGINT; then finish the writes in flight."""
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    await wiring.run(configuration, stop)


def main() -> int:
    """Exit status 2 for a setting that is missing or wrong."""
    try:
        configuration = settings.load(os.environ)
        configure(configuration)
        asyncio.run(operate(configuration))
    except (settings.SettingsError, probes.PortTaken) as error:
        return _said(error, 2)
    except leader_election.Lost as error:
        return _said(error, 1)
    return 0


def _said(error: Exception, status: int) -> int:
    sys.stderr.write(f"podtask-operator: {error}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
