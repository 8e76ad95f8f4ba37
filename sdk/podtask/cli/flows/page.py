"""`podtask describe flow/NAME`: what was run with which parameters, its tree, what took the time, what failed first."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from podtask.cli.common import output
from podtask.cli.common.live_runs import counts
from podtask.cli.flows.flow_run import SeenFlow, clean
from podtask.cli.flows.tree import Tree, critical_path, first_failure, seconds
from podtask.core.api.names import FlowState, State
from podtask.inspection.durations import age, short
from podtask.inspection.task_run import SeenTaskRun

FEW = 50
"""So many task runs of one flow run have a line each; of more, each task has one."""
WIDTH = 13
LONGEST_PATH = 20
DEEPEST = 32
_ORDER = [word.value for word in State]


@dataclass(frozen=True)
class FlowRunReading:
    """What was read for it."""

    tree: Tree
    now: datetime
    where: str
    """Options that suggested commands need."""
    local: bool = False


def text(page: FlowRunReading) -> str:
    """The whole page."""
    blocks = ["\n".join(lines) for part in PARTS if (lines := list(part(page)))]
    return "\n\n".join(blocks)


def _head(page: FlowRunReading) -> Iterable[str]:
    flow, driver = page.tree.top, page.tree.top.driver
    where = [clean(driver.get("host")), clean(driver.get("program"))]
    where += [f"podtask {clean(driver.get('sdkVersion'))}", f"Python {clean(driver.get('python'))}"]
    if driver.get("taskRun"):
        where.insert(0, f"TaskRun {clean(driver['taskRun'])}")
    yield from _fields(
        ("Name", flow.name),
        ("Namespace", flow.namespace),
        ("Flow", f"{flow.flow} ({flow.title})"),
        ("State", output.state(flow.word) + ("" if page.local else ", as the driver reports")),
        ("Message", clean(flow.status.get("message"))),
        ("Driver lost", flow.lost),
        ("Cancelled", "spec.cancel is true" if flow.spec.get("cancel") else None),
        ("Parameters", ", ".join(_parameter(one) for one in flow.spec.get("parameters") or ())),
        ("Result", clean(flow.status.get("result"))),
        ("Tags", ", ".join(flow.tags)),
        ("Parent", flow.parent),
        ("Driver", ", ".join(part for part in where if part.strip()) if driver else None),
        ("Started", _time(flow.at("startedAt") or flow.created_at, page.now)),
        ("Finished", _time(flow.at("finishedAt"), page.now)),
        ("Duration", flow.took),
        ("Task runs", _summary(page)),
    )


def _parameter(one: object) -> str:
    entry = one if isinstance(one, dict) else {}
    omitted = entry.get("omitted")
    shown = clean(entry.get("value")) if "value" in entry else f"({clean(entry.get('type') or omitted)})"
    mark = {"Cut": "…", "Hidden": " (hidden)"}.get(str(omitted), "")
    return f"{clean(entry.get('name'))}={shown}{mark}"


def _summary(page: FlowRunReading) -> str:
    words = Counter(run.word for run in page.tree.runs)
    if page.local and not words and not page.tree.top.status.get("finishedAt"):
        return "not recorded yet" if not page.tree.top.finished else "not recorded"
    known = sorted(words, key=lambda word: _ORDER.index(word) if word in _ORDER else len(_ORDER))
    return f"{sum(words.values())}: " + ", ".join(f"{words[word]} {word}" for word in known) if words else "none"


def _tree(page: FlowRunReading) -> Iterable[str]:
    lines = list(_branch(page, page.tree.top, "  ", 0))
    if lines:
        yield "Tree:"
        yield from lines


def _branch(page: FlowRunReading, flow: SeenFlow, indent: str, depth: int) -> Iterator[str]:
    runs, inner = page.tree.of(flow.name), page.tree.children(flow.name)
    if len(runs) <= FEW:
        rows = [(run.name, clean(run.task), output.state(run.word), _took(run, page.now)) for run in runs]
    else:
        rows = [(clean(task), f"{done} of {total}", states, "") for task, total, done, states in counts(runs)]
    if rows:
        yield output.table((), rows, header=False, indent=indent)
    for child in inner if depth < DEEPEST else ():
        took = f"   {child.took}" if child.took else ""
        yield f"{indent}{child.name}   {child.flow}   {output.state(child.word)}{took}"
        yield from _branch(page, child, indent + "  ", depth + 1)


def _path(page: FlowRunReading) -> Iterable[str]:
    path = critical_path(page.tree.runs)
    if len(path) < 2:
        return
    took = [seconds(run, page.now) or 0.0 for run in path]
    steps = [f"{run.name} ({short(each)})" for run, each in zip(path, took, strict=True)]
    if len(steps) > LONGEST_PATH:
        steps = [*steps[: LONGEST_PATH // 2], "…", *steps[-LONGEST_PATH // 2 :]]
    yield from _fields(("Longest chain", f"{short(sum(took))}: {' -> '.join(steps)}"))


def _failure(page: FlowRunReading) -> Iterable[str]:
    run = first_failure(page.tree.runs)
    if run is None:
        return
    error = run.status.error
    why = f"{error.type}: {error.message}" if error else run.status.message or ""
    ended = age(run.status.finished_at, page.now)
    yield from _fields(("Failed first", f"{run.name} {output.state(run.word)} {ended} ago: {clean(why)[:500]}"))


def _next(page: FlowRunReading) -> Iterable[str]:
    yield f"Next: {next_step(page)}"


PARTS = (_head, _tree, _path, _failure, _next)


def next_step(page: FlowRunReading) -> str:
    """One sentence with one command."""
    flow, this = page.tree.top, f"flow/{page.tree.top.name}{page.where}"
    failed = first_failure(page.tree.runs)
    if page.local:
        return _local_step(flow, failed)
    if flow.word == FlowState.COMPLETED.value:
        return f"podtask logs {this}"
    if flow.lost is not None:
        return again(flow, page.where)
    if not flow.finished:
        return f"podtask watch {this}"
    if failed is not None:
        return f"see why the first one failed: podtask describe {failed.name}{page.where}; then podtask retry {this}"
    return f"podtask retry {this}"


def _local_step(flow: SeenFlow, failed: SeenTaskRun | None) -> str:
    """A flow run of this machine goes on in its own process, and nowhere else."""
    if not flow.finished:
        return "its task runs are recorded when it ends; Ctrl-C in its terminal ends it"
    if flow.word == FlowState.COMPLETED.value:
        return "see its timeline in a browser: podtask ui --local"
    return f"{'see the traceback in a browser: podtask ui --local; then ' if failed else ''}run the program again"


def again(flow: SeenFlow, where: str) -> str:
    """How the flow goes on: by its TaskRun, or by its program on the machine where it ran."""
    driver, pin = flow.driver, str(flow.spec.get("pin") or "")
    if driver.get("taskRun") or not pin:
        return f"podtask retry flow/{flow.name}{where}"
    program = shlex.quote(clean(driver.get("program") or "PROGRAM"))
    host = f"on {clean(driver.get('host'))}: " if driver.get("host") else ""
    return f"{host}PODTASK_FLOW_RUN_ID={shlex.quote(clean(pin))} python {program}"


def _took(run: SeenTaskRun, now: datetime) -> str:
    took = seconds(run, now)
    return "" if took is None else short(took)


def _fields(*pairs: tuple[str, str | None]) -> Iterable[str]:
    return (f"{name + ':':<{WIDTH + 2}}{value}" for name, value in pairs if value)


def _time(when: datetime | None, now: datetime) -> str | None:
    return None if when is None else f"{when:%Y-%m-%d %H:%M:%S} UTC ({age(when, now)} ago)"
