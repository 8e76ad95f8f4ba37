"""The hash of a piece of code, walked once and answered again as long as nothing that the walk met has changed.

    first time   a full walk, which notes what it met
    after that   is everything still what it was? ──yes──> the same answer    ──no──> a full walk

A driver asks for the identity of a task's code at every call, and a project may have hundreds of functions below one
task. What is hashed is what runs, so the check is exact: names by the object they stand for, classes by what is in
them, functions by their code and defaults, values that may change inside (a list, a settings object) by their content.
Most of it is done in C, by comparing identities. Used by the SDK: `podtask.payloads.hashing`.
"""

from __future__ import annotations

import functools
import itertools
import types as python
from collections.abc import Callable, Collection, Iterator
from operator import attrgetter, is_, itemgetter
from typing import Any, Final

from podtask_runner.hashing import content_hash, modules, types
from podtask_runner.hashing.code import Parts, members_of
from podtask_runner.hashing.encoder import SCALARS, Encoder
from podtask_runner.hashing.tokens import REGISTERED, Unhashable, token
from podtask_runner.hashing.usage import MISSING

_OF_A_FUNCTION: Final = attrgetter("__code__", "__defaults__", "__kwdefaults__", "__closure__", "__qualname__")
_ATTRIBUTES: Final = attrgetter("__dict__")
_CODE: Final = (python.FunctionType, python.ModuleType, python.CodeType)

_NAME: Final = "__name__"
"""Of the module, by which a function is the user's own or not."""
_NEVER_CHANGE: Final = frozenset(SCALARS) - {bytearray}


class CodeHash:
    """Of one function, or of whatever stands for one. Thread-safe: at worst two threads walk."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn
        self._kept: tuple[Witness, str | Unhashable] | None = None
        self.walks = 0
        """As long as it stays, nothing that the code uses has changed."""

    def value(self, name: str = "") -> str:
        """As `content_hash`. Raises `Unhashable`."""
        kept = self._kept
        if kept is None or not kept[0].holds():
            self._kept = kept = self._walked()
        answer = kept[1]
        if isinstance(answer, Unhashable):
            raise answer.within(name)
        return answer

    def names(self) -> Iterator[tuple[str, str, object]]:
        """Globals that the last walk looked up, by the module and the name, with their values."""
        for space, held in self._kept[0].names if self._kept is not None else ():
            home = str(space.get(_NAME, ""))
            yield from ((home, name, value) for name, value in held.items() if value is not MISSING and name != _NAME)

    def _walked(self) -> tuple[Witness, str | Unhashable]:
        self.walks += 1
        witnesses: list[Witness] = []  # a walk that ends at Python's limit is followed by another one

        def walk() -> Walk:
            witnesses.append(Witness())
            return Walk(witnesses[-1])

        answer: str | Unhashable
        sound = True
        try:
            answer = content_hash.walked(walk, self.fn)
        except Unhashable as why:
            answer = Unhashable(why.path, why.why)  # without the frames of this walk
        except RecursionError:  # how deep is too deep depends on where the caller stands
            answer, sound = Unhashable("", content_hash.TOO_DEEP), False
        witness = witnesses[-1]
        witness.sound = sound
        witness.seal()
        return witness, answer


class Walk(Encoder):
    """A full walk. Everything is noted before it is encoded: what changes in between is another value next time."""

    def __init__(self, witness: Witness) -> None:
        super().__init__(types.encode)
        self._witness = witness

    def met(self, value: object, parts: Any) -> None:
        self._witness.note(value, parts)

    def seen(self) -> tuple[frozenset[int], frozenset[int]]:
        """Everything that was met, and what of it is inside of cycles."""
        return frozenset(self._done) | self._inner, frozenset(self._inner)

    def at(self, step: str, value: object) -> bytes:
        if step.startswith(" → "):  # a part of a piece of code; a walk that fails does not come to all of them
            self._witness.reach(value)
        return super().at(step, value)


class _Outline(Encoder):
    """Values by their content, pieces of code by which object they are."""

    def __init__(self) -> None:
        super().__init__(self._one)
        self.code: list[object] = []
        """Kept alive, so that no other object gets their ids."""

    def _one(self, encoder: Encoder, value: object) -> bytes:
        if _is_code(value):
            self.code.append(value)
            return token(b"code", b"%d" % id(value))
        return types.encode(encoder, value)

    def token(self, value: object) -> bytes:
        """Of one value; of one that has no stable form, why not."""
        try:
            return self.encode(value)
        except Unhashable as why:
            return b"!" + str(why).encode("utf-8", "surrogatepass")


class Witness:
    """What one walk met."""

    def __init__(self) -> None:
        self.sound = True
        self._code: list[object] = []
        """All pieces of code, kept alive."""
        self._names: dict[int, tuple[dict[str, Any], dict[str, object]]] = {}
        self._computed: list[tuple[Any, str, object]] = []
        """What a module's `__getattr__` answered."""
        self._functions: list[python.FunctionType] = []
        self._of_functions: list[object] = []
        self._plain: list[python.FunctionType] = []
        """Functions without attributes."""
        self._cells: list[tuple[python.CellType, object]] = []
        self._classes: list[tuple[type, tuple[Any, ...], tuple[Any, ...]]] = []
        self._modules: dict[str, tuple[str, ...]] = {}
        self._behind: dict[int, object] = {}
        """Parts of classes that stand behind members."""
        self._values: dict[int, object] = {}
        """What may change inside."""
        self._tokens: list[bytes] = []
        self._outline = _Outline()
        self._hashers = dict(REGISTERED)
        self._sealed: list[tuple[Any, ...]] = []

    def note(self, value: object, parts: Parts) -> None:
        """A piece of code, and what it was taken apart into."""
        self._code.append(value)
        for lookup in parts.lookups:
            self._look_up(*lookup)
        if isinstance(value, python.FunctionType):
            self._function(value, parts)
        elif isinstance(value, type) and parts.tag == b"class":
            self._classes.append((value, _members(value), (type(value), value.__bases__)))
            behind = (part for name, part in parts.live.items() if _is_behind(value, name, part))
            self._behind.update((id(part), part) for part in behind)
        self._modules.update((name, modules.identity(name)) for name in parts.modules)
        for container in parts.copied:
            self.reach(container)

    def reach(self, value: object) -> None:
        """A part of a piece of code is encoded next."""
        key = id(value)
        if key not in self._values and key not in self._behind and not _never_changes(value):
            self._values[key] = value
            self._tokens.append(self._outline.token(value))

    @property
    def names(self) -> Collection[tuple[dict[str, Any], dict[str, object]]]:
        """Namespaces, each with the names that were looked up in it."""
        return self._names.values()

    def _look_up(self, place: Any, name: str, value: object) -> None:
        space = place if isinstance(place, dict) else vars(place)
        held = space.get(name, MISSING)
        self._names.setdefault(id(space), (space, {}))[1][name] = held
        if held is not value:
            self._computed.append((place, name, value))

    def _function(self, fn: python.FunctionType, parts: Parts) -> None:
        self._functions.append(fn)
        self._of_functions += _OF_A_FUNCTION(fn)
        self._look_up(fn.__globals__, _NAME, fn.__globals__.get(_NAME, MISSING))
        if not vars(fn):
            self._plain.append(fn)
        if parts.tag != b"singledispatch":  # the cells of those hold caches
            self._cells += [(cell, _content(cell)) for cell in fn.__closure__ or ()]

    def seal(self) -> None:
        """Nothing more is noted."""
        self._code += self._outline.code
        self._behind.clear()
        for space, held in self._names.values():
            there = [name for name, value in held.items() if value is not MISSING]
            there += there[:1] if len(there) == 1 else []  # of one name itemgetter answers no tuple
            get = itemgetter(*there) if there else None
            self._sealed.append((space, get, tuple(held[name] for name in there), held.keys() - set(there)))

    def holds(self) -> bool:
        """Whether a walk now would answer the same."""
        try:
            return (
                self.sound
                and all(_same_names(*each) for each in self._sealed)
                and _all_same(self._of_functions, itertools.chain.from_iterable(map(_OF_A_FUNCTION, self._functions)))
                and not any(map(_ATTRIBUTES, self._plain))
                and all(_content(cell) is content for cell, content in self._cells)
                and all(_same_class(*each) for each in self._classes)
                and all(getattr(place, name, MISSING) is value for place, name, value in self._computed)
                and all(modules.identity(name) == identity for name, identity in self._modules.items())
                and self._hashers == REGISTERED
                and self._same_values()
            )
        except RecursionError:
            return False

    def _same_values(self) -> bool:
        outline = _Outline()
        return all(outline.token(value) == was for value, was in zip(self._values.values(), self._tokens, strict=True))


