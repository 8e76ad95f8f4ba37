"""What a call asks of the cluster's cache, or why it can ask nothing: `spec.cache`.

`task_input_hash` needs no values: code and arguments are hashed here, a future stands as its place among the
upstreams, and the operator adds their content hashes as `upstream 0`, `upstream 1`, … A user's own `cache_key_fn`
sees values, so it is asked when the upstreams are there. Where no key can be made, the TaskRun carries the reason, so
that its status says it. Before: `backend`. Next: `manifest`; the operator's `cache_key`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from podtask.backends.in_process.observer import upstreams_of
from podtask.core.api.status import MESSAGE_LIMIT
from podtask.core.lifecycle.failed_inputs import uncached_by
from podtask.payloads.hashing import EVERYTHING, input_hash_of

if TYPE_CHECKING:
    from podtask.model.task_run import TaskRun
    from podtask.options import TaskOptions

Object = dict[str, Any]


UPSTREAM = "upstream {}"
"""What stands for the result of `spec.upstream[n]` in the components of a key (operator: `cache_key`)."""


class Place:
    """Stands where an upstream's result will be; hashes as its place in `spec.upstream`."""

    __module__ = "podtask.backends.kubernetes.caching"  # stands in cache keys, so it stays where the module moves

    def __init__(self, number: int) -> None:
        self.number = number
        self.inside = False
        """Whether it was met inside of another value."""

    def __podtask_hash__(self) -> tuple[str, int]:
        self.inside = True
        return "upstream", self.number


def needs_values(run: TaskRun) -> bool:
    """Whether the key comes from user code that sees the values of upstreams."""
    key_fn = run.task.options.cache_key_fn
    return key_fn is not None and input_hash_of(key_fn) is None


def plan(run: TaskRun, code: str | TypeError | None = None, elsewhere: Collection[str] = frozenset()) -> Object | None:
    """`spec.cache` of the run. `code`: as in `components`. `elsewhere`: finished upstreams that have no TaskRun, so
    that their values are hashed here. Raises whatever a user's `cache_key_fn` raises."""
    from podtask.backends.in_process.attempt import cache_key

    options = run.task.options
    if options.cache_key_fn is None:
        return None
    if needs_values(run):
        key, packed = cache_key(run), run.shipment
        if key and run.task.batched and packed is not None and (changed := packed.sent.outdated(run.task)):
            why = f"{changed} was changed after the call, so no key can be made of it."
            return {"uncached": why[:MESSAGE_LIMIT]}
        return {"key": key, **_how(options)} if key else None
    found = _components(run, code, elsewhere)
    if isinstance(found, str):
        return {"uncached": found[:MESSAGE_LIMIT]}
    return {**found, **_how(options)}


def after_failures(run: TaskRun) -> Object | None:
    """`spec.cache` of a run whose upstream is known to have failed, and may: as the operator says it of others."""
    if run.task.options.cache_key_fn is None or run.failed_needs:
        return None
    why = uncached_by(upstreams_of(run))
    return None if why is None else {"uncached": why[:MESSAGE_LIMIT]}


def _components(run: TaskRun, code: str | TypeError | None, elsewhere: Collection[str]) -> Object | str:
    """Code identity and a hash per argument, and upstreams that do not count; or why there are none.

    An argument that is a future as a whole names its upstream instead, so that the operator can count it as the
    value it will be. Not if the same future is also inside of another argument: there only its place can count,
    and two places may not be mistaken for each other.
    """
    from podtask.payloads.hashing import components_or_why
    from podtask_runner.hashing.content_hash import content_hash

    counting = input_hash_of(run.task.options.cache_key_fn) or EVERYTHING
    named_in_spec = [upstream.id for upstream in run.upstreams if upstream.id not in elsewhere]
    places = {name: Place(number) for number, name in enumerate(named_in_spec)}
    given = _with_places(run, places)
    whole = {name: at for name, at in given.items() if isinstance(at, Place) and name not in counting.ignore}
    values = {name: value for name, value in given.items() if name not in whole}
    found = components_or_why(run.task, values, code, counting)
    if isinstance(found, str):
        return found
    named = {name: content_hash(at) if at.inside else UPSTREAM.format(at.number) for name, at in whole.items()}
    components = {"code": found.code, "arguments": {**found.arguments, **named}}
    counted = {at.number for at in places.values() if at.inside or at in whole.values()}
    ignored = [UPSTREAM.format(number) for number in range(len(places)) if number not in counted]
    return {"components": components, "ignore": ignored} if ignored else {"components": components}


def _with_places(run: TaskRun, places: Mapping[str, Place]) -> Mapping[str, Any]:
    """The arguments with a `Place` wherever a future is, as deep as it may be: the pickle knows them all. Values of
    upstreams that have no place stand there themselves."""
    if not run.upstreams:
        return run.inputs.parameters
    from podtask.backends.in_process.attempt import named
    from podtask_runner.serialization.pickling import loads

    found: dict[str, Any] = {**places, **run.inputs.files}
    found |= {upstream.id: upstream.load() for upstream in run.upstreams if upstream.id not in places}
    args, kwargs = loads(run.inputs.payload, resolve=found.__getitem__)
    return named(run, tuple(args), dict(kwargs))


def _how(options: TaskOptions) -> Object:
    how: Object = {}
    if options.cache_expiration is not None:
        # A negative one never hits (as in Prefect 2.0b5); the schema's least is 0, which has the same effect.
        how["expirationSeconds"] = max(0.0, options.cache_expiration.total_seconds())
    if options.refresh_cache:
        how["refresh"] = True
    if options.cache_concurrent == "run":
        how["onConcurrent"] = "Run"
    return how
