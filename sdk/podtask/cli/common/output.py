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
from datetime import datetime
from typing import Any

import click

from podtask.cli.common.task_run import KIND_PREFIX, Seen
from podtask.core.api.names import State
from podtask.support.terminal_text import visible

NONE = "<none>"
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


def age(since: datetime | None, now: datetime) -> str:
    """How long ago, as kubectl writes ages (k8s.io/apimachinery, duration.HumanDuration)."""
    return NONE if since is None else span((now - since).total_seconds())


def span(seconds: float) -> str:
    """`45s`, `3m10s`, `25m`, `2h5m`, `17h`, `3d4h`, `20d`, `2y30d`."""
    whole = max(0, int(seconds))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if whole < 120:
        return f"{whole}s"
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    return _two(days // 365, "y", days % 365, "d") if days < 8 * 365 else f"{days // 365}y"


def _two(large: int, unit: str, small: int, smaller: str) -> str:
    return f"{large}{unit}{small}{smaller}" if small else f"{large}{unit}"


def objects(runs: Sequence[Seen], form: str, *, one: bool = False) -> str:
    """`-o json|yaml|name`: the TaskRuns as they are, without managedFields; several as a List, as kubectl does."""
    if form == "name":
        return "\n".join(f"{KIND_PREFIX}{run.name}" for run in runs)
    items = [_shown(run.obj) for run in runs]
    document: Any = items[0] if one and len(items) == 1 else {"apiVersion": "v1", "kind": "List", "items": items}
    return as_json(document) if form == "json" else as_yaml(document)


def _shown(obj: Mapping[str, Any]) -> dict[str, Any]:
    from podtask.core.api.names import API_VERSION
    from podtask.core.api.names import KIND as KIND_NAME

    meta = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
    rest = {name: value for name, value in obj.items() if name not in ("apiVersion", "kind", "metadata")}
    return {"apiVersion": API_VERSION, "kind": KIND_NAME, "metadata": meta, **rest}


def value(given: Any) -> str:
    """A result: JSON where that is exact, else as Python writes it."""
    from podtask_runner.serialization.header import encode_json_exact

    exact = encode_json_exact(given)
    return repr(given) if exact is None else _json(given)


def as_json(document: Any) -> str:
    """Indented by four, as kubectl's."""
    return _json(document, indent=4)


def _json(document: Any, indent: int | None = None) -> str:
    """JSON leaves DEL and C1 as they are, which a terminal obeys; by number they are the same text."""
    text = json.dumps(document, indent=indent, ensure_ascii=not unicode())
    return _C1.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def as_yaml(document: Any) -> str:
    """Block style, keys in their order, texts of several lines as blocks."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Ours only: a representer is registered per class."""

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Dumper.add_representer(str, text)
    return yaml.dump(document, Dumper=Dumper, sort_keys=False, allow_unicode=unicode(), width=120).rstrip("\n")
