"""The task's code as the runner takes it: the function, what decides about retries, and the project it belongs to.

    function ──> code      a pickle: of a function of a module only its name
    modules  ──> bundle    one object for all tasks of the project
    changes  ──> overlay   what the program set in modules since they were imported

Used by every backend that has another interpreter run the task, so that a task is executed by the same rules
everywhere. Next: `podtask_runner.attempt.execute`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from podtask.errors import PodtaskError
from podtask.payloads import culprit
from podtask.payloads.arguments import is_too_deep
from podtask.payloads.hashing import code_hash, input_hash_of
from podtask.payloads.module_policy import policy_of
from podtask.payloads.project.counted import expected
from podtask_runner import pickled_names
from podtask_runner.serialization import log_levels
from podtask_runner.serialization.registry import Equipped
from podtask_runner.serializers import REGISTERED

if TYPE_CHECKING:
    from podtask.model.definitions import TaskDefinition
    from podtask.model.task_run import Inputs
    from podtask.payloads.project.changes import Changes
    from podtask.payloads.project.reach import Reach
    from podtask.payloads.project.state import Bundle, Project
    from podtask_runner.pickled_names import Batch, Shipped
    from podtask_runner.serialization.by_value import Packing

log = logging.getLogger("podtask.backends")
_CURE = (
    "Make it inside of the function that uses it, or put it into a module of the project that is imported: "
    "modules travel as files, and make their own."
)


class UnpicklableTask(PodtaskError, TypeError):
    """The task's function refers to something that cannot travel."""

    def __init__(self, task_name: str, why: str) -> None:
        super().__init__(
            f"The function of task '{task_name}' cannot be pickled ({why}). It refers to something that exists only in "
            f"this process (a lock, a connection, an open file). {_CURE}"
        )


class CodeTooDeep(UnpicklableTask):
    """Classes or values of the script are made of each other, deeper than pickle goes."""

    def __init__(self, task_name: str) -> None:
        PodtaskError.__init__(
            self,
            f"The code of task '{task_name}' is nested too deeply to be pickled: classes, or values of globals, refer "
            f"to each other hundreds of times in a row. Put them into a module of the project that is imported: "
            f"modules travel as files.",
        )


class ModuleChanged(PodtaskError):
    """The file of a module says something else by now than what runs in this process."""

    def __init__(self, task_name: str, module: str, file: str) -> None:
        super().__init__(
            f"Task '{task_name}' uses the module '{module}', and its file was changed after it had been imported "
            f"({file}). The task would run the new text under the identity of the old one. Start the program again, or "
            f"import the module anew (importlib.reload)."
        )


@dataclass(frozen=True)
class Shipment:
    """Code on its way to another interpreter."""

    code: bytes
    packing: Packing
    """What the code's pickle met."""
    reach: Reach
    """What the call needs."""
    exclude: tuple[str, ...] = ()
    """What the image has, as the user says."""
    bundle: Bundle | None = None
    overlay: bytes | None = None
    stuck: tuple[str, ...] = ()
    identity: str | TypeError | None = None
    """The hash of the code as it was packed, or why there is none; None where no key is made of it."""
    defined: tuple[tuple[object, str], ...] = ()
    """Classes and functions of the script among the arguments, with their hashes as they were packed."""

    def changed(self) -> str | None:
        """The name of one of these that is another by now; None where none is."""
        return next((getattr(obj, "__qualname__", "?") for obj, was in self.defined if _hash(obj) != was), None)

    def outdated(self, task: TaskDefinition) -> str | None:
        """What a key that is made now would be made of otherwise than the code was packed; None: nothing."""
        if not isinstance(self.identity, str):
            return None
        try:
            now = code_hash(task)
        except TypeError:
            now = ""
        return self.changed() if now == self.identity else f"The code of task '{task.name}'"


def shipped(task: TaskDefinition) -> Shipped:
    """The function with its retry condition and its own delays."""
    from podtask_runner.pickled_names import Shipped

    options = task.options
    delay = options.retry_delay_seconds
    return Shipped(task.fn, options.retry_condition_fn, delay if callable(delay) else None)


def batch(task: TaskDefinition) -> Batch:
    """The same of a task that is called once for each item of a batch."""
    from podtask_runner.pickled_names import Batch

    code = shipped(task)
    return Batch(code.fn, code.retry_condition, code.retry_delay, task.isasync)


