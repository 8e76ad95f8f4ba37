"""Retry by hand: the manifest that runs a finished TaskRun once more, under the name `<name>-r2`. Pure.

The old run stays as it is, because an end never changes; the new one names it in the label `podtask.dev/retry-of`.
Called by: the command (`podtask retry`), which POSTs what comes back. Next on the road: the operator, as for any run.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from podtask.core.api.names import API_VERSION, FLOW_RUN_KIND, KIND, LABEL_RETRY_OF, NAME_LIMIT, State

Object = dict[str, Any]

_COUNTED = re.compile(r"(.+)-r([1-9][0-9]*)")
_OTHERS_LABELS: Final = frozenset({"app.kubernetes.io/instance", "app.kubernetes.io/managed-by"})
"""By these Argo CD, Helm and others know what they made; they would remove a copy that has them."""
_NOT_ASKED_FOR: Final = frozenset({"cancel", "suspend", "client"})
_FIRST: Final = 2


class NotFinished(ValueError):
    """The run is still under way, so there is nothing to repeat; the text says what to do instead."""


def repeat(
    task_run: Mapping[str, Any], *, taken: Collection[str] = (), upstreams: Mapping[str, str] | None = None
) -> Object:
    """A TaskRun as the API server returned it -> the manifest of its repeat, ready for a POST.

    `taken`: names that exist in the namespace already. `upstreams`: runs this one needs -> the repeats to take
    instead, by name; without it a run that ended NotReady waits for the very upstreams that failed, and ends so again.

    Asked for anew: cancel and suspend are left out, and so are the UIDs of the runs it needs: it takes those that have
    the names by now. What only the SDK knows that made the old run (`spec.client`) is left out, too. A run that has a
    result ignores its own cache entry and writes it anew (`cache.refresh`); one that failed has no entry, and if an
    identical run has completed since, its result is what one wants. Labels stay, so that the repeat is listed with its
    flow run, and the FlowRun stays its owner; annotations and other owners do not: they say who made the old object.
    Raises `NotFinished`.
    """
    meta, status = task_run["metadata"], task_run.get("status") or {}
    if not status.get("finishedAt"):
        raise NotFinished(
            f"TaskRun '{meta['name']}' has not ended (it is {status.get('state') or State.PENDING}): "
            "wait for its end, or cancel it first."
        )
    labels = {name: value for name, value in (meta.get("labels") or {}).items() if name not in _OTHERS_LABELS}
    metadata: Object = {
        "name": repeat_name(meta["name"], repeated=labels.get(LABEL_RETRY_OF) is not None, taken=taken),
        "labels": {**labels, LABEL_RETRY_OF: meta["name"]},
    }
    if meta.get("namespace"):
        metadata["namespace"] = meta["namespace"]
    owners = [owner for owner in meta.get("ownerReferences") or () if owner.get("kind") == FLOW_RUN_KIND]
    if owners:
        metadata["ownerReferences"] = owners
    spec = _spec(task_run["spec"], upstreams or {}, refresh=State(status.get("state", State.FAILED)).succeeded)
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}


def repeat_name(name: str, *, repeated: bool, taken: Collection[str] = ()) -> str:
    """`hello` -> `hello-r2`; a run that is itself a repeat counts on: `hello-r2` -> `hello-r3`. Never one of `taken`.

    A name that would be too long loses characters before the suffix (at most 52, because pods are `<name>-<attempt>`).
    """
    counted = _COUNTED.fullmatch(name) if repeated else None
    stem, number = (counted[1], int(counted[2]) + 1) if counted is not None else (name, _FIRST)
    while (candidate := _joined(stem, f"-r{number}")) in taken:
        number += 1
    return candidate


def _joined(stem: str, suffix: str) -> str:
    return stem[: NAME_LIMIT - len(suffix)].rstrip("-.") + suffix


def _spec(old: Mapping[str, Any], upstreams: Mapping[str, str], *, refresh: bool) -> Object:
    spec: Object = copy.deepcopy({name: value for name, value in old.items() if name not in _NOT_ASKED_FOR})
    for needed in spec.get("upstream", ()):
        if needed["taskRun"] in upstreams and not needed.get("parameter"):
            needed.setdefault("ref", needed["taskRun"])  # the pickled inputs know the old name
    for needed in [*spec.get("upstream", ()), *spec.get("waitFor", ())]:
        needed["taskRun"] = upstreams.get(needed["taskRun"], needed["taskRun"])
        needed.pop("uid", None)
    if refresh and spec.get("cache") is not None:
        spec["cache"]["refresh"] = True
    return spec


__all__ = ["NotFinished", "repeat", "repeat_name"]
