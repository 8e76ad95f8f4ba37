"""What is noticed of a module's changes, what data may travel, and which variable it was that could not."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import pytest
from tests.support.travel import Lab, written
from tests.unit.runner.harness import Attempt

from podtask.errors import SettingsError
from podtask.payloads.project import data_files, text
from podtask.payloads.project.changes import Look
from podtask.payloads.project.collect import Collected
from podtask.payloads.project.snapshot import Snapshot

BEFORE = """
import threading
RATE = 0.1
NAMES = ["a"]
TABLE = {"a": [1]}
WORDS = {"x"}
LOCK = threading.Lock()
MIXED = [LOCK, 1]
class Config:
    debug = False
    def load(self): return 1
config = Config()
config.inner = Config()
def work(): return RATE
"""


@pytest.fixture
def module() -> Any:
    made = types.ModuleType("snapshot_module")
    exec(BEFORE, vars(made))
    return made


CHANGES: dict[str, tuple[str, list[tuple[str, ...]]]] = {
    "nothing": ("", []),
    "the same value again": ("RATE = 0.1; NAMES = ['a']", []),
    "there and back": ("NAMES.append('b'); NAMES.pop()", []),
    "a number": ("RATE = 0.5", [("RATE",)]),
    "another type": ("RATE = '0.1'", [("RATE",)]),
    "a list inside": ("NAMES.append('b')", [("NAMES",)]),
    "deep inside": ("TABLE['a'].append(2)", [("TABLE",)]),
    "a set": ("WORDS.add('y')", [("WORDS",)]),
    "beside what is no data": ("MIXED.append(2)", [("MIXED",)]),
    "an attribute of a class": ("Config.debug = True", [("Config", "debug")]),
    "an attribute of an object": ("config.debug = True", [("config", "debug")]),
    "deeper": ("config.inner.debug = 1", [("config", "inner", "debug")]),
    "a method": ("Config.load = lambda self: 2", [("Config", "load")]),
    "a function": ("work = lambda: 2", [("work",)]),
    "a new name": ("NEW = 1", [("NEW",)]),
    "a list that holds itself": ("RING = []; RING.append(RING)", [("RING",)]),
    "a lock": ("LOCK = threading.Lock()", [("LOCK",)]),
}


@pytest.mark.parametrize("case", CHANGES)
def test_every_change_is_noticed_and_nothing_else(module: Any, case: str) -> None:
    statements, paths = CHANGES[case]
    snapshot = Snapshot.of(module)
    exec(statements, vars(module))
    assert [path for path, _ in snapshot.changes(module)] == paths


@pytest.mark.parametrize("case", CHANGES)
def test_a_look_that_holds_shows_what_a_new_one_would(module: Any, case: str) -> None:
    statements, paths = CHANGES[case]
    snapshot = Snapshot.of(module)
    look = Look.at(module, snapshot)
    assert look.holds(module)
    exec(statements, vars(module))
    now = look if look.holds(module) else Look.at(module, snapshot)
    assert [path for path, _ in now.changes] == paths


@pytest.mark.parametrize(
    "statement", ["RING = [1]; RING.append(RING)", "DEEP = []\nfor _ in range(5000): DEEP = [DEEP]"]
)
def test_containers_without_an_end_are_compared(statement: str) -> None:
    module = types.ModuleType("snapshot_module")
    exec(statement, vars(module))
    snapshot = Snapshot.of(module)
    assert list(snapshot.changes(module)) == []
    next(value for name, value in vars(module).items() if name in ("RING", "DEEP")).append(2)
    assert [path for path, _ in snapshot.changes(module)] in ([("RING",)], [("DEEP",)])


def test_imports_of_a_text_are_told_apart_by_whether_it_can_do_without() -> None:
    found = text.read(
        b"import a.b\nfrom . import c\nfrom ..d import e\n"
        b"try:\n    import f\nexcept ImportError:\n    import g\n"
        b"if x:\n    import h\nclass C:\n    import i\n    def m(self):\n        import j\n"
        b"with suppress(ImportError):\n    import k\nfor _ in x:\n    import l\n",
        "p.q.r",
        False,
    )
    needed = {each.name for each in found.imports if each.needed and each.certain}
    assert needed == {"a.b", "p.q", "p.d", "i", "l"}
    assert {each.name for each in found.imports if not each.needed} == {"f", "g", "h", "j", "k"}
    assert {each.name for each in found.imports if not each.certain} == {"p.q.c", "p.d.e"}


def test_a_text_that_does_not_parse_says_nothing() -> None:
    assert text.read(b"def (", "m", False).imports == ()


class TestData:
    @pytest.fixture
    def found(self, tmp_path: Path) -> Collected:
        folder = written(
            tmp_path / "shop",
            {"rates/eu.json": "{}", "rates/us.json": "{}", "rates/.env": "", "rates/a.pem": "", "rates/x.py": ""},
        )
        (folder / "rates" / "link.json").symlink_to(folder / "rates" / "eu.json")
        (folder / "linked").symlink_to(folder / "rates")
        return Collected(folders={"shop": (folder,)})

    def test_a_pattern_takes_files_below_a_package_and_no_secrets_and_no_links(self, found: Collected) -> None:
        both = {"shop/rates/eu.json", "shop/rates/us.json"}
        assert data_files.files_of(("shop/rates/*.json",), found).keys() == both
        assert data_files.files_of(("shop/rates/*", "shop/**/*"), found).keys() == both

    @pytest.mark.parametrize(
        "pattern",
        ["../x.json", "/etc/passwd", "shop/../x", "other/*.json", "*.json", "shop/rates/*.csv", "shop/linked/*"],
    )
    def test_one_that_leads_elsewhere_or_to_nothing_is_refused(self, found: Collected, pattern: str) -> None:
        with pytest.raises(SettingsError, match="data: "):
            data_files.files_of((pattern,), found)

    @pytest.mark.parametrize("init", [["__init__.py"], []])
    def test_data_of_a_package_that_this_program_does_not_use_is_left_out(
        self, found: Collected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, init: list[str]
    ) -> None:
        written(tmp_path, {f"unused_here/{name}": "" for name in ["a.py", "rates/eu.json", *init]})
        written(tmp_path, {"no_package/rates/eu.json": ""})
        monkeypatch.syspath_prepend(tmp_path)
        patterns = ("unused_here/rates/*.json", "shop/rates/eu.json")
        assert data_files.files_of(patterns, found).keys() == {"shop/rates/eu.json"}
        with pytest.raises(SettingsError, match="no_package"):
            data_files.files_of(("no_package/rates/*.json",), found)


class TestCulprit:
    @pytest.fixture
    def lab(self, tmp_path: Path) -> Lab:
        (tmp_path / "project").mkdir()
        return Lab(tmp_path, Attempt(tmp_path / "attempt"))

    @pytest.mark.parametrize(
        ("task", "way"),
        [
            ("def go(): return work('a')", "go → work → trace → request_id: 'request_id' of the script"),
            ("def go(x=LOCK): return x", "go → (a default value)"),
            ("def outer(lock):\n    def go(): return lock\n    return go\ngo = outer(LOCK)", "go → lock"),
            ("class A:\n    def m(self): return LOCK\ndef go(): return A().m()", "go → A → LOCK"),
        ],
    )
    def test_the_variable_is_named_with_the_way_to_it(self, lab: Lab, task: str, way: str) -> None:
        lab.send(
            f"""
