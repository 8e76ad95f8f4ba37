"""What the schema of a TaskRun cannot see, before any pod: `invalid(run, settings) -> Why | None`. Pure.

Before: `parse.TaskRun`. Next: `Observed.invalid`, which ends the run as InvalidSpec with this sentence and this cure.
The user's source is never parsed or compiled here: that is the runner's, in the pod.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Final

from podtask.core.api.names import Reason
from podtask.core.api.quantity import in_bytes, in_words, is_quantity
from podtask.core.api.spec import NAME_PATTERN, EnvVar, plain
from podtask.core.lifecycle.model import Why
from podtask_operator.pod_template import template
from podtask_operator.pod_template.checks import NotAllowed
from podtask_operator.pods.build import RESERVED_ENV, resources_of
from podtask_operator.pods.memory import starts_with
from podtask_operator.pods.operator_namespace import takes_nothing_of_the_operators
from podtask_operator.settings import Settings
from podtask_operator.task_runs import open_fields
from podtask_operator.task_runs.image import image_of, python_minor
from podtask_operator.task_runs.parse import TaskRun

_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
"""What every supported Kubernetes accepts; newer ones accept more."""
_NAME = re.compile(NAME_PATTERN.removesuffix("$"))
_PINNED = re.compile(r".+@sha256:[0-9a-f]{64}")


def invalid(run: TaskRun, settings: Settings) -> Why | None:
    """The first thing that no attempt could cure, or None."""
    answers = (check(run, settings) for check in CHECKS)
    return next((answer for answer in answers if answer is not None), None)


def one_way_in(run: TaskRun, _: Settings) -> Why | None:
    """Arguments come as JSON or pickled, not both."""
    if run.spec.parameters is None or run.spec.inputs is None:
        return None
    return _why(
        "spec.parameters and spec.inputs are both given.", "Give one: inputs is the SDK's, parameters is yours."
    )


def is_small(run: TaskRun, _: Settings) -> Why | None:
    """Large data belongs into the bucket, not into etcd. What is larger was never parsed (`task_runs.held`)."""
    if run.too_large is None:
        return None
    return _why(
        run.too_large,
        "Let a task read the data from where it is, or pass the result of another TaskRun with spec.upstream.",
    )


def payloads_are_base64(run: TaskRun, _: Settings) -> Why | None:
    """What travels inline is base64, with its padding."""
    # Seen at the launch only: what is held of a run has no payloads.
    task = run.spec.task
    parts = (("code", task.code), ("bundle", task.bundle), ("overlay", task.overlay))
    for path, payload in (("spec.inputs", run.spec.inputs), *((f"spec.task.{name}", part) for name, part in parts)):
        try:
            base64.b64decode((payload and payload.inline) or "", validate=True)
        except ValueError as error:
            return _why(f"{path}.inline is not base64: {error}.", "Encode the bytes as base64, with its padding.")
    return None


def keys_are_quoted(run: TaskRun, _: Settings) -> Why | None:
    """YAML 1.1, as kubectl reads it, takes y, n, yes, no, on and off for booleans, also as keys."""
    read = {"true": "y, yes, on or true", "false": "n, no, off or false"}
    for key in run.spec.parameters or ():
        if key in read:
            return _why(
                f"spec.parameters has a key {key!r}: YAML read the bare word {read[key]} as a boolean.",
                'Quote the key, for example "y": 1.',
            )
    return None


def parameters_come_once(run: TaskRun, _: Settings) -> Why | None:
    """One value per parameter: from `parameters`, or from one upstream."""
    seen: dict[str, str] = dict.fromkeys(run.spec.parameters or (), "spec.parameters")
    for upstream in run.spec.upstream:
        name, source = upstream.parameter, f"the upstream {upstream.task_run}"
        if name is None:
            continue
        if name in seen:
            return _why(
                f"Parameter {name!r} is given twice: by {seen[name]} and by {source}.", "Remove one of the two."
            )
        seen[name] = source
    return None


def upstreams_go_somewhere(run: TaskRun, _: Settings) -> Why | None:
    """An upstream's value needs a parameter, or pickled inputs with a placeholder."""
    if run.spec.inputs is not None:
        return None
    for index, upstream in enumerate(run.spec.upstream):
        if upstream.parameter is None and upstream.ref is None:
            return _why(
                f"spec.upstream[{index}] ({upstream.task_run}) has no parameter, so its result would go nowhere.",
                "Name the parameter, or list the run under spec.waitFor for order without data.",
            )
    return None


def names_are_names(run: TaskRun, _: Settings) -> Why | None:
    """The schema says so, too; what was stored before it did must not become a path of the API."""
    named = [
        *((f"spec.upstream[{n}].taskRun", up.task_run) for n, up in enumerate(run.spec.upstream)),
        *((f"spec.waitFor[{n}].taskRun", wait.task_run) for n, wait in enumerate(run.spec.wait_for)),
    ]
    for path, name in named:
        if not _NAME.fullmatch(name):
            return _why(
                f"{path} {name[:100]!r} is not the name of a TaskRun: those have only a-z, 0-9, '-' and '.'.",
                "Name a TaskRun of the same namespace, without a namespace or a path in front of it.",
            )
    return None


def uids_agree(run: TaskRun, _: Settings) -> Why | None:
    """A name stands for one TaskRun."""
    seen: dict[str, str] = {}
    for need in run.spec.needs:
        if need.uid is not None and seen.setdefault(need.task_run, need.uid) != need.uid:
            return _why(
                f"TaskRun {need.task_run!r} is named with two UIDs in spec.upstream and spec.waitFor.",
                "Give one of them, or none.",
            )
    return None


