"""The two messages between whoever starts an attempt and the runner: Grants in, Outcome back.

`Grants` is a JSON file (in a pod: one key of a Secret) with everything one attempt may touch: time-limited
URLs for exactly its own objects, inline code and arguments, and its limits. `Outcome` is what the runner
answers, the same bytes as object `outcome` and as termination message (at most 4096 bytes).

Both carry `v`, and both readers ignore keys they do not know, so an older pod can speak to a newer operator.
Next on the road: `podtask_runner.process.supervisor`; written by `podtask_operator.storage.grants` and
`podtask.backends.process`.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

from podtask_runner.names import JSON, TERMINATION_LIMIT, WIRE_VERSION

T = TypeVar("T")


class Verdict(str, enum.Enum):
    """How an attempt ended, in the runner's own words."""

    COMPLETED = "Completed"
    FAILED = "Failed"  # the user's code raised an Exception
    CRASHED = "Crashed"  # interpreter died, SystemExit, unpicklable result: not retried
    INTERRUPTED = "Interrupted"  # SIGTERM came from outside: a disruption
    TIMED_OUT = "TimedOut"
    INVALID_SPEC = "InvalidSpec"
    ENVIRONMENT_MISMATCH = "EnvironmentMismatch"
    INPUT_CORRUPTED = "InputCorrupted"
    STORE_UNAVAILABLE = "StoreUnavailable"
    NEVER_STARTED = "NeverStarted"  # an idle pod ended before any attempt was given to it

    __str__ = str.__str__


@dataclass(frozen=True)
class Put:
    """Where one object may be written, once. `headers` are signed and must be sent exactly."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Slot:
    """One object of the attempt: write it, or read back what an earlier try wrote."""

    put: Put
    get: str


@dataclass(frozen=True)
class Blob:
    """A payload to read: inline (base64) or by URL; the digest is checked before any byte is interpreted."""

    digest: str
    """sha256 of the whole object, lower-case hex."""
    size: int
    serializer: str = "cloudpickle"
    inline: str | None = None
    url: str | None = None


@dataclass(frozen=True)
class Code:
    """Exactly one of: `source` (text), `entrypoint` (`package.module:function`), `shipped` (a pickled function)."""

    source: str | None = None
    function: str = "main"
    entrypoint: str | None = None
    shipped: Blob | None = None
    bundle: Blob | None = None
    """The modules of the project, which `shipped`, the inputs and results name (`podtask_runner.bundle.archive`)."""
    overlay: Blob | None = None
    """What the driver changed in these modules after their import (`podtask_runner.bundle.overlay`)."""


@dataclass(frozen=True)
class Upstream:
    """The result of another run: bound to a keyword `parameter`, or to every placeholder named `ref` in the inputs.

    With a `failure` the run did not complete and may (`allow_failure`): the blob is its stored, pickled exception, or
    `NOTHING`, and the value is the exception that `podtask_runner.serialization.failures` makes of both.
    """

    blob: Blob
    parameter: str | None = None
    ref: str | None = None
    failure: Failure | None = None


@dataclass(frozen=True)
class Failure:
    """How a run ended that did not complete."""

    state: str
    """As in the status: Failed, Crashed, TimedOut, Cancelled, NotReady."""
    text: str
    """A sentence about it."""


NOTHING: Final = Blob(hashlib.sha256(b"null").hexdigest(), 4, JSON, inline="bnVsbA==")
"""Stands for the exception of a run that left none: JSON's null."""


@dataclass(frozen=True)
class LogPost:
    """A presigned POST policy (SigV4): any number of chunks under `prefix`, each at most `max_bytes`."""

    url: str
    prefix: str
    max_bytes: int
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SavedCheckpoint:
    """What an earlier attempt has saved."""

    attempt: int
    slot: int
    get: str


@dataclass(frozen=True)
class Checkpoints:
    """Where an attempt saves its progress, and what it may go on from (`podtask_runner.attempt.checkpoint`)."""

    slots: tuple[Slot, ...] = ()
    """The attempt's own. They take turns and may be written again and again: number n goes into slot n modulo their
    count."""
    earlier: tuple[SavedCheckpoint, ...] = ()
    """The newest of attempts before this one."""


@dataclass(frozen=True)
class Grants:
    """Everything one attempt may know and touch."""

    namespace: str
    task_run: str
    uid: str
    attempt: int
    code: Code
    result: Slot
    error: Slot
    outcome: Slot
    task_name: str = ""
    run_name: str = ""
    """What the driver calls the run; empty where there is none."""
    parameters: Mapping[str, Any] | None = None
    """Keyword arguments of the YAML door."""
    inputs: Blob | None = None
    """Pickled `(args, kwargs)` of the SDK."""
    upstream: tuple[Upstream, ...] = ()
    files: tuple[Blob, ...] = ()
    """Content of the `podtask.File`s among the inputs, which name it by its digest."""
    retries_left: int = 0
    """User attempts after this one; the retry condition is only asked when there is one."""
    retries_used: int = 0
    """User attempts before this one: disruptions count in `attempt` and not here."""
    tags: tuple[str, ...] = ()
    flow_run: str = ""
    flow_name: str = ""
    timeout_seconds: float | None = None
    grace_seconds: float = 10.0
    """Seconds between SIGTERM and SIGKILL of the child."""
    store_timeout_seconds: float = 600.0
    python: str | None = None
    """Python minor the code was made with, such as "3.11"."""
    logs: LogPost | None = None
    checkpoints: Checkpoints | None = None
    """None where the task does not ask for them."""
    doorbell: str | None = None
    """`address:port` of the operator, for one datagram once the outcome is stored; see `process.doorbell`."""
    traceparent: str | None = None
    """The attempt's place in a trace (W3C trace context); None where nobody traces."""
    v: int = 1
    """What a reader must know; see `version_of`."""


