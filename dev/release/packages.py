"""Wheel and sdist. The wheel is built from the sdist, so that the sdist is known to be whole."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from dev.release.tools import run


def build(folder: Path, epoch: int) -> None:
    """Build both into the folder. Needs no network: hatchling is in the environment. Raises `Failed`."""
    env = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch), "PYTHONHASHSEED": "0"}
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, env=env)
