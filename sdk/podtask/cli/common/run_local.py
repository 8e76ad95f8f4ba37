"""`podtask run -f FILE --local`: TaskRuns of a file on this machine, by the rules of the cluster.

    manifest ──> a task whose body is the runner's own way to load and call source ──> a flow on the backend `process`

So retries, delays, timeouts, caching, upstreams and the judgement of each end are `podtask.core.lifecycle`'s, and an
attempt is a subprocess through the runner of the pods. What only a cluster can do is named on stderr.
Before: `manifest_files`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from datetime import timedelta
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from podtask.annotations import allow_failure
from podtask.cli.common.exits import CommandFailed
from podtask.cli.common.session import note
from podtask.core.api.spec import Cache, TaskRunSpec, Upstream, WaitFor
from podtask.core.cache.entry import compose, for_manifest
from podtask.core.cache.source import NotCacheable
from podtask.kube.client import Object

if TYPE_CHECKING:
    from podtask import State, Task

CLUSTER_ONLY = (
    "image",
    "resources",
    "env",
    "serviceAccountName",
    "nodeSelector",
    "tolerations",
    "podTemplate",
    "onDisruption",
    "onOutOfMemory",
    "podCleanup",
    "suspend",
)


def run(manifests: list[Object]) -> dict[str, State[Any]]:
    """Run them all, each after those it needs; the final states by name, in the order of the file."""
    from podtask import flow

    by_name = {str(manifest["metadata"].get("name") or "unnamed"): manifest for manifest in manifests}
    if len(by_name) < len(manifests):
        raise CommandFailed("Two TaskRuns of the file have one name; give each its own (metadata.name).")
    specs = {name: _spec(name, manifest) for name, manifest in by_name.items()}
    order = _in_order(specs)
    tasks = {name: _task(name, specs[name]) for name in order}
    for name, manifest in by_name.items():
        ignored = [field for field in CLUSTER_ONLY if manifest["spec"].get(field)]
        if ignored:
            note(f"podtask: {name}: without a cluster there is no {', '.join(ignored)}.")

    ended: dict[str, State[Any]] = {}

    @flow(name="local", backend="process", validate_parameters=False)
    def everything() -> None:
        futures: dict[str, Any] = {}
        for name in order:
            spec = specs[name]
            values = {up.parameter: _needed(futures, up) for up in spec.upstream if up.parameter}
            after = [_needed(futures, one) for one in spec.wait_for]
            after += [_needed(futures, up) for up in spec.upstream if not up.parameter]
            futures[name] = tasks[name](**(spec.parameters or {}), **values, wait_for=after)
        ended.update({name: futures[name].wait() for name in by_name})

    with redirect_stdout(sys.stderr):  # what tasks write is their log; the answer is on stdout
        everything(return_state=True)  # a failure is told, not raised
    return ended


def _needed(futures: Mapping[str, Any], need: Upstream | WaitFor) -> Any:
    future = futures[need.task_run]
    return allow_failure(future) if need.allow_failure else future


def _spec(name: str, manifest: Object) -> TaskRunSpec:
    from pydantic import ValidationError

    try:
        spec = TaskRunSpec.model_validate(manifest.get("spec"))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = ".".join(str(step) for step in first["loc"])
        raise CommandFailed(f"TaskRun '{name}': spec.{path}: {first['msg']}") from error
    if (spec.task.source is None) is (spec.task.entrypoint is None):
        raise CommandFailed(f"TaskRun '{name}' needs task.source or task.entrypoint to be run here.")
    if spec.task.source is not None:
        _compiles(name, spec.task.source)
    return spec


def _compiles(name: str, source: str) -> None:
    try:
        compile(source, "<task.source>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise CommandFailed(f"TaskRun '{name}': task.source does not compile: line {line}: {error}") from error


def _in_order(specs: Mapping[str, TaskRunSpec]) -> list[str]:
    needs = {
        name: [one.task_run for part in (spec.upstream, spec.wait_for) for one in part] for name, spec in specs.items()
    }
    for name, wanted in needs.items():
        missing = next((one for one in wanted if one not in specs), None)
        if missing is not None:
            raise CommandFailed(f"TaskRun '{name}' needs '{missing}', which is not in the file; add it.")
    try:
        return list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        raise CommandFailed(f"These TaskRuns wait for each other: {' -> '.join(error.args[1])}.") from error


def _task(name: str, spec: TaskRunSpec) -> Task[..., Any]:
    """A task that does in its subprocess what the runner does in a pod."""
    from podtask import Task

    source, function, entrypoint = spec.task.source, spec.task.function, spec.task.entrypoint

    def body(**parameters: Any) -> Any:
        from podtask_runner.attempt import loading
        from podtask_runner.protocol import Code

        return loading.load_named(Code(source=source, function=function, entrypoint=entrypoint))(**parameters)

    cache = spec.cache
    options: dict[str, Any] = {}
    if cache is not None:
        options = {
            "cache_key_fn": _key(spec),
            "cache_expiration": None
            if cache.expiration_seconds is None
            else timedelta(seconds=cache.expiration_seconds),
            "refresh_cache": cache.refresh,
            "cache_concurrent": cache.on_concurrent.value.lower(),
        }
    return Task(
        body,
        name=spec.task.name or name,
        tags=spec.tags,
        retries=spec.retries,
        retry_delay_seconds=list(spec.retry_delay_seconds) or 0,
        retry_jitter_factor=spec.retry_jitter_factor,
        timeout_seconds=spec.timeout_seconds,
        deadline_seconds=spec.deadline_seconds,
        max_disruptions=spec.max_disruptions,
        checkpoints=spec.checkpoints,
        **options,
    )


def _key(spec: TaskRunSpec) -> Any:
    """The key as the operator composes it; upstream results are among the parameters by then."""

    def key(_: object, parameters: dict[str, Any]) -> str | None:
        if spec.cache is not None and spec.cache.uncached is not None:
            note(f"podtask: not cached: {spec.cache.uncached}")
            return None
        if spec.cache is not None and spec.cache.key is not None:
            return spec.cache.key
        task = spec.task
        try:
            given = parameters.get("parameters", parameters)
            asked = spec.cache or Cache()
            return compose(
                for_manifest(
                    source=task.source,
                    function=task.function,
                    entrypoint=task.entrypoint,
                    parameters={name: value for name, value in given.items() if name not in asked.ignore},
                    image=spec.image,
                    add=asked.add,
                )
            )
        except NotCacheable as why:
            note(f"podtask: not cached: {why}")
            return None

    return key
