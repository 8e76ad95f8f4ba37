"""What a task and a flow can be told, in one frozen place.

`TaskArgs` types the keywords of `@task(...)`, `Task(...)` and `.with_options(...)`; `TaskOptions` keeps them.
An option that was not given is simply absent from the keywords, so `retries=0` resets and leaving it out keeps.
Next on the road: `podtask.tasks`. Read by: the backends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from typing import Any, Literal, TypedDict

from podtask.core.api import call_limits, limits
from podtask.states import State
from podtask.task_runners import ConcurrentTaskRunner, TaskRunner

CacheKeyFn = Callable[[Any, dict[str, Any]], str | None]
"""`(context, parameters) -> key`; the context is a `podtask.context.TaskRunContext`."""
RetryDelay = float | Sequence[float] | Callable[[BaseException, int], float | None]
RetryCondition = Callable[[BaseException, int], bool]
Hook = Callable[[Any, Any, State[Any]], Any]
"""`hook(task, run, state)` or `hook(flow, run, state)`; `run` is a `TaskRunInfo` or a `FlowRunInfo`. May be async."""

MODULES = ("include", "exclude")
HOOKS = ("on_completion", "on_failure", "on_retry")


class TaskArgs(TypedDict, total=False):
    """Keywords of `@task` and `with_options`; their meaning is told at `TaskOptions`."""

    name: str | None
    description: str | None
    tags: Iterable[str] | None
    cache_key_fn: CacheKeyFn | None
    cache_expiration: timedelta | float | None
    refresh_cache: bool
    cache_concurrent: Literal["wait", "run"]
    retries: int
    retry_delay_seconds: RetryDelay
    retry_jitter_factor: float
    retry_condition_fn: RetryCondition | None
    timeout_seconds: float | None
    deadline_seconds: float | None
    checkpoints: bool
    batch_size: int | None
    log_prints: bool
    task_run_name: str | Callable[[Mapping[str, Any]], str] | None
    include: Sequence[str]
    exclude: Sequence[str]
    on_completion: Sequence[Hook]
    on_failure: Sequence[Hook]
    on_retry: Sequence[Hook]
    image: str | None
    resources: Mapping[str, Any] | None
    env: Mapping[str, str] | None
    service_account: str | None
    node_selector: Mapping[str, str] | None
    tolerations: Sequence[Mapping[str, Any]] | None
    pod_template: Mapping[str, Any] | None
    max_disruptions: int | None
    on_disruption: Mapping[str, Any] | None
    on_out_of_memory: Mapping[str, Any] | None


@dataclass(frozen=True)
class TaskOptions:
    """Options of a task. Raises `ValueError` that names the argument for impossible values.

    The first seven are Prefect's; docs/differences.md lists what differs.
    """

    name: str | None = None
    """Default: the function's name."""
    description: str | None = None
    """Default: the function's docstring."""
    tags: frozenset[str] = field(default_factory=frozenset)
    """Joined at run time by those of `podtask.tags(...)`."""
    cache_key_fn: CacheKeyFn | None = None
    """`(context, parameters) -> key`; None or "" means: neither look up nor store."""
    cache_expiration: timedelta | None = None
    """Counted from completion; a number is taken as seconds; None: for ever."""
    retries: int = 0
    """Attempts after the first, on exceptions, timeouts and out-of-memory kills."""
    retry_delay_seconds: RetryDelay = 0
    """Seconds before retry k: one number, a list whose last item repeats, or `(exception, attempt) -> seconds`
    (asked where the task runs; `attempt` counts from 1)."""
    refresh_cache: bool = False
    """Run and store in any case, without looking up."""
    cache_concurrent: Literal["wait", "run"] = "wait"
    """What identical runs do while one of them is under way."""
    retry_jitter_factor: float = 0.0
    """Each delay grows by up to this fraction of itself."""
    retry_condition_fn: RetryCondition | None = None
    """`(exception, attempt) -> bool`, asked where the task runs while a retry is left; False ends the run."""
    timeout_seconds: float | None = None
    """Per attempt."""
    deadline_seconds: float | None = None
    """For all attempts together, from the first one's start; then the run is TimedOut."""
    checkpoints: bool = False
    """The task saves its progress by `get_run_context().checkpoint`, and the next attempt of the run goes on from
    there."""
    batch_size: int | None = None
    """Elements of a `.map` that one run takes, each with a future of its own; `.map(..., batch_size=n)` says it per
    call. None: a run per element."""
    log_prints: bool = False
    """`print` inside the task goes to the run's logger; in a pod or subprocess it is in the run's log as it is."""
    task_run_name: str | Callable[[Mapping[str, Any]], str] | None = None
    """What a run is called: a template of its parameters, as `"load-{table}"`, or `(parameters) -> name`. A future
    among them is shown by its name. Default: the task's name, the start of its key, and the number of the call."""
    include: Sequence[str] = ()
    """Packages that travel to the cluster as files although they are installed here; see
    `podtask.payloads.module_policy`."""
    exclude: Sequence[str] = ()
    """Packages that the task's image has, and that therefore do not travel; joined by the settings of that name."""
    on_completion: Sequence[Hook] = ()
    """Called in the driver, `(task, run, state)`, when a run is completed or cached; see `podtask.engine.hooks`."""
    on_failure: Sequence[Hook] = ()
    """The same when it is failed, crashed or timed out for good; not for Cancelled and NotReady."""
    on_retry: Sequence[Hook] = ()
    """The same for every retry, with the state AwaitingRetry."""
    image: str | None = None
    """Container image; from here on: the cluster's business, other backends ignore it."""
    resources: Mapping[str, Any] | None = None
    """`{"requests": {...}, "limits": {...}}`; Kubernetes quantities."""
    env: Mapping[str, str] | None = None
    service_account: str | None = None
    node_selector: Mapping[str, str] | None = None
    tolerations: Sequence[Mapping[str, Any]] | None = None
    pod_template: Mapping[str, Any] | None = None
    """Further pod fields, merged through an allow-list."""
    max_disruptions: int | None = None
    """Free re-creations after infrastructure failures; None: the cluster's default."""
    on_disruption: Mapping[str, Any] | None = None
    """Where attempts run after a disruption: `{"avoidNode": True, "lastAttempt": {"nodeSelector": {...}, "tolerations":
    [...], "priorityClassName": "..."}}`."""
    on_out_of_memory: Mapping[str, Any] | None = None
    """More memory after an out-of-memory kill: `{"maxMemory": "16Gi", "memoryFactor": 2, "maxAttempts": 3}`."""

    def __post_init__(self) -> None:
        limits.text("name", self.name)
        object.__setattr__(self, "tags", limits.tags(self.tags))
        object.__setattr__(self, "cache_expiration", limits.expiration(self.cache_expiration))
        for name in MODULES:
            object.__setattr__(self, name, modules_named(name, getattr(self, name)))
        for name in HOOKS:
            object.__setattr__(self, name, checked(name, getattr(self, name)))
        limits.whole("retries", self.retries, limits.RETRIES_LIMIT)
        if self.max_disruptions is not None:
            limits.whole("max_disruptions", self.max_disruptions, limits.DISRUPTIONS_LIMIT)
        if not callable(self.retry_delay_seconds):
            object.__setattr__(self, "retry_delay_seconds", _delays(self.retry_delay_seconds))
        limits.number("retry_jitter_factor", self.retry_jitter_factor, most=limits.JITTER_LIMIT)
        if self.timeout_seconds is not None:
            limits.number("timeout_seconds", self.timeout_seconds, most=limits.TIMEOUT_LIMIT, positive=True)
        if self.deadline_seconds is not None:
            limits.number("deadline_seconds", self.deadline_seconds, most=limits.DEADLINE_LIMIT, positive=True)
        if self.checkpoints not in (True, False, None):
            raise ValueError(f"checkpoints must be True or False, not {self.checkpoints!r}")
        object.__setattr__(self, "checkpoints", bool(self.checkpoints))
        limits.batch_size(self.batch_size)
        call_limits.pod(
            image=self.image,
            env=self.env,
            node_selector=self.node_selector,
            tolerations=self.tolerations,
            resources=self.resources,
            service_account=self.service_account,
        )
        call_limits.disruption(self.on_disruption)
        if self.cache_concurrent not in ("wait", "run"):
            raise ValueError(f"cache_concurrent must be 'wait' or 'run', not {self.cache_concurrent!r}")

    @classmethod
    def of(cls, args: Mapping[str, Any]) -> TaskOptions:
        """Options from keywords. Raises `TypeError` for an unknown one, with the known ones."""
        return replace(cls(), **_known(args))

    def changed(self, args: Mapping[str, Any]) -> TaskOptions:
        """A copy; what is not among `args` stays, what is falsy there resets."""
        return replace(self, **_reset(_known(args)))

    def travelling(self) -> TaskOptions:
        """What goes along when the task is pickled, as a name in another task's code: no hooks, no run names."""
        return replace(self, on_completion=(), on_failure=(), on_retry=(), task_run_name=None)

    @property
    def delays(self) -> tuple[float, ...]:
        """The delays known before the run; empty where the task computes its own."""
        return () if callable(self.retry_delay_seconds) else tuple(_delays(self.retry_delay_seconds))


