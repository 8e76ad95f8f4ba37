"""Classes of a script taken apart and made again as their statement made them.

    before   metaclass, name, bases, keywords, all names of the class body
    after    what refers to the class itself: late globals and cells of functions, what could not come before

A class that the reader has is its own, and nothing runs. Any other is made with its complete body and its keywords:
`__init_subclass__`, `__set_name__` and metaclasses that the reader has hear of it once, as of a statement. Those that
come with the class have heard of it where it was written, and what they did came with them. Metaclasses of installed
libraries get an empty body, as cloudpickle does it. Used by `podtask_runner.serialization.pickler`; what makes the
classes: `podtask_runner.pickled_names`.
"""

from __future__ import annotations

import abc
import ast
import enum
import sys
import types
import typing
from typing import TYPE_CHECKING, Any, Final

from podtask_runner import pickled_names
from podtask_runner.hashing import code
from podtask_runner.script import definitions, functions, identity, main_module

if TYPE_CHECKING:
    from podtask_runner.script.definitions import Inside

_PYTHONS_OWN: Final = frozenset({"builtins", "abc", "enum", "typing", "typing_extensions"})
"""Modules whose metaclasses make a class of its complete body."""
_OF_THE_CLASS: Final = frozenset({"__dict__", "__weakref__", "_abc_impl", "__slotnames__"})
_NOT_SET_AGAIN: Final = frozenset({"__slots__", "__classcell__", "__qualname__", "__module__", "__podtask_members__"})
_OF_ENUMS: Final = frozenset(
    {
        "_member_map_",
        "_member_names_",
        "_value2member_map_",
        "_unhashable_values_",
        "_unhashable_values_map_",
        "_hashable_values_",
    }
)
_HOOK: Final = "__init_subclass__"
_OF_MEMBERS: Final = frozenset({"_value_", "_name_", "__objclass__", "_sort_order_"})
_SHELL: Final = frozenset({"__module__", "__qualname__", "__slots__", "__doc__"})
_WRAPPERS: Final = (types.FunctionType, staticmethod, classmethod, property)


class Rest:
    """What follows once a class is made; pickled at that moment."""

    def __init__(self, kind: type, held_back: dict[str, Any], bare: list[types.FunctionType]) -> None:
        self.kind = kind
        self.held_back = held_back
        self.bare = bare


def taken_apart(pickler: Any, kind: type) -> tuple[Any, ...]:
    """The reduction of a class inside of a chunk."""
    inside: Inside = pickler.inside
    if any(each is kind for each in inside.in_progress):
        raise definitions.Conflict(kind)
    inside.in_progress.append(kind)
    inside.trail.append(kind)
    inside.meet(kind)
    body = _body(kind)
    held_back: dict[str, Any] = {}
    bare: list[types.FunctionType] = []
    members = _members(kind) if isinstance(kind, enum.EnumMeta) else None
    shell = not _is_made_whole(type(kind))
    if shell or members is not None:
        kept = _SHELL if shell else body.keys() - _holding_members(kind, body)
        held_back = {key: body.pop(key) for key in list(body) if key not in kept}
    if isinstance(kind, enum.EnumMeta):  # unnamed combinations of flags are made again where somebody asks for them
        members_by_value: dict[Any, Any] = held_back["_value2member_map_"]
        held_back["_value2member_map_"] = {
            value: member for value, member in members_by_value.items() if member._name_ in kind._member_map_
        }
    if inside.stage(kind) is not definitions.Stage.WHOLE:
        for key in [key for key, value in body.items() if not _is_simple(value)]:
            held_back[key] = body.pop(key)
        bare = [fn for value in body.values() for fn in code.inside(value) if isinstance(fn, types.FunctionType)]
        inside.bare.update((id(fn), fn) for fn in bare)
    cell = _cell_of_class(kind)
    if cell is not None:
        inside.bare[id(cell)] = cell
        body["__classcell__"] = cell
    who = identity.of_class(kind)
    meta = type(kind) if not shell or _is_reachable(type(kind)) else None  # else that of its bases
    args = (tuple(who), meta, kind.__name__, _bases(kind, shell=shell), body, _keywords(kind), members, shell)
    rest = Rest(kind, held_back, bare)
    return pickled_names.made_class, args, rest, None, None, pickled_names.filled_class


