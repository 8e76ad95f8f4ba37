"""How commands print: tables as kubectl's, ages as kubectl's, `-o json|yaml|name`, a colour for a state's word.

A colour never says anything that a word does not; with NO_COLOR, TERM=dumb or output that is no terminal there is
none. Pure but for `out`. Asked by: every command.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from podtask.core.api.names import State
from podtask.inspection.manifest_text import manifest, yaml_text
from podtask.inspection.task_run import KIND_PREFIX, SeenTaskRun
from podtask.support.terminal_text import visible

COLOURS: Mapping[str, str] = {
    State.COMPLETED: "green",
    State.CACHED: "green",
    State.RUNNING: "cyan",
    State.RETRYING: "cyan",
    State.AWAITING_RETRY: "yellow",
    State.FAILED: "red",
    State.CRASHED: "red",
    State.TIMED_OUT: "red",
    State.NOT_READY: "red",
}


_C1 = re.compile("[\x7f-\x9f]")


def out(text: str) -> None:
    """One line, or several, to stdout, at once; what others wrote in it commands no terminal."""
    sys.stdout.write(visible(text) + "\n")
    sys.stdout.flush()


def unicode() -> bool:
    """True where stdout takes every character; elsewhere JSON and YAML write theirs by number, so that none is lost."""
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def colours() -> bool:
    """True where colours are wanted: a terminal, and nobody said no (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def state(word: str) -> str:
    """The word of a state, coloured where that is wanted."""
    colour = COLOURS.get(word)
    return click.style(word, fg=colour) if colour and colours() else word


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, header: bool = True, indent: str = "") -> str:
    """Columns as wide as their widest cell and three blanks, as kubectl's; an empty cell stays empty."""
    lines = [tuple(head), *(tuple(row) for row in rows)] if header else [tuple(row) for row in rows]
    if not lines:
        return ""
    widths = [max(len(click.unstyle(line[column])) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(indent + padded(line, widths) for line in lines)


def padded(cells: Sequence[str], widths: Sequence[int]) -> str:
    """One line; what is shorter than its column is filled up with blanks."""
    padded = [cell + " " * (width - len(click.unstyle(cell))) for cell, width in zip(cells, widths, strict=True)]
    return "   ".join(padded).rstrip()


def objects(runs: Sequence[SeenTaskRun], form: str, *, one: bool = False) -> str:
    """`-o json|yaml|name`: the TaskRuns as they are, without managedFields; several as a List, as kubectl does."""
    if form == "name":
        return "\n".join(f"{KIND_PREFIX}{run.name}" for run in runs)
    items = [manifest(run.obj) for run in runs]
    document: Any = items[0] if one and len(items) == 1 else {"apiVersion": "v1", "kind": "List", "items": items}
    return as_json(document) if form == "json" else as_yaml(document)


def value(answer: Any) -> str:
    """A result: JSON where that is exact, else as Python writes it."""
    from podtask_runner.serialization.header import encode_json_exact

    exact = encode_json_exact(answer)
    return repr(answer) if exact is None else _json(answer)


def as_json(document: Any) -> str:
    """Indented by four, as kubectl's."""
    return _json(document, indent=4)


def _json(document: Any, indent: int | None = None) -> str:
    """JSON leaves DEL and C1 as they are, which a terminal obeys; by number they are the same text."""
    text = json.dumps(document, indent=indent, ensure_ascii=not unicode())
    return _C1.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def as_yaml(document: Any) -> str:
    """Block style, keys in their order, texts of several lines as blocks."""
    return yaml_text(document, unicode=unicode())
