"""Canonical forms beyond the built-in types: the ordered list of questions that an object is asked.

Called by `podtask_runner.hashing.encoder.Encoder`. Nothing is imported to recognise a value: if numpy is not loaded, no
value is an array. The first handler that answers wins; the last one walks `__reduce_ex__`, so that whatever can be
pickled by parts can be hashed by parts.
"""

from __future__ import annotations

import copyreg
import functools
import types
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from podtask_runner.hashing import arrays, code
from podtask_runner.hashing.encoder import Encoder
from podtask_runner.hashing.tokens import REGISTERED, Unhashable, text, token
from podtask_runner.loaded_modules import loaded

Handler = Callable[[Encoder, Any], "bytes | None"]


def encode(encoder: Encoder, value: object) -> bytes:
    """The token of a value that is not of a built-in type. Raises `Unhashable`."""
    try:
        return next(answer for ask in _QUESTIONS if (answer := ask(encoder, value)) is not None)
    except (Unhashable, RecursionError):
        raise
    except Exception as error:  # noqa: BLE001 - hashers, properties and reducers of users may do anything
        raise Unhashable("", _no_form(value, error)) from None


def _registered(encoder: Encoder, value: object) -> bytes | None:
    for kind in type(value).__mro__:
        if kind in REGISTERED:
            return token(b"registered", _kind(encoder, value), encoder.encode(REGISTERED[kind](value)))
    return None


def _own_word(encoder: Encoder, value: object) -> bytes | None:
    """`__podtask_hash__`, defined on the class; the class object itself is not asked."""
    method = getattr(type(value), "__podtask_hash__", None)
    if method is None:
        return None
    return token(b"own", text(code.full_name(type(value))), encoder.encode(method(value)))


def _code(encoder: Encoder, value: object) -> bytes | None:
    if isinstance(value, types.FunctionType):
        return _parts(encoder, value, code.function_parts(value))
    if isinstance(value, types.GenericAlias):  # list[int]; reduces differently in different Pythons
        return encoder.sequence(b"alias", (value.__origin__, value.__args__))
    if value is Any:  # a class since Python 3.11
        return _parts(encoder, value, code.Parts(b"foreign", ("typing:Any", "")))
    if isinstance(value, type):
        return _parts(encoder, value, code.class_parts(value))
    if isinstance(value, types.ModuleType):
        return _parts(encoder, value, code.module_parts(value.__name__))
    if isinstance(value, types.CodeType):
        return _parts(encoder, value, code.bytecode_parts(value))
    if isinstance(value, types.MethodType):
        return token(b"method", encoder.at(".__self__", value.__self__), encoder.encode(value.__func__))
    if isinstance(value, types.BuiltinFunctionType) and isinstance(value.__self__, types.ModuleType | None):
        return _parts(encoder, value, code.foreign_parts(value))
    if isinstance(value, classmethod | staticmethod | property | functools.cached_property):
        return encoder.sequence(b"descriptor", code.inside(value), text(type(value).__name__))
    if isinstance(value, functools._lru_cache_wrapper):  # noqa: SLF001 - it reduces to its name, and hides its code
        return token(b"lru_cache", encoder.encode(value.__wrapped__))
    return None


def _parts(encoder: Encoder, value: object, parts: code.Parts) -> bytes:
    """Static facts and live values (closures, globals) of a piece of code."""
    encoder.met(value, parts)
    live = [part for name in sorted(parts.live) for part in (text(name), encoder.at(f" → {name}", parts.live[name]))]
    return token(parts.tag, *(text(fact) for fact in parts.facts), b"live", *live)


def _enum(encoder: Encoder, value: object) -> bytes | None:
    enum = loaded("enum")
    if enum is None or not isinstance(value, enum.Enum):
        return None
    name = "" if isinstance(value, enum.Flag) else str(value._name_)  # Pythons name combined flags differently
    return token(b"enum", _kind(encoder, value), text(name), encoder.at(".value", value._value_))


def _container(encoder: Encoder, value: object) -> bytes | None:
    """Subclasses of the built-in containers, with what their instances hold besides."""
    kind: Callable[[], bytes] = partial(_kind, encoder, value)
    if isinstance(value, (set, frozenset)):
        return encoder.unordered(b"setlike", value, kind(), _state(encoder, value))
    if isinstance(value, types.MappingProxyType):
        return encoder.mapping(b"mappingproxy", value.items())
    if isinstance(value, OrderedDict):
        return encoder.sequence(b"ordered", list(value.items()), kind(), _state(encoder, value))
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return encoder.named(b"namedtuple", zip(value._fields, value, strict=False), kind())
    return None


_WITH_CONTENT: Final = (list, dict, tuple, str, bytes, bytearray, int, float, complex)