def rest(pickler: Any, what: Rest) -> tuple[Any, ...]:
    """The class is there: what it held back, the functions that have no content yet, and who waits for it."""
    inside: Inside = pickler.inside
    inside.in_progress = [each for each in inside.in_progress if each is not what.kind]
    inside.trail.append(what.kind)
    for fn in what.bare:
        inside.bare.pop(id(fn), None)
    now = [(what.kind, what.held_back, what.bare)]
    waits = inside.stage(what.kind) is definitions.Stage.POSTPONED and bool(inside.in_progress)
    if waits:
        inside.postponed += now
        now = []
    elif not inside.in_progress:
        now += inside.postponed
        inside.postponed = []
    late = inside.late.pop(id(what.kind), [])
    script = main_module.script_of(vars(sys.modules["__main__"]))
    named = vars(sys.modules["__main__"]).get(what.kind.__name__) is what.kind
    contents = [
        (kind, members, [(fn, functions.content(pickler, fn)) for fn in bare], _attributes(kind))
        for kind, members, bare in now
    ]
    return dict, (
        (
            ("contents", contents),
            ("late", late),
            ("registered", _registered(what.kind)),
            ("script", script if named else None),
            ("waits", waits),
        ),
    )


def made(
    who: identity.Identity,
    meta: Any,
    name: str,
    bases: tuple[Any, ...],
    body: dict[str, Any],
    keywords: dict[str, Any],
    members: list[tuple[str, Any, Any, tuple[str, ...]]] | None,
    shell: bool,  # noqa: FBT001 - positional on the wire
) -> type:
    """The reader's own class, or a new one."""
    own = identity.find(who)
    if isinstance(own, type):
        return own
    kind: type
    body, told = _told_already(body)
    if members is not None:
        body[_Members.NAME] = _Members(members)
        quiet = _heard_already(meta, bases)
        kind = _quietly(meta, name, bases, body) if quiet else type.__new__(meta, name, bases, body, **keywords)
    elif shell or bases == (getattr(typing, "TypedDict", None),):
        kind = types.new_class(
            name, bases, {"metaclass": meta} if shell and meta else {}, lambda space: space.update(body)
        )
    else:
        kind = _by_its_metaclass(meta, name, bases, body, keywords)
    for key, value in {**body, **told}.items():  # hooks may have put others there
        if key not in _NOT_SET_AGAIN and vars(kind).get(key) is not value:
            type.__setattr__(kind, key, value)
    identity.note_class(kind, who)
    identity.keywords.set(kind, keywords)
    definitions.begin(kind)
    return kind


