"""The images of a release as OCI archives: operator, and a runner for each Python. Built and loaded by dev/images."""

from __future__ import annotations

from pathlib import Path

from dev.docs.paths import TOP
from dev.release.tools import run

MINORS = ("3.10", "3.11", "3.12", "3.13")
TOOL = TOP / "dev" / "images"


def names(version: str) -> list[str]:
    """The files, for `podtask/operator:VERSION` and `podtask/runner:VERSION-pyMINOR`."""
    return [f"podtask-operator-{version}.oci.tar", *(f"podtask-runner-{version}-py{minor}.oci.tar" for minor in MINORS)]


def export(folder: Path, version: str) -> None:
    """Write all of them. Raises `Failed`."""
    run(TOOL, "export", folder, version, *MINORS)


def load(folder: Path, version: str) -> None:
    """Load all of them into the cluster. Raises `Failed`."""
    run(TOOL, "import", *(folder / name for name in names(version)))
