"""`podtask flows`: a table of flow runs, newest first, and with --watch a line for each change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from podtask.cli.common import output
from podtask.cli.common.exits import CommandFailed, Exit
from podtask.cli.common.options import DURATION, with_session
from podtask.cli.common.session import Session, note
from podtask.cli.flows import labels, local
from podtask.cli.flows.flow_run import KIND_PREFIX, SeenFlow, clean
from podtask.cli.flows.select import api, newest_first
from podtask.core.api.names import API_VERSION, FLOW_RUN_KIND, FLOW_RUN_PLURAL, FlowState
from podtask.inspection.durations import age
from podtask.kube.client import Object
from podtask.kube.errors import ClusterRefused

COLUMNS = ("NAME", "FLOW", "STATE", "TASKS", "DURATION", "AGE")
WIDE = ("TITLE", "HOST", "TAGS", "PARENT", "MESSAGE")
LOST = "Running (driver lost)"


@dataclass(frozen=True)
class Wanted:
    """What is shown. Empty fields do not filter."""

    states: tuple[str, ...] = ()
    flow: str = ""
    tags: tuple[str, ...] = ()
    younger_than: float | None = None
    older_than: float | None = None
    subflows: bool = False

    def takes(self, flow: SeenFlow, now: datetime) -> bool:
        """Whether this one is shown."""
        lived = (now - flow.created_at).total_seconds()
        return (
            (self.subflows or not flow.parent)
            and (not self.states or flow.word in self.states)
            and (not self.flow or flow.flow == self.flow)
            and set(self.tags) <= set(flow.tags)
            and (self.younger_than is None or lived <= self.younger_than)
            and (self.older_than is None or lived >= self.older_than)
        )


@click.command("flows")
@click.option("-A", "--all-namespaces", is_flag=True, help="In all namespaces.")
@click.option("-l", "--selector", default="", help="Only with these labels, as in kubectl: a=b,c!=d.")
@click.option("--state", "words", multiple=True, help="Only in these states: failed,running. May be repeated.")
@click.option("--flow", default="", help="Only of this flow.")
@click.option("--tag", "tags", multiple=True, help="Only with this tag. Repeated: with all of them.")
@click.option("--since", type=DURATION, help="Only younger than that: 30m, 2h, 1d.")
@click.option("--older-than", type=DURATION, help="Only older than that.")
@click.option("--subflows", is_flag=True, help="Also those that were called by a flow.")
@click.option("-o", "--output", "form", type=click.Choice(["wide", "json", "yaml", "name"]), help="Form of the output.")
@click.option("--no-headers", is_flag=True, help="Without the line of column names.")
@click.option("-w", "--watch", is_flag=True, help="Afterwards a line for each change, until Ctrl-C.")
@click.option("--unrecorded", is_flag=True, help="Also those that only labels of TaskRuns tell of: of older drivers.")
@click.option("--local", "here", is_flag=True, help="Those of this machine's backends local and process.")
@with_session
def list_flows(
    session: Session,
    *,
    all_namespaces: bool,
    selector: str,
    words: tuple[str, ...],
    flow: str,
    tags: tuple[str, ...],
    since: float | None,
    older_than: float | None,
    subflows: bool,
    form: str | None,
    no_headers: bool,
    watch: bool,
    unrecorded: bool,
    here: bool,
) -> None:
    """List flow runs, newest first."""
    if watch and (here or form in ("json", "yaml", "name")):
        raise CommandFailed("--watch prints lines of a table, of flow runs on the cluster.", Exit.USAGE)
    if unrecorded and (watch or here or selector):
        raise CommandFailed("--unrecorded goes without --watch, --local and -l: labels are all there is.", Exit.USAGE)
    if here and (all_namespaces or selector):
        raise CommandFailed("--local is this machine: there are no namespaces and no labels.", Exit.USAGE)
    wanted = Wanted(_states(words), flow, tags, since, older_than, subflows)
    with local.named("podtask flows --local"):
        namespace = "" if all_namespaces or here else session.namespace
    items, version = (local.flow_runs(session), "") if here else _listed(session, namespace, selector, watch=watch)
    if unrecorded:
        items = [*items, *labels.flow_runs(session, namespace, items)]
    now = session.now()
    flows = newest_first(one for one in map(SeenFlow, items) if wanted.takes(one, now))
    rows = [row(one, now, wide=form == "wide", namespace=all_namespaces) for one in flows]
    head = (*(("NAMESPACE",) if all_namespaces else ()), *COLUMNS, *(WIDE if form == "wide" else ()))
    if form in ("json", "yaml", "name"):
        printed = objects(flows, form)
        if printed:
            output.out(printed)
    elif rows:
        output.out(output.table(head, rows, header=not no_headers))
    else:
        place = "on this machine" if here else "in any namespace" if all_namespaces else f"in namespace '{namespace}'"
        note(f"No flow runs found {place}.")
    if watch:
        shown = {one.uid: cells for one, cells in zip(flows, rows, strict=True)}
        _changes(session, namespace, selector, version, wanted, shown, wide=form == "wide")


def _listed(session: Session, namespace: str, selector: str, *, watch: bool) -> tuple[list[Object], str]:
    """FlowRuns. A cluster that does not know them has those of labels."""
    try:
        return api(session).listed(namespace, selector).all()
    except ClusterRefused as no:
        if no.status != 404 or selector or watch:
            raise
    note("podtask: the cluster does not know FlowRuns (podtask doctor); these are of labels of TaskRuns.")
    return labels.flow_runs(session, namespace, ()), ""


def row(flow: SeenFlow, now: datetime, *, wide: bool = False, namespace: bool = False) -> tuple[str, ...]:
    """One flow run as a line of the table."""
    word = LOST if flow.lost is not None and not flow.finished else flow.word
    cells = [*([flow.namespace] if namespace else []), flow.name, flow.flow, output.state(word)]
    cells += [clean(flow.status.get("tasks")), flow.took, age(flow.created_at, now)]
    if wide:
        host = clean(flow.driver.get("host"))
        cells += [flow.title, host, ",".join(flow.tags), flow.parent, clean(flow.status.get("message"))]
    return tuple(cells)


def objects(flows: list[SeenFlow], form: str, *, single: bool = False) -> str:
    """`-o json|yaml|name`: the FlowRuns as they are, without managedFields."""
    if form == "name":
        return "\n".join(f"{KIND_PREFIX}{flow.name}" for flow in flows)
    items: list[Any] = []
    for flow in flows:
        meta = {name: value for name, value in flow.meta.items() if name != "managedFields"}
        parts = {name: value for name, value in flow.obj.items() if name in ("spec", "status")}
        items.append({"apiVersion": API_VERSION, "kind": FLOW_RUN_KIND, "metadata": meta, **parts})
    document = items[0] if single and items else {"apiVersion": "v1", "kind": "List", "items": items}
    return output.as_json(document) if form == "json" else output.as_yaml(document)


def _states(words: tuple[str, ...]) -> tuple[str, ...]:
    """`--state failed,Running` as states. Raises `CommandFailed` that lists them."""
    known = {word.value.lower(): word.value for word in FlowState}
    given = [part.strip() for word in words for part in word.split(",") if part.strip()]
    for word in given:
        if word.lower() not in known:
            text = f"There is no state '{word}' of a flow run; the states are {', '.join(known.values())}."
            raise CommandFailed(text, Exit.USAGE)
    return tuple(dict.fromkeys(known[word.lower()] for word in given))


def _changes(
    session: Session,
    namespace: str,
    selector: str,
    version: str,
    wanted: Wanted,
    shown: dict[str, tuple[str, ...]],
    *,
    wide: bool,
) -> None:
    """A line for each flow run whose line changes in anything but its age."""
    age = COLUMNS.index("AGE") + (namespace == "")
    for event in session.cluster.changes(namespace, selector, version, plural=FLOW_RUN_PLURAL):
        flow = SeenFlow(event["object"])
        if event["type"] == "DELETED" or not wanted.takes(flow, session.now()):
            continue
        cells = row(flow, session.now(), wide=wide, namespace=namespace == "")
        before = shown.get(flow.uid, ())
        shown[flow.uid] = cells
        if (*before[:age], *before[age + 1 :]) != (*cells[:age], *cells[age + 1 :]):
            output.out("   ".join(cells).rstrip())
