"""Flow runs that are known by a label of TaskRuns only: of drivers that recorded none, or of a cluster without the CRD.

Read as a Table, so that no payload of a TaskRun travels. Such a flow run is as the page shows it
(`podtask.ui.view.flow_runs`), and it is gone with its TaskRuns.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone

from podtask.cli.common.session import Session
from podtask.core.api.names import LABEL_FLOW_RUN
from podtask.kube.client import Object
from podtask.kube.list_watch import TABLE, ListWatch
from podtask.recording.document import as_time
from podtask.ui.view.briefs import Brief, brief_of_row
from podtask.ui.view.flow_runs import unrecorded


def flow_runs(session: Session, namespace: str, recorded: Iterable[Object]) -> list[Object]:
    """Those that no FlowRun is there for, as FlowRuns without a driver. Namespace "": of all."""
    known = {(one["metadata"].get("namespace"), one["metadata"]["name"]) for one in recorded}
    members: dict[tuple[str, str], list[Brief]] = {}
    source = ListWatch(session.cluster.api, namespace, selector=LABEL_FLOW_RUN, form=TABLE)
    for rows, _ in source.pages():
        for row in rows:
            one = brief_of_row(row)
            key = (str(row["metadata"].get("namespace") or namespace), one.flow_run)
            if one.flow_run and key not in known:
                members.setdefault(key, []).append(one)
    return [_flow_run(place, runs) for (place, _), runs in members.items()]


def _flow_run(namespace: str, members: list[Brief]) -> Object:
    seen = unrecorded(members)
    began = as_time(datetime.fromtimestamp(seen.started, timezone.utc))
    status = {"state": seen.state, "tasks": f"{seen.over}/{seen.total}", "startedAt": began}
    meta = {"name": seen.name, "namespace": namespace, "creationTimestamp": began}
    return {"metadata": meta, "spec": {"flow": seen.flow}, "status": status}
