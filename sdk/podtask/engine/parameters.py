"""Flow parameters against their annotations, by pydantic, with coercion (as in Prefect 2.0b5, "5" for an int is 5).

pydantic is imported by the first flow that has annotations, never by `import podtask`. Used by:
`podtask.engine.flow_engine`.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import typing
from collections.abc import Sized
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from podtask.errors import ParameterTypeError
from podtask.support.callables import function_of

if TYPE_CHECKING:
    from podtask.model.definitions import FlowDefinition

log = logging.getLogger("podtask.flows")
_adapters: WeakKeyDictionary[FlowDefinition, dict[str, Any]] = WeakKeyDictionary()
"""Validators by parameter; made by the first call of a flow."""
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def validated(
    flow: FlowDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments as the annotations want them. Raises `ParameterTypeError` that names every bad parameter."""
    adapters = _adapters.get(flow)
    if adapters is None:
        adapters = _adapters[flow] = adapters_of(flow.fn, flow.signature)
    if not adapters:
        return args, kwargs
    from pydantic import ValidationError

    bound = flow.signature.bind(*args, **kwargs)
    problems: list[str] = []
    for name, adapter in adapters.items():
        if name not in bound.arguments:
            continue
        try:
            bound.arguments[name] = _one(adapter, flow.signature.parameters[name], bound.arguments[name])
        except ValidationError as error:
            problems += [_sentence(name, found) for found in error.errors(include_url=False)]
    if problems:
        raise ParameterTypeError(flow.name, "; ".join(problems))
    return bound.args, bound.kwargs


def adapters_of(fn: Any, signature: inspect.Signature) -> dict[str, Any]:
    """One pydantic adapter per annotated parameter; annotations that cannot be resolved are not checked, nor are those
    that pydantic has no check for (a protocol, a `typing.TypedDict` before Python 3.12), and a warning says so."""
    if all(parameter.annotation is inspect.Parameter.empty for parameter in signature.parameters.values()):
        return {}
    from pydantic import TypeAdapter

    made: dict[str, Any] = {}
    hints = _hints(fn, signature)
    for name, annotation in hints.items():
        try:
            made[name] = _adapter(TypeAdapter, annotation)
        except Exception as error:  # noqa: BLE001 - pydantic's own, and what building a schema of any object may raise
            _tell(fn, name, str(error) or type(error).__name__)
    for name in unresolved(signature, hints):
        _tell(fn, name, f"the annotation {signature.parameters[name].annotation!r} cannot be resolved")
    return made


def unresolved(signature: inspect.Signature, hints: dict[str, Any]) -> list[str]:
    """Parameters with an annotation that says nothing."""
    return [
        name
        for name, parameter in signature.parameters.items()
        if name not in hints
        and isinstance(parameter.annotation, (str, typing.ForwardRef))
        and parameter.annotation not in ("Any", "typing.Any")
    ]


def _tell(fn: Any, name: str, why: str) -> None:
    log.warning(
        "Flow '%s' does not check its parameter '%s': a value arrives as it was passed, a dict as a dict. %s.",
        getattr(function_of(fn), "__name__", "?"),
        name,
        why.partition("\n")[0].rstrip("."),
    )


def _hints(fn: Any, signature: inspect.Signature) -> dict[str, Any]:
    try:
        hints = typing.get_type_hints(fn, include_extras=True)
    except Exception:  # noqa: BLE001 - names only type checkers know, anything a user's annotation may raise
        hints = _one_by_one(fn, signature)
    kept = {name: hint for name, hint in hints.items() if name in signature.parameters}
    return {name: hint for name, hint in kept.items() if hint not in (Any, inspect.Parameter.empty)}


def _one_by_one(fn: Any, signature: inspect.Signature) -> dict[str, Any]:
    """What can be resolved, classes of the function around included: one bad annotation takes no other with it."""
    function = function_of(fn)
    scope = inspect.getclosurevars(function).nonlocals if inspect.isfunction(function) else {}
    hints: dict[str, Any] = {}
    for name, parameter in signature.parameters.items():
        alone = SimpleNamespace(__annotations__={name: parameter.annotation})
        with contextlib.suppress(Exception):
            names = {**getattr(function, "__globals__", {}), **scope}
            hints |= typing.get_type_hints(alone, names, include_extras=True)
    return hints


def _adapter(make: Any, annotation: Any) -> Any:
    """Models and dataclasses bring a configuration of their own. Raises what pydantic says at last."""
    try:
        return make(annotation, config={"arbitrary_types_allowed": True})
    except Exception:  # noqa: BLE001 - see above
        return make(annotation)


def _one(adapter: Any, parameter: inspect.Parameter, value: Any) -> Any:
    if parameter.kind not in _VARIADIC:
        if value is None and parameter.default is None:  # `x: int = None` (pydantic 1 reads an Optional)
            return None
        return _checked(adapter, value)
    if isinstance(value, dict):
        return {name: _checked(adapter, item) for name, item in value.items()}
    return tuple(_checked(adapter, item) for item in value)


def _checked(adapter: Any, value: Any) -> Any:
    return _not_lazy(adapter.validate_python(value), value)


def _not_lazy(annotation: Any, value: Any) -> Any:
    """What pydantic checks while somebody iterates (`Iterable[int]`) can be iterated once only: the caller's own is
    kept, and checked before where it can be iterated again."""
    if type(annotation).__name__ == "ValidatorIterator" and type(annotation).__module__.startswith("pydantic_core"):
        if isinstance(value, Sized):
            for _ in annotation:
                pass
        return value
    kind = type(annotation)
    if kind in (list, tuple) and isinstance(value, (list, tuple)) and len(annotation) == len(value):
        items = [_not_lazy(item, own) for item, own in zip(annotation, value, strict=True)]
        return kind(items) if any(new is not old for new, old in zip(items, annotation, strict=True)) else annotation
    if kind is dict and isinstance(value, dict) and len(annotation) == len(value):
        pairs = zip(annotation.items(), value.values(), strict=True)
        return {key: _not_lazy(item, own) for (key, item), own in pairs}
    fields = getattr(annotation, "__dict__", None)
    if isinstance(fields, dict) and isinstance(value, dict):  # a dataclass or model that was made of it
        for name in fields.keys() & value.keys():
            fields[name] = _not_lazy(fields[name], value[name])
    return annotation


def _sentence(name: str, annotation: Any) -> str:
    path = ".".join([name, *(str(step) for step in annotation["loc"])])
    return f"'{path}': {annotation['msg']} (got {annotation['input']!r:.100})"