def version_of(code: Code, upstream: Iterable[Upstream] = ()) -> int:
    """The oldest version of the grants that does what they ask: a runner that ignores a bundle finds no modules, and
    one that ignores a failure gives the task something else than its exception."""
    if any(entry.failure is not None for entry in upstream):
        return WIRE_VERSION
    return 1 if code.bundle is None and code.overlay is None else 2


@dataclass(frozen=True)
class GrantsDocument:
    """Where the grants are that fit into no Secret: an object with the same bytes, compressed."""

    document: Blob
    store_timeout_seconds: float = 600.0
    v: int = 1


@dataclass(frozen=True)
class Result:
    """What a completed attempt stored. `value` is JSON text, `inline` base64 of a small payload."""

    digest: str
    size: int
    serializer: str
    contentHash: str | None = None  # noqa: N815 - the name on the wire and in the status
    value: str | None = None
    inline: str | None = None
    uncached: str | None = None
    """Why the result may not be published under the run's cache key."""


@dataclass(frozen=True)
class Error:
    """What went wrong: for people (type, message, traceback) and for machines (digest, inline, retryable)."""

    type: str
    message: str
    traceback: str | None = None
    """The last lines of the traceback."""
    digest: str | None = None
    """sha256 of the stored, pickled exception."""
    size: int | None = None
    inline: str | None = None
    """base64 of the pickled exception when it is small."""
    retryable: bool = True
    """False when the task's own retry condition said no."""
    cure: str | None = None


@dataclass(frozen=True)
class Outcome:
    """The runner's one answer."""

    outcome: Verdict
    result: Result | None = None
    error: Error | None = None
    timings: Mapping[str, float] = field(default_factory=dict)
    """Seconds per phase: `load`, `run`, `store`, and `delay` when the task computed its own retry delay."""
    v: int = 1


def dump(message: Grants | GrantsDocument | Outcome) -> bytes:
    """The message as compact JSON, without empty fields."""
    text = json.dumps(_plain(message), separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace")  # a lone surrogate becomes its JSON escape


def dump_outcome(outcome: Outcome) -> bytes:
    """The outcome in at most 4096 bytes: first the traceback shrinks, then inline payloads go, then the texts."""
    for smaller in _ever_smaller(outcome):
        data = dump(smaller)
        if len(data) <= TERMINATION_LIMIT:
            return data
    raise AssertionError("the last of them fits, whatever the outcome was")


def load_grants(data: bytes) -> Grants:
    """Parse a grants file; unknown keys are ignored. Raises `ValueError` for anything that is not one."""
    return _build(Grants, _object(data))


def load_grants_document(data: bytes) -> GrantsDocument | None:
    """Where the grants are; None where these bytes are the grants. Raises `ValueError` for what is no JSON object."""
    parsed = _object(data)
    return _build(GrantsDocument, parsed) if "document" in parsed else None


def load_outcome(data: bytes) -> Outcome:
    """Parse an outcome; unknown keys are ignored. Raises `ValueError` for anything that is not one."""
    return _build(Outcome, _object(data))


def _object(data: bytes) -> Mapping[str, Any]:
    parsed = json.loads(data)
    if not isinstance(parsed, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - readers promise ValueError for bad data
    return parsed


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        pairs = ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {name: _plain(item) for name, item in pairs if item is not None and item != () and item != {}}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _ever_smaller(outcome: Outcome) -> Iterator[Outcome]:
    yield outcome
    error, result = outcome.error, outcome.result
    if error is not None:
        for keep in (1024, 256, 0):
            tail = (error.traceback or "")[-keep:] if keep else None
            yield replace(outcome, error=replace(error, traceback=tail))
        error = replace(error, traceback=None, inline=None)
        for keep in (1024, 256, 32):
            yield replace(outcome, error=_cut(error, keep))
        yield Outcome(outcome.outcome, error=_cut(error, 32))
    if result is not None:
        yield replace(outcome, result=replace(result, value=None, inline=None))
    # Nothing that a task returns or raises gets here; process 1 says how it ended in any case.
    text = f"What came of the attempt ({outcome.outcome}) takes more than {TERMINATION_LIMIT} bytes to say."
    yield Outcome(Verdict.CRASHED, error=Error("OutcomeTooLarge", text, retryable=False))


def _cut(error: Error, keep: int) -> Error:
    cure = error.cure and error.cure[:keep]
    return replace(error, type=error.type[:keep], message=error.message[:keep], cure=cure)


_NESTED: dict[type, dict[str, Callable[[Any], Any]]] = {}


def _build(cls: type[T], data: Any) -> T:
    """The dataclass from parsed JSON; nested dataclasses by their type hints. A missing field is a `ValueError`."""
    if not isinstance(data, Mapping):
        raise ValueError(f"{cls.__name__}: expected an object, got {type(data).__name__}")  # noqa: TRY004
    if cls not in _NESTED:
        _NESTED[cls] = {name: _converter(hint) for name, hint in get_type_hints(cls).items()}
    converters = _NESTED[cls]
    try:
        return cls(**{name: converters[name](item) for name, item in data.items() if name in converters})
    except TypeError as error:
        raise ValueError(f"{cls.__name__}: {error}") from None


def _converter(hint: Any) -> Callable[[Any], Any]:
    if get_origin(hint) is tuple:
        inner = _converter(get_args(hint)[0])
        return lambda items: tuple(inner(item) for item in items)
    options = [option for option in (get_args(hint) or (hint,)) if isinstance(option, type)]
    nested = next((option for option in options if dataclasses.is_dataclass(option)), None)
    if nested is not None:
        return lambda item: None if item is None else _build(nested, item)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return hint
    return lambda item: item