def _is_code(value: object) -> bool:
    """What counts by what is noted of it. A metaclass may say what stands for its classes."""
    if isinstance(value, type):
        return not hasattr(type(value), "__podtask_hash__")
    if isinstance(value, python.BuiltinFunctionType):
        return isinstance(value.__self__, python.ModuleType | None)  # `items.append` holds its list
    return isinstance(value, _CODE)


def _never_changes(value: object) -> bool:
    """As long as it is the same object, which is compared wherever it is looked up."""
    if type(value) in (tuple, frozenset):
        return all(map(_never_changes, value))  # type: ignore[call-overload]
    return type(value) in _NEVER_CHANGE or _is_code(value)


def _is_behind(value: object, name: str, part: object) -> bool:
    """Whether a part of a class is what stands behind a member, which is compared itself."""
    member = vars(value).get(name, part) if isinstance(value, type) else part
    return member is not part and type(member) is not functools.cached_property


def _all_same(some: Any, others: Any) -> bool:
    return all(map(is_, some, others))


def _same_names(space: dict[str, Any], get: Any, values: tuple[object, ...], absent: set[str]) -> bool:
    if get is not None:
        try:
            if not _all_same(get(space), values):
                return False
        except KeyError:
            return False
    return space.keys().isdisjoint(absent)


def _same_class(kind: type, members: tuple[Any, ...], above: tuple[Any, ...]) -> bool:
    now = _members(kind)
    return len(now) == len(members) and _all_same(members, now) and _all_same(above, (type(kind), kind.__bases__))


def _members(kind: type) -> tuple[Any, ...]:
    members = members_of(kind)
    members.pop("__slotnames__", None)  # `copyreg` puts it there when an object is taken apart
    return (*members, *members.values())


def _content(cell: python.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return MISSING
