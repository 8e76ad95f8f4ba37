"""The archive of a project, the finder that serves it, and the changes that are put into its modules."""

from __future__ import annotations

import io
import json
import sys
import types
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from podtask_runner.bundle import archive, finder
from podtask_runner.bundle.overlay import put
from podtask_runner.errors import EnvironmentMismatch, InputCorrupted

MODULES = {"shop_b": "shop_b/__init__.py", "shop_b.etl": "shop_b/etl.py"}
FILES = {"shop_b/__init__.py": b"", "shop_b/etl.py": b"RATE = 1\n", "shop_b/data/a.json": b"{}"}


class TestArchive:
    def test_the_same_files_are_the_same_bytes_in_whatever_order(self) -> None:
        other = dict(reversed(FILES.items())), dict(reversed(MODULES.items()))
        assert archive.write(MODULES, FILES) == archive.write(other[1], other[0])
        assert archive.write(MODULES, FILES) != archive.write(MODULES, {**FILES, "shop_b/etl.py": b"RATE = 2\n"})

    def test_what_was_written_is_read_compressed_or_not(self) -> None:
        data = archive.write(MODULES, FILES, {"space"}, {"shop_b"})
        for form in (data, archive.squeezed(data)):
            found = archive.read(form)
            assert (dict(found.modules), dict(found.files)) == (MODULES, FILES)
            assert (found.namespaces, found.extended) == ({"space"}, {"shop_b"})
            assert "shop_b.etl" in found
            assert found.is_package("shop_b")
            assert not found.is_package("shop_b.etl")

    @pytest.mark.parametrize("path", ["../a.py", "/a.py", "a/../../b.py", "a//b.py", "c:\\a.py", "a\0.py", ""])
    def test_a_path_that_leads_elsewhere_is_neither_written_nor_read(self, path: str) -> None:
        with pytest.raises(ValueError, match="path"):
            archive.write({}, {path: b""})
        if path and "\0" not in path:
            with pytest.raises(InputCorrupted):
                archive.read(zipped({archive.MANIFEST: manifest(), path: b"x"}))

    def test_what_podtask_would_not_write_is_refused(self) -> None:
        good = archive.write(MODULES, FILES)
        bomb = zipped({archive.MANIFEST: manifest(), "a.py": bytes(1 << 20)}, zipfile.ZIP_DEFLATED)
        missing = zipped({archive.MANIFEST: manifest(modules={"a": "a.py"})})
        shapes = [zipped({archive.MANIFEST: text}) for text in (b"[]", b"{}", b"1", manifest(modules=3))]
        torn = archive.squeezed(good)[:-20]
        for data in (b"", b"PK", good[:50], good[:-30], torn, zlib.compress(good), bomb, missing, *shapes):
            with pytest.raises(InputCorrupted):
                archive.read(data)

    def test_a_newer_format_names_the_cure(self) -> None:
        with pytest.raises(InputCorrupted, match="format 9") as caught:
            archive.read(zipped({archive.MANIFEST: manifest(**{"podtask-bundle": 9})}))
        assert "as new as the SDK" in caught.value.cure


def manifest(**changes: Any) -> bytes:
    plain: dict[str, Any] = {"podtask-bundle": 1, "modules": {}, "namespaces": [], "extended": []}
    return json.dumps({**plain, **changes}).encode()


def zipped(files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as made:
        for path, data in files.items():
            made.writestr(path, data)
    return stream.getvalue()


@pytest.fixture
def interpreter(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As it was afterwards."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    monkeypatch.setattr(finder, "CURRENT", None)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop_b"]:
        del sys.modules[name]


@pytest.mark.usefixtures("interpreter")
class TestFinder:
    def test_a_namesake_that_the_runner_has_imported_is_named(self, tmp_path: Path) -> None:
        data = archive.write({"queue": "queue.py"}, {"queue.py": b""})
        with pytest.raises(EnvironmentMismatch, match=r"'queue' \(queue.py\).*lib.*queue.py"):
            finder.install(data, archive.read(data), tmp_path / "code", None, at_home=False)

    def test_data_and_text_are_where_the_module_says_it_is(self, tmp_path: Path) -> None:
        data = archive.write(MODULES, FILES)
        finder.install(data, archive.read(data), tmp_path / "code", None, at_home=False)
        import importlib
        import inspect

        found = importlib.import_module("shop_b.etl")
        assert (Path(found.__file__ or "").parent / "data" / "a.json").read_text() == "{}"
        assert inspect.getsource(found) == "RATE = 1\n"
        assert finder.CURRENT is not None
        assert finder.CURRENT.data == data


class TestPut:
    def test_equal_values_are_left_alone_and_containers_are_changed_in_place(self) -> None:
        module: Any = types.ModuleType("conf")
        same, rows, table, words = [1], [1], {"a": 1}, {"x"}
        module.same, module.rows, module.table, module.words = same, rows, table, words
        for name, value in (("same", [1]), ("rows", [2, 3]), ("table", {"b": 2}), ("words", {"y"})):
            put(module, (name,), value)
        assert module.same is same
        assert (module.rows is rows, module.table is table, module.words is words) == (True, True, True)
        assert (rows, table, words) == ([2, 3], {"b": 2}, {"y"})

    def test_another_type_another_value_and_a_new_name_are_set(self) -> None:
        module: Any = types.ModuleType("conf")
        module.flag, module.rate = 1, [1]
        for name, value in (("flag", True), ("rate", (1,)), ("new", 3)):
            put(module, (name,), value)
        assert module.flag is True
        assert (module.rate, module.new) == ((1,), 3)

    def test_attributes_of_objects_and_classes_are_set_where_they_are(self) -> None:
        class Config:
            debug = False

        module: Any = types.ModuleType("conf")
        module.Config, module.config = Config, Config()
        put(module, ("Config", "debug"), "class")
        put(module, ("config", "debug"), "object")
        put(module, ("absent", "debug"), 1)
        assert (Config.debug, module.config.debug, hasattr(module, "absent")) == ("class", "object", False)

    def test_values_that_cannot_be_compared_are_set(self) -> None:
        class Odd:
            __hash__ = None  # type: ignore[assignment]

            def __eq__(self, other: object) -> bool:
                raise RuntimeError("no")

        module: Any = types.ModuleType("conf")
        module.odd, new = Odd(), Odd()
        put(module, ("odd",), new)
        assert module.odd is new