OPTION_NAMES = frozenset(item.name for item in fields(TaskOptions))


def _known(args: Mapping[str, Any]) -> Mapping[str, Any]:
    unknown = sorted(set(args) - OPTION_NAMES)
    if unknown:
        raise TypeError(f"unknown task option '{unknown[0]}'; the options are {', '.join(sorted(OPTION_NAMES))}")
    return args


_NEVER_ZERO = frozenset({"timeout_seconds", "deadline_seconds", "batch_size"})


def _reset(args: Mapping[str, Any]) -> dict[str, Any]:
    """The same with None for a 0 that an option cannot have: where something is changed, 0 resets."""
    return {name: None if name in _NEVER_ZERO and value == 0 else value for name, value in args.items()}


class FlowArgs(TypedDict, total=False):
    """Keywords of `@flow` and `with_options`; their meaning is told at `FlowOptions`."""

    name: str | None
    description: str | None
    version: str | None
    task_runner: TaskRunner
    timeout_seconds: float | None
    validate_parameters: bool
    log_prints: bool
    record_parameters: bool
    backend: str | None
    on_completion: Sequence[Hook]
    on_failure: Sequence[Hook]


@dataclass(frozen=True)
class FlowOptions:
    """Options of a flow. Raises `ValueError` for an impossible timeout."""

    name: str | None = None
    """Default: the function's name, with dashes for underscores."""
    description: str | None = None
    """Default: the function's docstring."""
    version: str | None = None
    task_runner: TaskRunner = ConcurrentTaskRunner()  # noqa: RUF009 - frozen, and without fields
    timeout_seconds: float | None = None
    """Of one run; async bodies are cancelled, sync ones left behind."""
    validate_parameters: bool = True
    """Check and coerce arguments by their annotations."""
    log_prints: bool = False
    record_parameters: bool = True
    """Show the arguments and the result in the record of a run (FlowRun); False: names and types only."""
    backend: str | None = None
    """Beats `PODTASK_BACKEND`; subflows use that of the flow around them."""
    on_completion: Sequence[Hook] = ()
    """Called in the driver, `(flow, run, state)`, when a run is completed; see `podtask.engine.hooks`."""
    on_failure: Sequence[Hook] = ()
    """The same when it failed."""

    def __post_init__(self) -> None:
        limits.text("name", self.name)
        for name in ("on_completion", "on_failure"):
            object.__setattr__(self, name, checked(name, getattr(self, name)))
        if self.timeout_seconds is not None and not self.timeout_seconds > 0:
            raise ValueError(f"timeout_seconds must be a number greater than 0, not {self.timeout_seconds!r}")
        if isinstance(self.task_runner, type):
            object.__setattr__(self, "task_runner", self.task_runner())

    def changed(self, args: Mapping[str, Any]) -> FlowOptions:
        """A copy; what is not among `args` stays, what is falsy there resets."""
        return replace(self, **_reset(args))


