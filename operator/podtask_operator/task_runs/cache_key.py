"""The cache key of a TaskRun: given, or composed from its code, arguments, upstream results and image.

The SDK's runs carry their components, or why they have none; those of the YAML door are made here. The user's source is
parsed, never run. Asked by: `observer`; by `applier` for runs that another operator started. The composition itself:
`podtask.core.cache.entry`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from podtask.core.api.spec import plain
from podtask.core.api.status import ResolvedInput
from podtask.core.cache.entry import Components, compose, for_manifest
from podtask.core.cache.source import NotCacheable
from podtask_operator.settings import Settings
from podtask_operator.task_runs.image import image_of
from podtask_operator.task_runs.parse import TaskRun

OPAQUE: Final = (
    "spec.inputs and spec.files are opaque: two pickles of one value may differ, so no key is made of their bytes."
    " Give the arguments as spec.parameters, or set cache.key or cache.components."
)


@dataclass(frozen=True)
class Composed:
    """A key with what it stands for, or why there is none."""

    key: str | None = None
    components: Components | None = None
    off_reason: str | None = None
    task: str = ""
    """What stays the same from one run of the task to the next."""


def composed_key(run: TaskRun, hashes: Mapping[str, str | None], settings: Settings) -> Composed:
    """The key of a run that asked for caching. `hashes`: upstream TaskRun -> content hash of its result."""
    spec, asked = run.spec, run.spec.cache
    if asked is None:
        return Composed(off_reason="spec.cache is absent.")
    if asked.uncached is not None:
        # First: whoever could not tell what the run depends on gets no entry, whatever else the spec holds.
        return Composed(off_reason=asked.uncached)
    if asked.key is not None:
        return Composed(asked.key)
    # The SDK's refs name runs of one flow run; their order is what stays the same in the next one.
    upstreams = {up.parameter or f"upstream {n}": hashes.get(up.task_run) for n, up in enumerate(spec.upstream)}
    arguments = {name: content_hash for name, content_hash in upstreams.items() if name not in asked.ignore}
    image = image_of(run, settings)
    try:
        if asked.components is not None:
            given = Components(asked.components.code, dict(asked.components.arguments))
            components = given.completed(arguments, image, _environment(run))
        elif spec.inputs is not None or spec.files:
            return Composed(off_reason=OPAQUE)
        else:
            components = for_manifest(
                source=spec.task.source,
                function=spec.task.function,
                entrypoint=spec.task.entrypoint,
                parameters={name: value for name, value in (spec.parameters or {}).items() if name not in asked.ignore},
                upstream=arguments,
                add=asked.add,
                image=image,
                environment=_environment(run),
            )
    except NotCacheable as why:
        return Composed(off_reason=str(why))
    return Composed(compose(components), components, task=spec.task.key or spec.task.name or components.code)


def _environment(run: TaskRun) -> str | None:
    """A hash of what the spec puts into the environment: values, and names where the value is somewhere else.

    In the order of the spec: of two variables with one name the last counts, and one may refer to those before it.
    """
    sources = (run.spec.pod_template or {}).get("envFrom")
    if not run.spec.env and not sources:
        return None
    text = json.dumps([[plain(variable) for variable in run.spec.env], sources or []], sort_keys=True)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def identified(results: Iterable[ResolvedInput | None]) -> dict[str, str | None]:
    """What identifies each upstream's value: its content hash, else the digest of its bytes."""
    return {found.task_run: found.content_hash or f"sha256:{found.digest}" for found in results if found}