def _fields(encoder: Encoder, value: object) -> bytes | None:
    """Dataclasses, attrs and pydantic: the class and its fields; no caches, no generated machinery."""
    kind = type(value)
    if isinstance(value, _WITH_CONTENT):  # which is no field; how it is rebuilt says all
        return None
    if hasattr(kind, "__dataclass_fields__"):
        return encoder.named(b"dataclass", _instance(value, kind.__dataclass_fields__), _kind(encoder, value))
    names: Any
    if hasattr(kind, "__attrs_attrs__"):
        names = [attribute.name for attribute in kind.__attrs_attrs__]
        return encoder.named(b"attrs", _instance(value, names), _kind(encoder, value))
    if hasattr(kind, "__pydantic_fields__") or hasattr(kind, "__fields_set__"):
        names = getattr(kind, "__pydantic_fields__", None) or getattr(kind, "__fields__", {})
        extra = getattr(value, "__pydantic_extra__", None) or {}
        private = getattr(value, "__pydantic_private__", None) or {}
        state = [*_instance(value, names), *extra.items(), *private.items()]
        return encoder.named(b"pydantic", state, _kind(encoder, value))
    return None


def _instance(value: object, names: Any) -> list[tuple[str, object]]:
    """The named fields and whatever else the instance was given; unset slots are skipped."""
    found = {name: getattr(value, name) for name in names if hasattr(value, name)}
    state = getattr(value, "__dict__", {})
    return [*found.items(), *((name, item) for name, item in state.items() if name not in found)]


def _partial(encoder: Encoder, value: object) -> bytes | None:
    if not isinstance(value, partial):
        return None
    return token(
        b"partial",
        encoder.at(".func", value.func),
        encoder.at(".args", value.args),
        encoder.at(".keywords", value.keywords),
    )


def _path(_: Encoder, value: object) -> bytes | None:
    """A path is its text; its flavour counts (posix or windows), the concrete class does not."""
    pathlib = loaded("pathlib")
    if pathlib is None or not isinstance(value, pathlib.PurePath):
        return None
    flavour = b"windows" if isinstance(value, pathlib.PureWindowsPath) else b"posix"
    return token(b"path", flavour, text(str(value)))


def _moment(encoder: Encoder, value: object) -> bytes | None:
    """datetime and time with zone and fold, and zones with a name; the rest of the module reduces well by itself."""
    datetime, zoneinfo = loaded("datetime"), loaded("zoneinfo")
    if zoneinfo is not None and isinstance(value, zoneinfo.ZoneInfo) and value.key is not None:
        return token(b"zone", text(value.key))
    if datetime is None or type(value) not in (datetime.datetime, datetime.time):
        return None
    moment: Any = value
    zone = encoder.at(".tzinfo", moment.tzinfo)
    naive = text(moment.replace(tzinfo=None).isoformat())
    return token(text(type(value).__name__), naive, b"%d" % moment.fold, zone)


def _number(encoder: Encoder, value: object) -> bytes | None:
    """Decimal and Fraction; they reduce differently in different Pythons."""
    decimal, fractions = loaded("decimal"), loaded("fractions")
    if decimal is not None and type(value) is decimal.Decimal:
        return token(b"decimal", text(str(value)))
    if fractions is not None and type(value) is fractions.Fraction:
        fraction: Any = value
        return encoder.sequence(b"fraction", (fraction.numerator, fraction.denominator))
    return None


def _reduced(encoder: Encoder, value: object) -> bytes | None:
    """Whatever can say how it is rebuilt: the callable, its arguments, state and items, each walked."""
    try:
        registered = copyreg.dispatch_table.get(type(value))  # as pickle asks: re.Pattern is there
        reduced: Any = registered(value) if registered is not None else value.__reduce_ex__(4)
    except Exception as error:  # noqa: BLE001 - user classes may do anything here
        raise Unhashable("", _no_form(value, error)) from None
    if isinstance(reduced, str):
        return token(b"global", _kind(encoder, value), text(reduced))
    function, args, *rest = reduced
    state, items, entries = [*rest, None, None, None][:3]
    if isinstance(state, tuple) and len(state) == 2 and isinstance(state[1], dict):
        state = {**(state[0] or {}), **state[1]}  # __dict__ and __slots__
    if args and isinstance(args[0], type):
        encoder.at(f" → {args[0].__qualname__}", args[0])  # first, because as args[0] nobody would know it
    parts = [encoder.encode(function), encoder.encode(tuple(args))]
    if isinstance(state, dict) and all(isinstance(name, str) for name in state):
        parts.append(encoder.named(b"state", state.items()))
    else:
        parts.append(encoder.encode(state))
    if items is not None:
        parts.append(encoder.sequence(b"items", items))
    if entries is not None:
        parts.append(encoder.mapping(b"entries", entries))
    return token(b"reduce", _kind(encoder, value), *parts)


def _no_form(value: object, error: Exception) -> str:
    kind = code.full_name(type(value))
    why = str(error) or type(error).__name__
    return f"a {kind} cannot be hashed ({why}); define __podtask_hash__ or register_hasher"


def _state(encoder: Encoder, value: object) -> bytes:
    return encoder.named(b"state", getattr(value, "__dict__", {}).items())


def _kind(encoder: Encoder, value: object) -> bytes:
    """The class by what it does: a method that changed makes another value."""
    return encoder.encode(type(value))


_QUESTIONS: Final[tuple[Handler, ...]] = (
    _registered,
    _own_word,
    _code,
    _enum,
    _container,
    arrays.encode,
    _fields,
    _partial,
    _path,
    _moment,
    _number,
    _reduced,
)