def modules_named(option: str, names: Iterable[str] | None) -> tuple[str, ...]:
    """Names of modules, checked. Raises `TypeError`, `ValueError` that name the option."""
    if isinstance(names, str):
        raise TypeError(f"{option} must be several module names, such as [{names!r}], not one string")
    found = tuple(names or ())
    for name in found:
        if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
            raise ValueError(f"{option} takes names of modules, such as 'shop' or 'shop.etl', not {name!r}")
    return found


def _delays(value: float | Sequence[float]) -> tuple[float, ...]:
    numbers = tuple(value) if isinstance(value, Sequence) else (value or 0,)
    for number in numbers:
        limits.number("retry_delay_seconds", number, most=limits.DELAY_LIMIT)
    if len(numbers) > limits.RETRIES_LIMIT:
        raise ValueError(
            f"retry_delay_seconds may have at most {limits.RETRIES_LIMIT} delays, not {len(numbers)}; the last one "
            f"repeats by itself"
        )
    return numbers


def checked(name: str, functions: Iterable[Hook] | None) -> tuple[Hook, ...]:
    """The option as a tuple. Raises `TypeError` for what is no list of functions."""
    if callable(functions) or isinstance(functions, str):
        raise TypeError(f"{name} takes a list of functions, such as {name}=[tell], not one")
    hooks = tuple(functions or ())
    for hook in hooks:
        if not callable(hook):
            raise TypeError(f"{name} takes functions (task or flow, run, state), not {hook!r}")
    return hooks