def needs_others(run: TaskRun, _: Settings) -> Why | None:
    """The shortest circle; longer ones are seen where all runs are (`cycles`)."""
    if run.name not in (need.task_run for need in run.spec.needs):
        return None
    return _why(f"The run waits for itself: {run.name!r} is among its own upstreams.", "Name another TaskRun.")


def python_has_an_image(run: TaskRun, settings: Settings) -> Why | None:
    """A shipped function runs on the Python minor it was made with, and on no other."""
    if image_of(run, settings) is not None:
        return None
    minor = python_minor(run, settings)
    have = ", ".join(sorted(settings.runner_images, key=_minor)) or "none"
    return _why(
        f"There is no runner image for Python {minor}; have {have}.",
        f"Call it from a Python {have.split(', ')[-1]}, set spec.image to an image with Python {minor} and podtask, "
        "or let the administrator add one to runner.images in the chart's values.",
    )


def template_is_allowed(run: TaskRun, _: Settings) -> Why | None:
    """The allow-list of podTemplate."""
    try:
        template.read(run.spec.pod_template)
    except NotAllowed as refusal:
        return _why(f"{refusal}.", refusal.cure)
    return None


def quantities_parse(run: TaskRun, _: Settings) -> Why | None:
    """CPU and memory as Kubernetes writes them."""
    for section, amounts in (plain(run.spec.resources) if run.spec.resources else {}).items():
        for name, amount in amounts.items():
            if not is_quantity(amount):
                return _no_quantity(f"spec.resources.{section}.{name}", amount)
    growth = run.spec.on_out_of_memory
    if growth is not None and not is_quantity(growth.max_memory):
        return _no_quantity("spec.onOutOfMemory.maxMemory", growth.max_memory)
    return None


def _no_quantity(path: str, amount: int | str) -> Why:
    return _why(
        f"{path} is {str(amount)[:60]!r}, which is not a quantity.",
        "Write CPUs as 2 or 500m, and memory as 512Mi or 4Gi.",
    )


def memory_can_grow(run: TaskRun, settings: Settings) -> Why | None:
    """Growth needs an amount to start from, and room above it."""
    asked, base = run.spec.on_out_of_memory, starts_with(resources_of(run, settings))
    if asked is None or (base is not None and base < in_bytes(asked.max_memory)):
        return None
    if base is None:
        return _why(
            "spec.onOutOfMemory has no amount of memory to start from.",
            "Set spec.resources.limits.memory: without it the node's memory is the limit, and no attempt gets more.",
        )
    return _why(
        f"spec.onOutOfMemory.maxMemory ({asked.max_memory}) leaves no room above the memory it starts with "
        f"({in_words(base)}).",
        "Raise maxMemory, or start with less.",
    )


def cached_entrypoint_is_pinned(run: TaskRun, settings: Settings) -> Why | None:
    """Code inside an image is known by the image's digest only: a rebuilt tag would be a stale hit."""
    cache = run.spec.cache
    if run.spec.task.entrypoint is None or cache is None or any((cache.key, cache.components, cache.uncached)):
        return None
    image = image_of(run, settings) or ""
    if _PINNED.fullmatch(image):
        return None
    return _why(
        f"The cache key of an entrypoint is made from its image, and {image[:200]!r} is not pinned by a digest.",
        "Write spec.image as name@sha256:…, or choose spec.cache.key yourself.",
    )


def env_is_usable(run: TaskRun, _: Settings) -> Why | None:
    """Names that a container takes, none of ours, and one value each."""
    answers = (_variable(f"spec.env[{index}]", variable) for index, variable in enumerate(run.spec.env))
    return next((answer for answer in answers if answer is not None), None)


def _variable(path: str, variable: EnvVar) -> Why | None:
    name = variable.name[:100]
    if variable.name.startswith(RESERVED_ENV):
        return _why(
            f"{path}.name {name!r} is reserved: names that start with {RESERVED_ENV} are podtask's.", "Rename it."
        )
    if not _ENV_NAME.fullmatch(variable.name) or variable.name in (".", "..") or variable.name.startswith(".."):
        return _why(f"{path}.name {name!r} is not a name for a variable.", "Use letters, digits and _, a letter first.")
    if variable.value_from is None:
        return None
    if variable.value is not None:
        return _why(f"{path} ({name}) has both value and valueFrom.", "Give one of the two.")
    if len(plain(variable.value_from)) != 1:
        return _why(
            f"{path}.valueFrom ({name}) must have exactly one of secretKeyRef, configMapKeyRef and fieldRef.",
            "Name one source.",
        )
    return None


def is_as_recorded(run: TaskRun, _: Settings) -> Why | None:
    """No attempt runs with other parameters than the first: its result is stored under the key of those."""
    if not open_fields.changed(run.status.spec_digest, run.spec):
        return None
    return _why(
        "spec.parameters or spec.podTemplate was changed since the first attempt, and both are immutable.",
        "Create a TaskRun with the new values under another name. The cluster's CRD should have refused the change:"
        " compare it with that of the chart.",
    )


CHECKS: Final[tuple[Callable[[TaskRun, Settings], Why | None], ...]] = (
    is_small,
    one_way_in,
    payloads_are_base64,
    keys_are_quoted,
    parameters_come_once,
    upstreams_go_somewhere,
    names_are_names,
    uids_agree,
    needs_others,
    python_has_an_image,
    template_is_allowed,
    quantities_parse,
    memory_can_grow,
    env_is_usable,
    cached_entrypoint_is_pinned,
    is_as_recorded,
    takes_nothing_of_the_operators,
)


def _why(message: str, cure: str) -> Why:
    return Why(Reason.INVALID_SPEC, message, cure)


def _minor(version: str) -> tuple[int, ...]:
    """For sorting: 3.9 comes before 3.10."""
    return tuple(int(part) for part in re.findall(r"\d+", version))
