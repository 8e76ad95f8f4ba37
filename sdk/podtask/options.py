"""What a task can be told, in one frozen place.

`TaskArgs` types the keywords of `@task(...)`, `Task(...)` and `.with_options(...)`; `TaskOptions` keeps them.
An option that was not given is simply absent from the keywords, so `retries=0` resets and leaving it out keeps.
Next on the road: `podtask.tasks`. Read by: the backends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from podtask.engine.hooks import Hook, checked

if TYPE_CHECKING:
    from podtask.context import TaskRunContext

CacheKeyFn = Callable[["TaskRunContext", "dict[str, Any]"], "str | None"]
RetryDelay = float | Sequence[float] | Callable[[BaseException, int], float | None]
RetryCondition = Callable[[BaseException, int], bool]

MODULES = ("include", "exclude")
HOOKS = ("on_completion", "on_failure", "on_retry")
MAX_RETRIES = 100
"""As in the TaskRun's schema (design: taskrun-api, spec)."""


class TaskArgs(TypedDict, total=False):
    """Keywords of `@task` and `with_options`; their meaning is told at `TaskOptions`."""

    name: str | None
    description: str | None
    tags: Iterable[str] | None
    cache_key_fn: CacheKeyFn | None
    cache_expiration: timedelta | None
    refresh_cache: bool
    cache_concurrent: Literal["wait", "run"]
    retries: int
    retry_delay_seconds: RetryDelay
    retry_jitter_factor: float
    retry_condition_fn: RetryCondition | None
    timeout_seconds: float | None
    deadline_seconds: float | None
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
    on_out_of_memory: Mapping[str, Any] | None


@dataclass(frozen=True)
class TaskOptions:
    """Options of a task. Raises `ValueError` that names the argument for impossible values.

    The first seven are the seed's (section Task, Parameters); differences are listed in the docs.
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
    """Counted from completion; None: for ever."""
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
    """Further pod fields, merged through an allow-list (design: taskrun-api, podTemplate)."""
    max_disruptions: int | None = None
    """Free re-creations after infrastructure failures; None: the cluster's default."""
    on_out_of_memory: Mapping[str, Any] | None = None
    """More memory after an out-of-memory kill: `{"maxMemory": "16Gi", "memoryFactor": 2, "maxAttempts": 3}`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "tags", frozenset(_tags(self.tags)))
        for name in MODULES:
            object.__setattr__(self, name, modules_named(name, getattr(self, name)))
        for name in HOOKS:
            object.__setattr__(self, name, checked(name, getattr(self, name)))
        _whole("retries", self.retries, MAX_RETRIES)
        if self.max_disruptions is not None:
            _whole("max_disruptions", self.max_disruptions, MAX_RETRIES)
        if not callable(self.retry_delay_seconds):
            object.__setattr__(self, "retry_delay_seconds", _delays(self.retry_delay_seconds))
        _seconds("retry_jitter_factor", self.retry_jitter_factor, least=0)
        for name in ("timeout_seconds", "deadline_seconds"):
            if getattr(self, name) is not None:
                _seconds(name, getattr(self, name), least=0, exclusive=True)
        if self.cache_concurrent not in ("wait", "run"):
            raise ValueError(f"cache_concurrent must be 'wait' or 'run', not {self.cache_concurrent!r}")

    @classmethod
    def of(cls, args: Mapping[str, Any]) -> TaskOptions:
        """Options from keywords. Raises `TypeError` for an unknown one, with the known ones."""
        return cls().changed(args)

    def changed(self, args: Mapping[str, Any]) -> TaskOptions:
        """A copy; what is not among `args` stays, what is falsy there resets."""
        unknown = sorted(set(args) - OPTION_NAMES)
        if unknown:
            raise TypeError(f"unknown task option '{unknown[0]}'; the options are {', '.join(sorted(OPTION_NAMES))}")
        return replace(self, **args)

    def travelling(self) -> TaskOptions:
        """What goes along when the task is pickled, as a name in another task's code: no hooks, no run names."""
        return replace(self, on_completion=(), on_failure=(), on_retry=(), task_run_name=None)

    @property
    def delays(self) -> tuple[float, ...]:
        """The delays known before the run; empty where the task computes its own."""
        return () if callable(self.retry_delay_seconds) else tuple(_delays(self.retry_delay_seconds))


OPTION_NAMES = frozenset(item.name for item in fields(TaskOptions))


def _tags(tags: Iterable[str] | None) -> Iterable[str]:
    if isinstance(tags, str):
        raise TypeError(f"tags must be several strings, such as {{{tags!r}}}, not one string")
    return tags or ()


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
        _seconds("retry_delay_seconds", number, least=0)
    return numbers


def _whole(name: str, value: Any, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(f"{name} must be a whole number from 0 to {most}, not {value!r}")


def _seconds(name: str, value: Any, *, least: float, exclusive: bool = False) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not number or value < least or (exclusive and value == least):
        bound = f"greater than {least:g}" if exclusive else f"{least:g} or more"
        raise ValueError(f"{name} must be a number, {bound}, not {value!r}")
