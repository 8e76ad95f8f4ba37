"""A flow run as a picture for a report: timeline and graph, as one SVG file or as Mermaid in Markdown.

    TaskRuns ──> view (briefs, timeline, graph) ──> templates: report.svg (the page's own macros), report.md

The SVG stands alone: nothing is loaded, nothing runs, the page's rules for pictures are inside with their colours
filled in. Asked by: `podtask describe flow/NAME -o svg|mermaid`. Below: `podtask.ui.view`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from podtask.ui.environment import environment
from podtask.ui.view.briefs import Brief, brief
from podtask.ui.view.flow_runs import flow_run_brief, row
from podtask.ui.view.graph import graph
from podtask.ui.view.log_html import visible
from podtask.ui.view.moments import lasted
from podtask.ui.view.states import group, in_order, word
from podtask.ui.view.timeline import SINGLE, axis_of, pieces, timeline

Object = Mapping[str, Any]
RULES = Path(__file__).with_name("static") / "picture.css"
_SCHEME = re.compile(r":root \{(.*?)\}", re.DOTALL)
_VARIABLE = re.compile(r"--([a-z-]+): ([^;]+);")
_PLAIN = re.compile(r"[^\w .,()/+-]")
"""Whatever may mean something in Mermaid, in Markdown or in HTML."""
LONGEST = 80
"""Characters of a name in Mermaid."""
_GANTT = {"failed": "crit, ", "done": "done, ", "reused": "done, ", "running": "active, ", "stopped": "done, "}


@dataclass(frozen=True)
class Report:
    """What is drawn: a FlowRun and the TaskRuns in it."""

    flow_run: Object
    task_runs: Sequence[Object]
    now: float

    @property
    def briefs(self) -> list[Brief]:
        """The task runs, as the page keeps them."""
        return [brief(one) for one in self.task_runs]


def svg(report: Report) -> str:
    """One SVG document."""
    briefs = report.briefs
    head = row(flow_run_brief(report.flow_run), briefs)
    picture = timeline(briefs, briefs, report.now)
    values = {"head": head, "timeline": picture, "graph": graph(briefs), "words": in_order(dict(head.counts))}
    text = environment().get_template("report.svg").render(**values, style=style(), local=False, now=report.now)
    return "\n".join(line for line in text.splitlines() if line.strip()) + "\n"


def mermaid(report: Report) -> str:
    """Markdown with a summary, the timeline as a Gantt chart and the graph as a flowchart."""
    briefs = report.briefs
    head = row(flow_run_brief(report.flow_run), briefs)
    summary = ", ".join(f"{count:,} {plain(word(state), '&#')}" for state, count in head.counts)
    heading = (plain(text, "&#") for text in (head.flow, head.title or head.name, word(head.state)))
    lines = ["### {} {}: {}".format(*heading), ""]
    if summary:
        lines += [f"{head.total:,} task run{'s' * (head.total != 1)}: {summary}", ""]
    for title, body in (("gantt", list(_gantt(briefs, report.now))), ("flowchart LR", list(_flowchart(briefs)))):
        if body:
            lines += ["```mermaid", title, *(f"    {line}" for line in body), "```", ""]
    return "\n".join(lines)


def plain(text: str, mark: str = "#") -> str:
    """A text of a tenant's where Mermaid sees letters only; other signs are its entities. `&#`: those of Markdown."""
    short = visible(text)
    short = short if len(short) <= LONGEST else short[: LONGEST - 1] + "…"
    return _PLAIN.sub(lambda sign: f"{mark}{ord(sign[0])};", short).strip() or "-"


@lru_cache(maxsize=1)
def style() -> Markup:
    """The rules for pictures without variables, which few programs but browsers know."""
    text = RULES.read_text(encoding="utf-8")
    light, dark = (dict(_VARIABLE.findall(block)) for block in _SCHEME.findall(text))
    rules = text[text.rindex("}\n}\n") + 4 :] + _OWN
    filled = "\n".join(_filled(rules, light)), "\n".join(_filled(rules, {**light, **dark}, only_colours=True))
    return Markup(f"{filled[0]}\n@media (prefers-color-scheme: dark) {{\n{filled[1]}\n}}")  # noqa: S704 - our own file


_OWN = """text { font-family: var(--sans); font-size: 13px; fill: var(--text); }
text.title { font-size: 20px; font-weight: 650; } text.muted { fill: var(--muted); } text.small { font-size: 11.5px; }
.paper { fill: var(--card); } .base { stroke: var(--line); } .s-state { color: var(--text); }
"""


def _filled(rules: str, values: Mapping[str, str], *, only_colours: bool = False) -> Iterator[str]:
    for rule in rules.splitlines():
        if not only_colours or "var(--" in rule:
            yield re.sub(r"var\(--([a-z-]+)\)", lambda name: values[name[1]], rule)


class _Span(NamedTuple):
    kind: str
    begin: float
    end: float
    text: str


def _gantt(briefs: Sequence[Brief], now: float) -> Iterator[str]:
    """A section for each task run, and a bar for each piece of the timeline; of many, one bar for each task."""
    if not briefs:
        return
    yield "dateFormat x"
    yield "axisFormat %H:%M:%S"
    for title, spans in _sections(briefs, now):
        yield f"section {plain(title)}"
        for one in spans:
            begin, end = round(one.begin * 1000), max(round(one.end * 1000), round(one.begin * 1000) + 1)
            yield f"{plain(one.text)} :{_GANTT.get(one.kind, '')}{begin}, {end}"


def _sections(briefs: Sequence[Brief], now: float) -> Iterator[tuple[str, Iterable[_Span]]]:
    if len(briefs) <= SINGLE:
        for one in sorted(briefs, key=lambda one: (one.created, one.name)):
            title = one.task if one.name == one.task else f"{one.task} {one.name}"
            yield title, [_Span(*piece) for piece in pieces(one, now) if piece[2] >= piece[1]]
        return
    members: dict[str, list[Brief]] = {}
    for one in briefs:
        members.setdefault(one.task, []).append(one)
    for task, runs in list(members.items())[:SINGLE]:
        axis = axis_of(runs, now)
        worst = in_order({one.state: 1 for one in runs})[0][0]
        text = f"{len(runs):,} task runs, {lasted(axis.begin, axis.end)}"
        yield task, [_Span(group(worst), axis.begin, axis.end, text)]


def _flowchart(briefs: Sequence[Brief]) -> Iterator[str]:
    drawn = graph(briefs)
    if drawn is None:
        return
    for number, node in enumerate(drawn.nodes):
        yield f'n{number}["{plain(node.title)}<br/>{plain(node.text)}"]:::{group(node.state)}'
    for needed, needs in drawn.links:
        yield f"n{needed} --> n{needs}"
    values = dict(_VARIABLE.findall(_SCHEME.findall(RULES.read_text(encoding="utf-8"))[0]))
    for name in sorted({group(node.state) for node in drawn.nodes}):
        yield f"classDef {name} stroke:{values[name]},stroke-width:2px"
