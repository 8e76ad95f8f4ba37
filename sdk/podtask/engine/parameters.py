"""Flow parameters against their annotations, by pydantic, with coercion (seed: "5" for an int is 5).

pydantic is imported by the first flow that has annotations, never by `import podtask`. Used by:
`podtask.engine.flow_engine`.
"""

from __future__ import annotations

import contextlib
import inspect
import typing
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from podtask.errors import ParameterTypeError
from podtask.support.callables import function_of

if TYPE_CHECKING:
    from podtask.model.definitions import FlowDefinition

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
    that pydantic has no check for (a protocol, a `typing.TypedDict` before Python 3.12)."""
    if all(parameter.annotation is inspect.Parameter.empty for parameter in signature.parameters.values()):
        return {}
    from pydantic import TypeAdapter

    made = {name: _adapter(TypeAdapter, annotation) for name, annotation in _hints(fn, signature).items()}
    return {name: adapter for name, adapter in made.items() if adapter is not None}


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
    options: tuple[dict[str, Any], ...] = ({"config": {"arbitrary_types_allowed": True}}, {})
    for given in options:  # models and dataclasses bring a configuration of their own
        with contextlib.suppress(Exception):  # pydantic's own, and what building a schema of any object may raise
            return make(annotation, **given)
    return None


def _one(adapter: Any, parameter: inspect.Parameter, value: Any) -> Any:
    if parameter.kind not in _VARIADIC:
        return adapter.validate_python(value)
    if isinstance(value, dict):
        return {name: adapter.validate_python(item) for name, item in value.items()}
    return tuple(adapter.validate_python(item) for item in value)


def _sentence(name: str, found: Any) -> str:
    path = ".".join([name, *(str(step) for step in found["loc"])])
    return f"'{path}': {found['msg']} (got {found['input']!r:.100})"
