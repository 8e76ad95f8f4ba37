"""A TaskRun as the operator holds it: parsed once, defensively, from what the API server sent.

Before: the watch or a GET (plain dicts). Next: `validate`, `build`, and `policy` for `podtask.core.lifecycle`.
A poison object raises `Malformed` here and nothing else anywhere later, so that one object never stops the loop.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from podtask.core.api.spec import Cache, OnConcurrent, TaskRunSpec, Upstream, WaitFor
from podtask.core.api.status import Status
from podtask.core.lifecycle.model import CachePolicy, Policy
from podtask_operator.pod_template.template import grace_seconds
from podtask_operator.task_runs.flow_run import Ref, owner_in

FOR_EVER = 100 * 365 * 86400.0
"""Seconds; longer times mean the same, and dates end with the year 9999."""

TOO_LARGE: Final = "podtaskTooLarge"
"""Beside `metadata` and `spec` of an object that was cut (`task_runs.held`): the sentence that says why. Nobody else
can put it there, because the API server drops fields that the schema does not name."""


class Malformed(Exception):
    """An object that cannot be read; the text is a sentence that names the object and the field."""


@dataclass(frozen=True, slots=True)
class TaskRun:
    """One TaskRun: identity, what is asked (spec) and what is known (status)."""

    name: str
    namespace: str
    uid: str
    generation: int
    created_at: datetime
    resource_version: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    spec_held: TaskRunSpec | bytes
    """The spec, or the JSON of one that was parsed before: in the informer cache it takes a tenth of the memory."""
    status: Status
    status_held: bytes = b""
    """The status as it is stored, compressed JSON, for computing a patch; empty once it has ended: nothing changes."""
    observed_generation: int | None = None
    """`metadata.generation` that the stored status is about."""
    deleting: bool = False
    flow_run: Ref | None = None
    """The FlowRun that it belongs to."""
    needs: tuple[str, ...] = ()
    """TaskRuns that it names as upstream or in waitFor, in order, each once."""
    may_fail: frozenset[str] = frozenset()
    """Those of them that it names with allowFailure, and nowhere without."""
    too_large: str | None = None
    """Why its spec was not read."""

    @property
    def spec(self) -> TaskRunSpec:
        """The spec, parsed."""
        return _spec(self.spec_held) if isinstance(self.spec_held, bytes) else self.spec_held

    @property
    def raw_status(self) -> Mapping[str, Any]:
        """The status as it is stored."""
        return dict(json.loads(zlib.decompress(self.status_held))) if self.status_held else {}

    @classmethod
    def parse(cls, obj: Any) -> TaskRun:
        """The run in an object of the API server. Raises `Malformed`; unknown fields are ignored."""
        if not isinstance(obj, Mapping):
            raise Malformed("A TaskRun is not an object.")
        meta = _parse(_METADATA, obj.get("metadata"), "metadata", _place(obj))
        where = f"TaskRun {meta.namespace}/{meta.name}"
        status = _parse(_STATUS, obj.get("status") or {}, "status", where)
        if not _aware(status):
            raise Malformed(f"{where} cannot be read: status has a time without a time zone.")
        spec: TaskRunSpec = _parse(_SPEC, obj.get("spec"), "spec", where)
        needs = spec.needs
        return cls(
            name=meta.name,
            namespace=meta.namespace,
            uid=meta.uid,
            generation=meta.generation,
            created_at=meta.creationTimestamp,
            resource_version=meta.resourceVersion,
            labels=meta.labels or {},
            annotations=meta.annotations or {},
            spec_held=spec,
            status=status,
            status_held=b"" if status.finished else zlib.compress(json.dumps(obj.get("status") or {}).encode(), 1),
            observed_generation=_whole((obj.get("status") or {}).get("observedGeneration")),
            deleting=meta.deletionTimestamp is not None,
            flow_run=owner_in(meta.ownerReferences),
            needs=tuple(dict.fromkeys(need.task_run for need in needs)),
            may_fail=_may_fail(needs),
            too_large=obj.get(TOO_LARGE),
        )

    @property
    def outdated(self) -> bool:
        """True where `status.observedGeneration` is older than the spec."""
        return self.observed_generation is not None and self.observed_generation < self.generation


_NOBODY: Final[frozenset[str]] = frozenset()
"""One object for all runs: since Python 3.10 each empty frozenset is one of its own, of 216 bytes."""


def _may_fail(needs: Sequence[Upstream | WaitFor]) -> frozenset[str]:
    allowed = {need.task_run for need in needs if need.allow_failure}
    must_complete = {need.task_run for need in needs if not need.allow_failure}
    return frozenset(allowed - must_complete) or _NOBODY


def policy(run: TaskRun) -> Policy:
    """What the spec asks of the lifecycle. Never raises: a malformed podTemplate is `validate`'s to report.

    Where the spec is silent these are podtask's own defaults; the chart's are added where they count (`with_defaults`).
    """
    spec, cache = run.spec, run.spec.cache
    return replace(
        Policy.of(spec, spec.retry_delay_seconds),
        pending_timeout_seconds=spec.pending_timeout_seconds or Policy.pending_timeout_seconds,
        grace_seconds=grace_seconds(spec.pod_template),
        suspend=spec.suspend,
        cancel=spec.cancel,
        ttl_seconds=_bounded(spec.ttl_seconds_after_finished),
        cache=_cache(cache) if cache else None,
    )


def with_defaults(spec: TaskRunSpec, defaults: Mapping[str, Any]) -> TaskRunSpec:
    """The spec with the chart's `taskDefaults` for what the lifecycle asks and the spec does not say.

    They are not defaults of the schema: those would be stored in every object, and could never be changed.
    """
    given = {
        "max_disruptions": (spec.max_disruptions, defaults.get("maxDisruptions")),
        "pending_timeout_seconds": (spec.pending_timeout_seconds, defaults.get("pendingTimeoutSeconds")),
    }
    added = {name: value for name, (own, value) in given.items() if own is None and value is not None}
    return spec.model_copy(update=added) if added else spec


def _cache(asked: Cache) -> CachePolicy:
    return CachePolicy(
        expiration_seconds=_bounded(asked.expiration_seconds),
        refresh=asked.refresh,
        wait_for_concurrent=asked.on_concurrent is OnConcurrent.WAIT,
    )


@dataclass(frozen=True)
class _Metadata:
    """`metadata` as Kubernetes spells it."""

    name: str
    namespace: str
    uid: str
    creationTimestamp: AwareDatetime  # noqa: N815 - the name on the wire
    resourceVersion: str  # noqa: N815
    generation: int = 0
    labels: dict[str, str] | None = field(default=None)
    annotations: dict[str, str] | None = field(default=None)
    deletionTimestamp: str | None = None  # noqa: N815
    ownerReferences: list[Any] | None = field(default=None)  # noqa: N815


_METADATA: TypeAdapter[_Metadata] = TypeAdapter(_Metadata)
_STATUS: TypeAdapter[Status] = TypeAdapter(Status)
_SPEC: TypeAdapter[TaskRunSpec] = TypeAdapter(TaskRunSpec)


@lru_cache(maxsize=64)
def _spec(text: bytes) -> TaskRunSpec:
    """Parse the spec of a run. Cached, because one look asks for it many times."""
    return _SPEC.validate_python(json.loads(text))


def _parse(adapter: TypeAdapter[Any], data: Any, part: str, where: str) -> Any:
    try:
        return adapter.validate_python(data)
    except (ValidationError, RecursionError) as error:
        raise Malformed(f"{where} cannot be read: {_sentence(error, part)}.") from None


def _sentence(error: ValidationError | RecursionError, part: str) -> str:
    """The first complaint, with the field's path as a person would write it."""
    if isinstance(error, RecursionError):
        return f"{part} is nested too deeply"
    first = error.errors(include_url=False, include_input=False)[0]
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"])
    return f"{part}{path[:200]}: {first['msg'][:300]}"


def _place(obj: Mapping[str, Any]) -> str:
    """Namespace and name of a malformed object, as far as it has them."""
    meta = obj.get("metadata")
    known = meta if isinstance(meta, Mapping) else {}
    return f"TaskRun {known.get('namespace', '?')!s:.63}/{known.get('name', '?')!s:.253}"


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _bounded(seconds: float | None) -> float | None:
    return None if seconds is None else min(float(seconds), FOR_EVER)


def _aware(value: Any) -> bool:
    """False where any time inside has no time zone: the API server accepts those, comparisons do not."""
    if isinstance(value, datetime):
        return value.tzinfo is not None
    if isinstance(value, tuple):
        return all(map(_aware, value))
    kind: Any = type(value)
    return all(_aware(getattr(value, name)) for name in _field_names(kind))


@lru_cache(maxsize=64)
def _field_names(kind: type) -> tuple[str, ...]:
    """Of a dataclass; of another type none. A status has forty values, and `fields` makes its list anew each time."""
    return tuple(each.name for each in fields(kind)) if is_dataclass(kind) else ()