import contextvars, threading
from podtask.payloads.code import UnpicklableTask
request_id = contextvars.ContextVar("request_id", default=None)
LOCK = threading.Lock()
def trace(msg): return f"{{request_id.get()}} {{msg}}"
def work(x): return trace(x)
{task}
try:
    send(go)
except UnpicklableTask as error:
    assert {way!r} in str(error), error
else:
    raise AssertionError("it travelled")
send(lambda: 1)
"""
        )

    def test_what_was_set_in_a_module_and_cannot_travel_is_named_once_and_the_module_keeps_its_own(
        self, lab: Lab
    ) -> None:
        written(lab.root / "project", {"conf.py": "CLIENT = None\ndef load(): return CLIENT is None\n"})
        met = lab.send("import conf, threading\nconf.CLIENT = threading.Lock()\nsend(lambda: conf.load())")
        assert met["stuck"] == ["conf.CLIENT"]
        assert lab.answer() is True

    def test_a_global_of_a_module_that_was_replaced_by_what_cannot_travel_is_no_longer_shared(self, lab: Lab) -> None:
        written(lab.root / "project", {"conf.py": "CLIENT = None\n"})
        lab.send(
            """
            import conf, threading
            from podtask.payloads.code import UnpicklableTask
            conf.CLIENT = CLIENT = threading.Lock()
            try:
                send(lambda: CLIENT)
            except UnpicklableTask as error:
                assert "'CLIENT' of the script is a _thread.lock" in str(error), error
            else:
                raise AssertionError("the pod has None there")
            send(lambda: 1)
            """
        )