def pickled_code(task: TaskDefinition, packing: Packing | None = None, definitions: bytes = b"") -> bytes:
    """The payload for `Grants.code.shipped`; `packing` says which modules travel how. Raises `UnpicklableTask`.

    `definitions`: what arguments name (`Inputs.definitions`).
    """
    from podtask_runner.serialization.pickling import dumps

    code = batch(task) if task.batched else shipped(task)
    plain = not task.batched and code.retry_condition is None and code.retry_delay is None
    content: object = task.fn if plain else code
    if REGISTERED:
        content = Equipped(tuple(REGISTERED.values()), content)
    if log_levels.is_configured():
        content = log_levels.Configured(content)
    if definitions:
        content = Lending(definitions, content)
    try:
        return dumps(content, packing=packing)
    except Exception as error:
        if is_too_deep(error):
            raise CodeTooDeep(task.name) from error
        found = culprit.find(task.fn, task.name, lambda value: dumps(value, packing=packing))
        why = f"{type(error).__name__}: {error}" if found is None else str(found)
        raise UnpicklableTask(task.name, why) from error


class Lending:
    """Pickles as code that brings definitions along."""

    def __init__(self, definitions: bytes, content: object) -> None:
        self._parts = definitions, content

    def __reduce__(self) -> tuple[Any, ...]:
        return pickled_names.lending, self._parts


def shipment(task: TaskDefinition, inputs: Inputs | None = None, *, at_home: bool) -> Shipment:
    """The task's code with the project, and with what the arguments name of the script.

    Raises `UnpicklableTask`, `ModuleChanged`, `SettingsError`.
    """
    named, perhaps, definitions = _needs(inputs)
    policy = policy_of(task)
    project = policy.project(at_home=at_home)
    changed = project.changes()
    packing = project.packing(changed)
    code = _same(task, "code", pickled_code(task, packing, definitions))
    bundle = project.bundle(packing.imported | perhaps)
    reach = project.reach(packing.reached | named, packing.imported | perhaps)
    identity = _identity(task)
    defined = tuple((obj, _hash(obj)) for obj in inputs.defined) if inputs and isinstance(identity, str) else ()
    if not bundle.collected.sources:
        return Shipment(code, packing, reach, policy.exclude, identity=identity, defined=defined)
    for name in sorted(reach.modules & bundle.collected.stale.keys()):
        raise ModuleChanged(task.name, name, bundle.collected.stale[name])
    _tell(project, {name: why for name, why in changed.stuck.items() if _module_of(name, reach.modules)})
    overlay = changed.expecting(_expected(task, bundle, changed) if isinstance(identity, str) else {})
    overlay = None if overlay is None else _same(task, "overlay", overlay)
    return Shipment(
        code, packing, reach, policy.exclude, bundle, overlay, tuple(sorted(changed.stuck)), identity, defined
    )


def _needs(inputs: Inputs | None) -> tuple[frozenset[str], frozenset[str], bytes]:
    return (inputs.modules, inputs.imported, inputs.definitions) if inputs else (frozenset(), frozenset(), b"")


def reaching(task: TaskDefinition, sent: Shipment, named: frozenset[str]) -> Shipment:
    """The same code for arguments that name these modules."""
    project = policy_of(task).project(at_home=False)
    return replace(sent, reach=project.reach(sent.packing.reached | named, sent.packing.imported))


def _same(task: TaskDefinition, kind: str, data: bytes) -> bytes:
    """Equal bytes as one object: many calls may wait with theirs."""
    last: dict[str, bytes] = task.memory.setdefault("packed", {})
    if last.get(kind) != data:
        last[kind] = data
    return last[kind]


def _expected(task: TaskDefinition, bundle: Bundle, changed: Changes) -> dict[str, dict[str, str]]:
    """Fingerprints of what the key is made of and does not travel; made anew only where something of that changed."""
    code = task.memory["code"]
    state = code, code.walks, bundle.digest, changed.carried, frozenset(changed.stuck)
    kept = task.memory.get("expected")
    if kept is None or kept[0] != state:
        task.memory["expected"] = kept = state, expected(code.names(), bundle.collected.sources, changed)
    return cast("dict[str, dict[str, str]]", kept[1])


def _identity(task: TaskDefinition) -> str | TypeError | None:
    if input_hash_of((task.batched or task).options.cache_key_fn) is None:
        return None
    try:
        return code_hash(task, name=task.name)
    except TypeError as error:  # uncached, and the plan of the cache says why
        return error


def _hash(obj: object) -> str:
    """Of what has none, a text that says so; then the argument has no key either."""
    from podtask_runner.hashing.shared_walks import argument_hash

    try:
        return argument_hash(obj)
    except TypeError:
        return "none"


def _module_of(variable: str, modules: frozenset[str]) -> bool:
    parts = variable.split(".")
    return any(".".join(parts[:end]) in modules for end in range(1, len(parts)))


def _tell(project: Project, stuck: dict[str, str]) -> None:
    for name in sorted(stuck.keys() - project.warned):
        project.warned.add(name)
        log.warning(
            "%s was changed after its module had been imported, and cannot travel (%s): tasks see what the module "
            "makes by itself.",
            name,
            stuck[name],
        )
