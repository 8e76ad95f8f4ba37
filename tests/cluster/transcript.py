"""Commands in a shell against the real cluster, and what they print, compared with what is committed.

A transcript is a file of `$ command` lines, each with its whole output (stdout and stderr as a terminal shows them)
and `(exit status N)` where that is not 0. What differs from run to run is written alike: ages, times, digests,
nodes, ids. With PODTASK_WRITE_TRANSCRIPTS=1 the file is written instead of compared.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from difflib import unified_diff
from pathlib import Path

from tests.cluster.kit import ROOT, World, eventually, kubectl

from podtask.cli.common.output import table

FOLDER = Path(__file__).with_name("transcripts")
HEADER = re.compile(r" *[A-Z]+(?: {3,}[A-Z]+)+")
AGE = re.compile(r"(?:\d+[smhdy]){1,2}")
TRANSIENT = re.compile(r" FailedMount .* failed to sync \w+ cache: timed out")
"""A busy kubelet waits a second for a Secret, tells so, and tries again."""
SAME: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\d{4}-\d\d-\d\d([T ])\d\d:\d\d:\d\d(?:\.\d+)?"), r"2026-01-02\g<1>03:04:05"),
    (re.compile(r"(?<=\()(?:\d+[smhdy]){1,2}(?= ago\))"), "9s"),
    (re.compile(r"(?<=after )(?:\d+[smhdy]){1,2}\b"), "3s"),
    (re.compile(r"(?<=Duration: {4})(?:\d+[smhdy]){1,2}\b"), "3s"),
    (re.compile(r"\b[0-9a-f]{12}…"), "0123456789ab…"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "0123456789abcdef…"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "6f0ceff0-3aa5-4c21-bd05-90280060aaf5"),
    # What the kubelet says differs from version to version.
    (re.compile(r"(?<=already present on machine) and can be accessed by the pod"), ""),
    (re.compile(r"^Created container:? \w+$"), "Container created"),
    (re.compile(r"^Started container:? \w+$"), "Container started"),
)


class Shell:
    """A folder with files, and the environment of a person who works in one namespace."""

    def __init__(self, folder: Path, world: World) -> None:
        self.folder = folder
        self.world = world
        self.lines: list[str] = []
        here = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV_"))}
        self.environment = {**kept, "PATH": here, "PODTASK_NAMESPACE": world.namespace, "COLUMNS": "110"}

    def run(self, command: str, status: int | None = 0, seconds: float = 120) -> str:
        """A command line; its output. It has to end with this exit status (None: with any)."""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert status in (None, done.returncode), f"$ {command}\n{done.stdout}(exit status {done.returncode})"
        self.lines += [f"$ {command}", *done.stdout.splitlines()]
        if done.returncode:
            self.lines.append(f"(exit status {done.returncode})")
        return done.stdout

    def file(self, name: str, text: str) -> None:
        """A file of the person's, shown in the transcript as `cat` would."""
        (self.folder / name).write_text(text)
        self.run(f"cat {name}")

    def told(self, name: str, reason: str) -> None:
        """Wait for an Event about this object: they are best effort, and may come later than what they tell of."""
        about = f"involvedObject.name={name},reason={reason}"
        asked = ("get", "events", "--field-selector", about, "-o", "name")
        eventually(f"there is an Event {reason} of {name}", lambda: self.world.kubectl(*asked))

    def compare(self, name: str) -> None:
        """The transcript so far is the committed one."""
        said = "\n".join(alike(self.lines, self._nodes())) + "\n"
        path = FOLDER / f"{name}.txt"
        if os.environ.get("PODTASK_WRITE_TRANSCRIPTS"):
            path.write_text(said)
        committed = path.read_text()
        changed = "\n".join(unified_diff(committed.splitlines(), said.splitlines(), "committed", "now", lineterm=""))
        assert not changed, f"{path.relative_to(ROOT)} (PODTASK_WRITE_TRANSCRIPTS=1 writes it anew)\n{changed}"

    def _nodes(self) -> list[str]:
        return kubectl("get", "nodes", "-o", "jsonpath={.items[*].metadata.name}").split()


def alike(lines: Iterable[str], nodes: Iterable[str] = ()) -> list[str]:
    """The lines, with everything that changes from run to run replaced, and tables laid out anew."""
    nodes = sorted(nodes, key=len, reverse=True)
    same: list[str] = []
    rows: list[str] = []
    for line in [*(line for line in lines if not TRANSIENT.search(line)), ""]:
        if rows and (not line.strip() or line.startswith("$ ") or not line.startswith(_indent(rows[0]))):
            same += _laid_out(rows, nodes)
            rows = []
        if rows or HEADER.fullmatch(line):
            rows.append(line)
        else:
            same.append(_replaced(line, nodes))
    return same[:-1]


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _laid_out(rows: list[str], nodes: list[str]) -> list[str]:
    """A table without the widths that ages gave it. Where its columns are is told by their names."""
    starts = [found.start() for found in re.finditer(r"[A-Z]+", rows[0])]
    slices = list(zip(starts, [*starts[1:], None], strict=True))
    inside = [row for row in rows if all(row[start - 1 : start] in ("", " ") for start in starts if start)]
    cells = [[row[start:end].strip() for start, end in slices] for row in inside]
    shown = [[_cell(cell, nodes) for cell in row] for row in cells]
    after = [_replaced(row, nodes) for row in rows if row not in inside]
    return [*table(shown[0], shown[1:], indent=_indent(rows[0])).splitlines(), *after]


def _cell(cell: str, nodes: list[str]) -> str:
    if AGE.fullmatch(cell.removesuffix(" ago")):
        return "9s ago" if cell.endswith(" ago") else "9s"
    return "node-1" if cell in nodes else _replaced(cell, nodes)


def _replaced(line: str, nodes: list[str]) -> str:
    for pattern, text in SAME:
        line = pattern.sub(text, line)
    for node in nodes:
        line = re.sub(rf"(?<= to ){re.escape(node)}$", "node-1", line)
    return line
