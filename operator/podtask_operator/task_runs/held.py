"""What is kept of a TaskRun between two looks: little while it is under way, almost nothing once it has ended. Pure.

    object of the API server ──> projected (a dict, before anything is parsed) ──> TaskRun.parse ──> kept

A tenant chooses how large a TaskRun is, so its size is measured before it is parsed: what is beyond the bounds is left
out, and the run ends with the sentence that says so. What is left out for other reasons (payloads, annotations) only a
launch needs, and a launch reads the live object. Used by: `kube.client` and `kube.session`, for what is too heavy to be
handed on; the informer cache, for everything.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

from podtask.core.api.names import FLOW_RUN_KIND
from podtask.core.api.spec import plain
from podtask.core.api.status import Attempt, ErrorInfo, Status
from podtask_operator.task_runs.parse import TOO_LARGE, TaskRun

Object = dict[str, Any]

OBJECT_LIMIT: Final = 1024 * 1024
"""Bytes of a TaskRun without its status, as JSON. etcd takes 1.5 MiB, and the status needs room beside it."""
OBJECT_WEIGHT: Final = 16 * 1024 * 1024
"""Bytes of memory that a TaskRun may take once it is parsed, at most: by `weight`."""
OPEN_LIMITS: Final = {"parameters": 32 * 1024, "podTemplate": 64 * 1024}
"""Bytes of the two fields that may hold any JSON, as JSON."""
STUB: Final[Object] = {"task": {"source": "#"}}
"""The spec of a TaskRun that is not read."""
NOTHING: Final[Mapping[str, str]] = {}
"""One object for all runs: an empty dict takes 64 bytes."""
_STEERING: Final = ("suspend", "cancel", "ttlSecondsAfterFinished")
_METADATA: Final = (
    "name",
    "namespace",
    "uid",
    "generation",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
    "labels",
)


def weight(raw: bytes) -> int:
    """Bytes of memory that this JSON may take once it is parsed, at most; in C, a millisecond per megabyte.

    An empty list of two characters becomes 56 bytes, and one character beyond U+FFFF makes all of its text four times
    as long.
    """
    text = len(raw) if raw.isascii() else 4 * len(raw)
    return 256 + text + 240 * raw.count(b"{") + 96 * raw.count(b"[") + 110 * raw.count(b",")


def heavy(raw: bytes) -> bool:
    """Whether this JSON is worth measuring in detail before it is handed on."""
    return len(raw) > OBJECT_LIMIT or weight(raw) > OBJECT_WEIGHT


def bounded(obj: Object) -> Object:
    """The TaskRun, or what is left of one that is too large: its name, its status, what steers it, and a sentence.

    Of a FlowRun only the metadata can be large.
    """
    if obj.get("kind") == FLOW_RUN_KIND:
        return {**obj, "metadata": _metadata(obj.get("metadata"))}
    own = _json({part: value for part, value in obj.items() if part != "status"})
    if len(own) <= OBJECT_LIMIT and weight(own) <= OBJECT_WEIGHT:
        return obj
    spec = obj.get("spec")
    steering = {name: spec[name] for name in _STEERING if name in spec} if isinstance(spec, dict) else {}
    if len(own) > OBJECT_LIMIT:
        text = f"The TaskRun has {len(own)} bytes without its status; at most {OBJECT_LIMIT} are read."
    else:
        text = f"The TaskRun has too many parts: its {len(own)} bytes would take {weight(own)} bytes of memory."
    metadata = _metadata(obj.get("metadata"))
    metadata.pop("labels", None)
    return {**obj, "metadata": metadata, "spec": {**STUB, **steering}, TOO_LARGE: text}


def projected(obj: Object) -> Object:
    """The object without what only a launch needs, or only the client: annotations, payloads, `spec.client`, and source
    that no cache key depends on.

    Without what is too large, too. Whatever is not of the expected shape is left as it is, for `TaskRun.parse` to
    complain about.
    """
    spec = obj.get("spec")
    if not isinstance(spec, dict) or not isinstance(spec.get("task"), dict):
        return obj
    task = spec["task"]
    for name in ("code", "bundle", "overlay"):
        task = _without_inline(task, name)
    if "source" in task and "cache" not in spec:
        task = {**task, "source": "#"}
    rest = {name: value for name, value in _without_inline(spec, "inputs").items() if name != "client"}
    return sized({**obj, "metadata": _metadata(obj.get("metadata")), "spec": {**rest, "task": task}})


def sized(obj: Object) -> Object:
    """The object, or without the fields of any JSON and with a sentence where one of them is too large."""
    spec = obj.get("spec")
    if not isinstance(spec, dict):
        return obj
    for name, limit in OPEN_LIMITS.items():
        if spec.get(name) is None:
            continue
        size = len(json.dumps(spec[name], ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))
        if size > limit:
            rest = {field: value for field, value in spec.items() if field not in OPEN_LIMITS}
            text = f"spec.{name} has {size} bytes as JSON; at most {limit} are allowed."
            return {TOO_LARGE: text, **obj, "spec": rest}
    return obj


def kept(run: TaskRun, obj: Object) -> TaskRun:
    """The run as it is held: its spec as text, and of one that has ended only what others may ask for."""
    if not run.status.finished:
        return replace(run, namespace=sys.intern(run.namespace), annotations=NOTHING, spec_held=_json(obj["spec"]))
    template = run.spec.pod_template or {}
    grace = {name: template[name] for name in ("terminationGracePeriodSeconds",) if name in template}
    spec: Object = {
        **STUB,
        "tags": list(run.spec.tags),
        "resources": None if run.spec.resources is None else plain(run.spec.resources),
        "podCleanup": run.spec.pod_cleanup,
        "podTemplate": grace or None,
        "ttlSecondsAfterFinished": run.spec.ttl_seconds_after_finished,
    }
    few = _json({name: value for name, value in spec.items() if value not in (None, [])})
    return replace(
        run,
        namespace=sys.intern(run.namespace),
        labels=NOTHING,
        annotations=NOTHING,
        spec_held=_shared(few),
        status=_ended(run.status),
    )


def _ended(status: Status) -> Status:
    """How it ended, its result or what it failed with, and which pods it had: nothing else of an end is asked for."""
    result = status.result
    if result is not None:
        result = replace(
            result, serializer=sys.intern(result.serializer), inline=None if result.value is not None else result.inline
        )
    return Status(
        state=status.state,
        attempts=tuple(_judged(attempt) for attempt in status.attempts),
        attempts_total=status.attempts_total,
        result=result,
        message=None if status.state.succeeded else status.message,
        error=None if status.state.succeeded or status.error is None else _failure(status.error),
        finished_at=status.finished_at,
    )


def _failure(error: ErrorInfo) -> ErrorInfo:
    """What a run needs that runs although this one failed: where the exception is, and the cure."""
    cure = error.cure and sys.intern(error.cure)
    return ErrorInfo(sys.intern(error.type), "", digest=error.digest, size=error.size, attempt=error.attempt, cure=cure)


def _judged(attempt: Attempt) -> Attempt:
    return Attempt(
        attempt.number,
        attempt.cause,
        finished_at=attempt.finished_at,
        outcome=attempt.outcome,
        claim=attempt.claim,  # its pod is named there
    )


def _metadata(metadata: Any) -> Any:
    """What `TaskRun.parse` asks for; of the owners those that can be FlowRuns."""
    if not isinstance(metadata, dict):
        return metadata
    kept = {name: metadata[name] for name in _METADATA if name in metadata}
    owners = metadata.get("ownerReferences")
    if isinstance(owners, list):
        kept["ownerReferences"] = [o for o in owners if isinstance(o, Mapping) and o.get("kind") == FLOW_RUN_KIND]
    elif owners is not None:
        kept["ownerReferences"] = owners
    return kept


def _without_inline(holder: Object, name: str) -> Object:
    payload = holder.get(name)
    if not isinstance(payload, dict):
        return holder
    return {**holder, name: {key: value for key, value in payload.items() if key != "inline"}}


@lru_cache(maxsize=1024)
def _shared(text: bytes) -> bytes:
    """One object for equal texts: most runs of a map end with the same."""
    return text


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
