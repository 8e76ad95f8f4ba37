"""Programs that build and verify use: helm, and a subprocess that fails with its own words."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from dev.docs.paths import TOP

CHART = TOP / "charts" / "podtask"


class Failed(Exception):
    """A program failed; the text is the command and what it said."""


def run(*command: str | Path, folder: Path = TOP, env: Mapping[str, str] | None = None) -> str:
    """What the command prints. Raises `Failed`."""
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Failed(f"$ {' '.join(str(part) for part in command)}\n{done.stdout}{done.stderr}".rstrip())
    return done.stdout


@cache
def helm() -> str:
    """A helm on PATH, else the one that `dev/tools helm` built. Raises `Failed`."""
    path = shutil.which("helm") or shutil.which("helm", path=run(TOP / "dev" / "tools", "path").strip() or os.devnull)
    if path is None:
        raise Failed("helm is missing: put helm 3.17 or newer on your PATH, or run 'dev/tools helm'")
    return path
