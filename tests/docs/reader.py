"""A reader who does what a page says: saves its files, runs its scripts and commands, and compares what they print.

Everything happens in one folder per page, in the order of the page. Used by: test_code (local) and tests/cluster.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.docs.blocks import ROOT, Block

SECONDS = 240
"""For one command; on a cluster images may have to come first."""
_VARYING = (
    (r"[0-9a-f]{8,}", r"[0-9a-f]+"),  # ids and hashes
    (r"\b\d+(?:\.\d+)?m?s\b", r"(?:\\d+m)?[\\d.]+m?s"),  # ages and durations
    (r"\d\d:\d\d:\d\d", r"[\\d:]+"),  # the time of day
    (r"\\\.\\\.\\\.", r".*"),  # left out within a line
    (r"\\ (?:\\ )+", r" +"),  # columns, which are as wide as their widest cell
)


@dataclass(frozen=True)
class Command:
    """What stands behind a `$ `, and what the page says it prints; None: nothing is said."""

    text: str
    printed: str | None


class Reader:
    """At work in `folder`, with podtask on the PATH and `environment` besides."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PODTASK_")}
        self.environment = {
            **kept,
            "PATH": path,
            "COLUMNS": "120",
            "NO_COLOR": "1",
            "PYTHONUNBUFFERED": "1",
            **environment,
        }
        for name in ("examples", "charts", "crds"):
            if not (folder / name).exists():
                (folder / name).symlink_to(ROOT / name)

    def follow(self, block: Block) -> None:
        """Do what the block says. Raises `AssertionError` that names page, line and difference."""
        if block.shown_only:
            return
        if block.file:
            self._save(block, block.file)
        elif block.language == "python":
            self._run(block, Command(f"python -W error {self._script(block)}", None))
        elif block.language == "console":
            for command in commands(block.text):
                self._run(block, command)

    def _save(self, block: Block, name: str) -> None:
        path = self.folder / name
        assert ROOT not in path.resolve().parents, f"{block.where}: {name} is there already; repeat it by a mark"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)

    def _script(self, block: Block) -> str:
        name = f"line_{block.line}.py"
        (self.folder / name).write_text(block.text)
        return name

    def _run(self, block: Block, command: Command) -> None:
        done = subprocess.run(
            ["bash", "-c", command.text],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        told = f"{block.where}: $ {command.text}\nprinted (exit status {done.returncode}):\n{done.stdout}"
        assert (done.returncode != 0) == ("fails" in block.marks), told
        if command.printed is not None:
            assert re.fullmatch(pattern(command.printed), done.stdout.strip()), (
                f"{told}\nthe page says:\n{command.printed}"
            )


def commands(text: str) -> Iterator[Command]:
    """The commands of a console block, with the lines that follow each."""
    assert text.startswith("$ "), f"a console block begins with '$ ': {text!r}"
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        lines = part.rstrip("\n").split("\n")
        count = 1
        while lines[count - 1].endswith("\\"):
            count += 1
        printed = "\n".join(lines[count:])
        yield Command("\n".join(lines[:count]), printed or None)


def pattern(printed: str) -> str:
    """What is printed, as a pattern: a line `...` stands for any lines, ids and times may be others."""
    lines = []
    for line in printed.strip().split("\n"):
        if line.strip() == "...":
            lines.append(r"(?s:.*)")
            continue
        text = re.escape(line)
        for varying, instead in _VARYING:
            text = re.sub(varying, instead, text)
        lines.append(text.rstrip() + r" *")
    return "\n".join(lines).replace("(?s:.*)\n", r"(?s:.*)\n?").replace("\n(?s:.*)", r"\n?(?s:.*)")
