"""What people, buckets and clusters hold of podtask: no change of the code's structure may change it.

The words and help texts are in `golden/frozen.txt`; `python -m tests.unit.test_frozen` writes the file anew.
The CRD, the chart, pods and TaskRuns have goldens of their own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import functools
import io
import pickle
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import click
import pytest
from click.testing import CliRunner

import podtask
from podtask import futures, states
from podtask.backends.kubernetes.cache_spec import Place
from podtask.cli import app
from podtask.cli.common.exits import Exit
from podtask.core.api import names
from podtask.payloads import code
from podtask_runner import pickled_names, protocol
from podtask_runner.hashing.content_hash import content_hash
from podtask_runner.process import supervisor
from podtask_runner.script import definitions, identity, lending
from podtask_runner.serialization import exceptions, failures, log_levels, pickling
from podtask_runner.serialization.by_value import Packing, Travel
from podtask_runner.serialization.registry import Equipped
from podtask_runner.serializers import Serializer

GOLDEN = Path(__file__).parent / "golden" / "frozen.txt"
PICKLED = {
    # the runner's: `podtask_runner.pickled_names`
    "podtask_runner.pickled_names Batch",
    "podtask_runner.pickled_names BatchFailed",
    "podtask_runner.pickled_names RemoteError",
    "podtask_runner.pickled_names Shipped",
    "podtask_runner.pickled_names at_home",
    "podtask_runner.pickled_names cached_again",
    "podtask_runner.pickled_names code",
    "podtask_runner.pickled_names defined",
    "podtask_runner.pickled_names definitions",
    "podtask_runner.pickled_names dispatching",
    "podtask_runner.pickled_names empty_cell",
    "podtask_runner.pickled_names equipped",
    "podtask_runner.pickled_names exception",
    "podtask_runner.pickled_names failed",
    "podtask_runner.files File",
    "podtask_runner.pickled_names filled",
    "podtask_runner.pickled_names filled_class",
    "podtask_runner.pickled_names filled_constant",
    "podtask_runner.pickled_names filled_dispatching",
    "podtask_runner.pickled_names filled_function",
    "podtask_runner.pickled_names filled_functions",
    "podtask_runner.pickled_names followed",
    "podtask_runner.pickled_names lending",
    "podtask_runner.pickled_names lent",
    "podtask_runner.pickled_names logging_as",
    "podtask_runner.pickled_names made_class",
    "podtask_runner.pickled_names made_function",
    "podtask_runner.pickled_names member",
    "podtask_runner.pickled_names namespace",
    "podtask_runner.pickled_names new_module",
    "podtask_runner.pickled_names new_type",
    "podtask_runner.pickled_names own",
    "podtask_runner.pickled_names project_class",
    # the SDK's: in the public modules, which do not move
    "podtask.errors TaskCrashed",
    "podtask.errors _rebuilt",
    "podtask.flows Flow",
    "podtask.flows _unpickled",
    "podtask.options FlowOptions",
    "podtask.futures QuotedFuture",
    "podtask.futures _snapshot",
    "podtask.options TaskOptions",
    "podtask.states _rebuild",
    "podtask.task_runners ConcurrentTaskRunner",
    "podtask.tasks Task",
    "podtask.tasks _unpickled",
}
"""Every name of ours that a pickle in a bucket may hold. A name may be added; none may go."""
FROM_3_12 = {"podtask_runner.pickled_names alias", "podtask_runner.pickled_names filled_alias"}
OLDER = {"podtask_runner.pickled_names registering", "podtask_runner.pickled_names with_modules"}
"""Written by earlier versions, and read for ever."""


@podtask.task
def one() -> int:
    return 1


@podtask.flow
def flowing() -> int:
    return 1


@functools.singledispatch
def dispatched(value: object) -> object:
    return value


@functools.lru_cache
def cached(value: object) -> object:
    return value


class Odd(Exception):
    """Cannot be rebuilt of what it keeps."""

    def __init__(self, _: object) -> None:
        super().__init__()


class Colour(enum.Enum):
    RED = 1


class Named:
    def __reduce__(self) -> str:
        return "named"


def of_a_script() -> Iterator[object]:
    """Everything that goes by value or by the name of a constant."""
    number = 1

    class Local:
        def method(self) -> object:
            return super(), number

    yield Local
    yield Colour.RED
    constants = [typing.NewType("named", int), TypeVar("named"), Named()]  # type: ignore[misc]
    if sys.version_info >= (3, 12):
        values: dict[str, Any] = {"__name__": "__main__"}
        exec("type named = int", values)
        constants.append(values["named"])
    for constant in constants:
        if not isinstance(constant, Named):
            with contextlib.suppress(AttributeError):
                constant.__module__ = "__main__"  # type: ignore[attr-defined]
        yield constant


def by_value() -> types.ModuleType:
    module = types.ModuleType("frozen_module")
    exec("def inside(): return 1", vars(module))
    return module


def nested(count: int) -> typing.Any:
    """A function that uses a function that uses a function."""

    def around(inner: typing.Any) -> typing.Any:
        return lambda: inner

    return functools.reduce(lambda fn, _: around(fn), range(count), len)


def travellers() -> Iterator[object]:
    """Something of every kind that is pickled with a name of ours in it."""
    yield pickled_names.Shipped(len)
    yield pickled_names.Batch(len)
    yield pickled_names.BatchFailed("x", {})
    yield failures.Marked(ValueError("x"))
    yield Equipped((Serializer("frozen", bytes, bytes, bytes),), 1)
    yield podtask.TaskCrashed("x")
    yield states.Completed(1)
    yield futures.QuotedFuture("x", states.Completed(1))
    yield futures._snapshot
    yield one
    yield flowing
    yield podtask.File(__file__)
    yield dispatched
    yield cached
    yield from of_a_script()


def names_in(data: bytes) -> set[str]:
    """`module name` of every global that a pickle refers to, with its header in front."""
    met: set[str] = set()

    class Reader(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            met.add(f"{module} {name}")
            return super().find_class(module, name)

    before = definitions.OPENER.set(Reader)
    try:
        Reader(io.BytesIO(data[data.index(b"\n") + 1 :])).load()
    finally:
        definitions.OPENER.reset(before)
    return met


def test_every_name_of_ours_inside_a_pickle_is_on_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    module = by_value()
    monkeypatch.setitem(sys.modules, "frozen_module", module)
    monkeypatch.setattr(Named, "__module__", "__main__")
    monkeypatch.setattr(identity, "find", lambda _: None)  # so that all chunks are opened
    own = Packing(lambda name: Travel.VALUE if name in ("frozen_module", __name__) else Travel.NAME)
    files = Packing(lambda name: Travel.BUNDLE if name == __name__ else Travel.NAME)
    met: set[str] = set()
    for value in travellers():
        met |= names_in(pickling.dumps(value, packing=own))
    met |= names_in(pickling.dumps(module, packing=own))
    met |= names_in(pickling.dumps(log_levels.Configured(1)))
    met |= names_in(pickling.dumps(code.Lending(pickling.dumps([]), 1)))
    met |= names_in(bytes(pickling.dump_payload(Colour, packing=own, lender=lending.Lender())))
    met |= names_in(exceptions.dump_exception(ValueError("x")))
    met |= names_in(exceptions.dump_exception(Odd(1)))
    met |= names_in(pickling.dumps([one, lambda: one], packing=files))
    met |= names_in(pickling.dumps(nested(100), packing=own))
    stored = io.BytesIO()
    pickling.dump(Odd, stored)
    met |= names_in(stored.getvalue())
    ours = {name for name in met if name.split(".")[0].split(" ")[0].startswith("podtask")}
    assert ours - PICKLED - FROM_3_12 == set(), "a new name inside of pickles: it stays for ever, so list it on purpose"
    assert PICKLED - ours == set(), "listed, and met by no case above"


@pytest.mark.parametrize("name", sorted(PICKLED | FROM_3_12 | OLDER))
def test_every_name_on_the_list_can_be_found(name: str) -> None:
    module, _, attribute = name.partition(" ")
    __import__(module)
    assert hasattr(sys.modules[module], attribute)


@pytest.mark.parametrize("name", podtask.__all__)
def test_every_public_name_is_pickled_by_a_module_that_does_not_move(name: str) -> None:
    module = getattr(podtask, name).__module__
    assert module.count(".") <= 1


def test_keys_that_name_our_own_classes_stay(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"content")
    hashes = {
        "a file": content_hash(podtask.File(tmp_path / "x")),
        "the place of an upstream": content_hash(Place(1)),
        "data": content_hash({"a": [1, 2.5, "x", None, True, b"y"]}),
    }
    assert hashes == {
        "a file": "h1:bdc2bf8dbc42fb774a1c72f572490ad4c2615bc34910f2cbfa41371bf880cd48",
        "the place of an upstream": "h1:254a957cb7663170493ef9c0a104570272c5c96b21dddeaa2ae7f0f2401f3c23",
        "data": "h1:d96a7c9370b9e86a16b83a2924360147eddff8cf462fd6fe10cf9b6b9c09644f",
    }


def words() -> str:
    """Statuses, reasons, exit statuses, fields of the wire format and help texts."""
    enums = [item for item in vars(names).values() if isinstance(item, type) and issubclass(item, enum.Enum)]
    enums = [each for each in enums if each.__module__ == names.__name__]
    kinds = [kind for kind in vars(protocol).values() if isinstance(kind, type) and dataclasses.is_dataclass(kind)]
    lines = [
        *(f"{kind.__name__}: {', '.join(f'{item.name}={item.value}' for item in kind)}" for kind in enums),
        f"Verdict: {', '.join(verdict.value for verdict in protocol.Verdict)}",
        f"Exit: {', '.join(f'{status.name}={status.value}' for status in Exit)}",
        f"exit codes of a pod: {', '.join(f'{key.value}={code}' for key, code in supervisor.EXIT_CODES.items())}",
        *(f"{kind.__name__}: {', '.join(item.name for item in dataclasses.fields(kind))}" for kind in kinds),
    ]
    for path in commands(app.podtask, ()):
        text = CliRunner().invoke(app.podtask, [*path, "--help"], prog_name="podtask", terminal_width=100)
        lines += ["", f"$ podtask {' '.join((*path, '--help'))}", text.output.rstrip()]
    return "\n".join(lines) + "\n"


def commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from commands(found, (*path, name))


def test_words_and_help_are_as_they_were() -> None:
    assert words() == GOLDEN.read_text(encoding="utf-8"), "on purpose? python -m tests.unit.test_frozen"


if __name__ == "__main__":
    GOLDEN.write_text(words(), encoding="utf-8")
