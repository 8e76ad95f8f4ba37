"""Did TaskRuns of this namespace get the parameters that their files say? `kubectl apply` leaves out what is null.

What was applied is in an annotation of kubectl's own, so it can be compared. Says nothing where all is well.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from podtask.cli.doctor.findings import Finding, warning
from podtask.core.api.names import PLURAL
from podtask.inspection.cluster import Cluster
from podtask.kube.client import runs_path
from podtask.kube.errors import Asked

APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
EXAMINED = 500
"""TaskRuns; one page of the API server."""


def parameters(cluster: Cluster) -> Iterator[Finding]:
    """One warning, about the first TaskRun that lacks a parameter."""
    asked = Asked("list", PLURAL, cluster.namespace)
    page = cluster.api.ask(asked, "GET", runs_path(cluster.namespace), {"limit": str(EXAMINED)})
    for run in page.get("items") or ():
        lost = left_out(run)
        if lost:
            yield warning(
                "parameters",
                f"TaskRun '{run['metadata']['name']}' was applied with null for {', '.join(lost[:3])[:200]}; "
                f"kubectl apply leaves null out, so its task ran with the parameter's default",
                "create such TaskRuns with podtask submit -f or kubectl create -f, which keep null; or leave the "
                "parameter out",
            )
            return


def left_out(run: dict[str, Any]) -> list[str]:
    """Parameters that are null in what was applied and absent in the TaskRun."""
    metadata, spec = run.get("metadata") or {}, run.get("spec") or {}
    try:
        applied = json.loads((metadata.get("annotations") or {}).get(APPLIED) or "{}")
        wanted = (applied.get("spec") or {}).get("parameters") or {}
        return sorted(repr(name)[:60] for name in wanted if wanted[name] is None and name not in _kept(spec))
    except (ValueError, AttributeError, TypeError, RecursionError):  # anybody may write an annotation
        return []


def _kept(spec: dict[str, Any]) -> dict[str, Any]:
    return spec.get("parameters") or {}