def _told_already(body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The body without attributes that came with it and have a `__set_name__`: it was called. Those apart."""
    told = {
        key: value
        for key, value in body.items()
        if code.is_written(type(value)) and hasattr(type(value), "__set_name__") and identity.was_made(type(value))
    }
    return {key: value for key, value in body.items() if key not in told}, told


def _by_its_metaclass(
    meta: Any, name: str, bases: tuple[type, ...], body: dict[str, Any], keywords: dict[str, Any]
) -> type:
    if _heard_already(meta, bases):
        return _quietly(meta, name, bases, body)
    space = meta.__prepare__(name, bases, **keywords)
    space.update(body)
    made: type = meta(name, bases, space, **keywords)
    return made


def _heard_already(meta: type, bases: tuple[type, ...]) -> bool:
    """Whether all that would be told of the class came with it: what the hooks did is in what they came with."""
    written = [kind for kind in (*_hooked(bases), *meta.__mro__) if code.is_written(kind)]
    return bool(written) and all(identity.was_made(kind) for kind in written)


def _hooked(bases: tuple[type, ...]) -> list[type]:
    above = {id(kind): kind for base in bases for kind in base.__mro__}.values()
    return [kind for kind in above if _HOOK in vars(kind)]


def _quietly(meta: Any, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
    """Without the hooks of the script: its classes above this one heard of it already."""
    pythons: Any = next(kind for kind in meta.__mro__ if not code.is_written(kind))
    hooks = [(kind, vars(kind)[_HOOK]) for kind in _hooked(bases) if code.is_written(kind)]
    for kind, _ in hooks:
        type.__delattr__(kind, _HOOK)
    try:
        made: type = pythons.__new__(meta, name, bases, body)
        return made
    finally:
        for kind, hook in hooks:
            type.__setattr__(kind, _HOOK, hook)


def filled(kind: type, content: dict[str, Any]) -> None:
    """Put in what follows, if the class was made just now."""
    if not definitions.finishes(kind):
        return
    if content["waits"]:
        definitions.begin(kind)
    for owner, members, bare, attributes in content["contents"]:
        if owner is not kind and not definitions.finishes(owner):
            continue
        put = type.__setattr__ if _is_made_whole(type(owner)) else setattr
        for key, value in members.items():
            put(owner, key, value)
        for fn, (own, slots) in bare:
            functions.filled(fn, own, slots, whole=True)
        for name, held in attributes:
            vars(owner)["_member_map_"][name].__dict__.update(held)
    for fn, place in content["late"]:
        if isinstance(place, str):
            fn.__globals__.setdefault(place, kind)
        else:
            functions.fill_cell(fn.__closure__[place], kind)
    for virtual in content["registered"]:
        kind.register(virtual)  # type: ignore[attr-defined]
    if content["script"]:
        main_module.install(content["script"], kind.__name__, kind)


class _Members:
    """Makes the members of an enum at the moment at which Python makes them: before `__init_subclass__`."""

    NAME: Final = "__podtask_members__"

    def __init__(self, members: list[tuple[str, Any, Any, tuple[str, ...]]]) -> None:
        self._members = members

    def __set_name__(self, kind: Any, name: str) -> None:
        by_name: dict[str, Any] = {}
        for at, (first, content, value, names) in enumerate(self._members):
            member = content[0].__new__(kind, *content[1]) if content else object.__new__(kind)
            member._value_, member._name_, member.__objclass__, member._sort_order_ = value, first, kind, at
            by_name.update(dict.fromkeys(names, member))
        type.__setattr__(kind, "_member_map_", by_name)
        type.__delattr__(kind, name)


def _members(kind: Any) -> list[tuple[str, Any, Any, tuple[str, ...]]]:
    """Of each member: its name, what it is apart from being a member, its value, all its names."""
    names: dict[int, list[str]] = {}
    for name, member in kind._member_map_.items():
        names.setdefault(id(member), []).append(name)
    found = {id(member): member for member in kind._member_map_.values()}
    return [(member._name_, _plain(kind, member), member._value_, tuple(names[key])) for key, member in found.items()]


def _attributes(kind: type) -> list[tuple[str, dict[str, Any]]]:
    """What the members of an enum hold beyond their names and values."""
    if not isinstance(kind, enum.EnumMeta):
        return []
    members: dict[str, Any] = kind._member_map_
    held = ((name, vars(member)) for name, member in members.items() if name == member._name_)
    found = [(name, {key: value for key, value in own.items() if key not in _OF_MEMBERS}) for name, own in held]
    return [(name, own) for name, own in found if own]


def _plain(kind: Any, member: Any) -> tuple[type, tuple[Any, ...]] | None:
    """The number, text or tuple that a member is; None where it is an object only."""
    base = next((base for base in (int, float, complex, str, bytes, tuple) if issubclass(kind, base)), None)
    if base is None:
        return None
    if base is str:
        return base, (str.__str__(member),)
    if base is complex:
        return base, (member.real, member.imag)
    return base, (base(member) if base is not int else int.__index__(member),)


def _holding_members(kind: Any, body: dict[str, Any]) -> set[str]:
    """Names in the body of an enum that need its members."""
    machinery = {key for key in body if key in _OF_ENUMS or key in kind._member_map_}
    return machinery | {key for key, value in body.items() if not _is_simple(value)}


def _body(kind: type) -> dict[str, Any]:
    """The class body as it is now, without what making the class puts there."""
    body = {
        key: value
        for key, value in vars(kind).copy().items()
        if key not in _OF_THE_CLASS or isinstance(value, property)
    }
    slots = [key for key, value in body.items() if _is_slot(kind, value)]
    for key in slots:
        del body[key]
    if "__slots__" in body and not isinstance(body["__slots__"], (str, tuple, list, dict, set, frozenset)):
        body["__slots__"] = tuple(slots)  # an iterator, which gives nothing any more
    return {**body, "__qualname__": kind.__qualname__}


def _is_slot(kind: type, value: object) -> bool:
    if isinstance(value, types.MemberDescriptorType):
        return value.__objclass__ is kind
    return type(value).__module__ == "_ctypes" and type(value).__name__ == "CField"


def _is_made_whole(meta: type) -> bool:
    return meta.__module__ in _PYTHONS_OWN or code.is_written(meta)


def _is_reachable(meta: type) -> bool:
    return getattr(sys.modules.get(meta.__module__), meta.__qualname__, None) is meta


def _bases(kind: type, *, shell: bool) -> tuple[Any, ...]:
    if type(kind).__name__ == "_TypedDictMeta":
        return (typing.TypedDict,)
    if shell:
        bases: tuple[Any, ...] = vars(kind).get("__orig_bases__", kind.__bases__)
        return bases
    return kind.__bases__


def _is_simple(value: object) -> bool:
    """Functions, and plain data: what needs no class of the script."""
    return isinstance(value, _WRAPPERS) or code.is_plain(value)


def _cell_of_class(kind: type) -> types.CellType | None:
    """What `super()` in the methods reads the class from."""
    for value in vars(kind).copy().values():
        for fn in code.inside(value):
            if isinstance(fn, types.FunctionType) and "__class__" in fn.__code__.co_freevars:
                cell = (fn.__closure__ or ())[fn.__code__.co_freevars.index("__class__")]
                try:
                    held = cell.cell_contents
                except ValueError:
                    continue
                if isinstance(held, type) and (held.__module__, held.__qualname__) == (
                    kind.__module__,
                    kind.__qualname__,
                ):
                    return cell
    return None


def _registered(kind: type) -> list[type]:
    if not isinstance(kind, abc.ABCMeta):
        return []
    registry = abc._get_dump(kind)[0]  # type: ignore[attr-defined]  # noqa: SLF001 - cloudpickle asks so, too
    return [found for ref in registry if (found := ref()) is not None]


def _keywords(kind: type) -> dict[str, Any]:
    """The keywords of the statement: as they came with the class, or read off its text where they are plain."""
    known = identity.keywords.get(kind)
    if known is not None:
        return known
    statement = code.statement_of(kind)
    if not isinstance(statement, ast.ClassDef):
        return {}
    found: dict[str, Any] = {}
    for keyword in statement.keywords:
        if keyword.arg is not None and keyword.arg != "metaclass":
            try:
                found[keyword.arg] = _value(keyword.value, vars(sys.modules.get(kind.__module__, object)))
            except (ValueError, LookupError, AttributeError):
                continue
    return found


def _value(node: ast.expr, names: typing.Mapping[str, Any]) -> Any:
    """Of an expression that runs no code: literals, names, attributes of modules and classes."""
    if isinstance(node, ast.Name):
        return names[node.id] if node.id in names else getattr(__import__("builtins"), node.id)
    if isinstance(node, ast.Attribute):
        return getattr(_value(node.value, names), node.attr)
    return ast.literal_eval(node)
