"""A project in a pod is what it is at home: its modules are files there, imported by name (`tests.support.travel`)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from tests.support import project
from tests.support.travel import Lab, written
from tests.unit.runner.harness import Attempt

from podtask_runner.protocol import Verdict


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A driver whose project stands in `src`; the runner has nothing of it."""
    (tmp_path / "project").mkdir()
    return Lab(tmp_path, Attempt(tmp_path / "attempt"))


def test_a_whole_project_is_itself_in_a_pod(lab: Lab) -> None:
    project.write(lab.root / "project")
    lab.path = (lab.root / "project" / "src",)
    lab.send(
        """
        from acme import flows, settings
        from acme_plugins import one
        settings.RATE = 0.5
        settings.LIMITS["rows"] = 20
        settings.settings.region = "us"
        settings.Config.debug = True
        send(flows.facts)
        """
    )
    wanted = project.expected()
    for of_the_flow in ("total", "own rows", "own planet", "own pair"):
        del wanted[of_the_flow]
    assert lab.answer() == wanted


def test_what_a_module_makes_for_itself_it_makes_in_the_pod(lab: Lab) -> None:
    """Paths, locks, clients and the environment are the pod's; what the program set is the program's."""
    written(
        lab.root / "project",
        {
            "conf.py": """
                import os, threading, contextvars
                HERE = os.path.dirname(__file__)
                MODE = os.environ.get("MODE", "none")
                LOCK = threading.Lock()
                VAR = contextvars.ContextVar("VAR", default=1)
                RATE = 0.1
                NAMES = ["a"]
                def add(name, into=NAMES):
                    into.append(name)
                    return NAMES
                """
        },
    )
    lab.attempt.env["MODE"] = "pod"
    met = lab.send(
        """
        import conf
        from conf import LOCK, NAMES, VAR
        conf.RATE = 0.5
        NAMES.append("b")
        def task():
            with LOCK:
                names = conf.add("c")
            return [conf.MODE, conf.RATE, names, names is NAMES, VAR.get(), conf.HERE]
        send(task)
        """,
        MODE="driver",
    )
    *found, here = lab.answer()
    assert found == ["pod", 0.5, ["a", "b", "c"], True, 1]
    assert not here.startswith(str(lab.root / "project"))
    assert met["stuck"] == []


@pytest.mark.parametrize("first", ["podtask", "conf"])
def test_settings_changed_at_run_time_arrive_whoever_was_imported_first(lab: Lab, first: str) -> None:
    """A module that was imported before podtask is compared with its text, any other with what it was."""
    written(
        lab.root / "project",
        {
            "conf.py": """
                from dataclasses import dataclass
                RATE = 0.1
                TABLE = {"a": 1}
                @dataclass
                class Plan:
                    size: int = 1
                class Settings:
                    debug = False
                S = Settings()
                P = Plan(2)
                def load(): return "loaded"
                def loads(): return load()
                """
        },
    )
    if first == "conf":
        lab.before = "import conf\n"
    lab.send(
        """
        import conf
        conf.RATE, conf.TABLE["b"], conf.S.debug, conf.Settings.debug, conf.P.size = 0.5, 2, "s", "c", 3
        conf.load = lambda: "fake"
        def task():
            import conf as c
            return [c.RATE, c.TABLE, c.S.debug, c.Settings.debug, c.P.size, c.loads()]
        send(task)
        """
    )
    assert lab.answer() == [0.5, {"a": 1, "b": 2}, "s", "c", 3, "fake"]


def test_a_decorated_function_beside_a_lock_is_named_by_its_path(lab: Lab) -> None:
    written(
        lab.root / "project",
        {
            "etl.py": """
                import functools, threading
                from podtask import task
                LOCK = threading.Lock()
                CALLS = []
                def noted(fn):
                    @functools.wraps(fn)
                    def inner(*args):
                        CALLS.append(fn.__name__)
                        return fn(*args)
                    return inner
                @task
                @noted
                def load(n):
                    with LOCK:
                        return [n + 1, CALLS]
                OPS = {n: (lambda x, n=n: x * n + len(CALLS)) for n in (2, 3)}
                def outer(k):
                    def inner(x):
                        CALLS.append(k)
                        return [x + k, CALLS]
                    return inner
                """
        },
    )
    lab.send("import etl\nsend(etl.load, 1)")
    assert lab.answer() == [2, ["load"]]
    lab.again("second").send("import etl\nop = etl.OPS[3]\nsend(lambda x: op(x), 2)")
    assert lab.answer() == 6
    lab.again("third").send(
        "import etl\nf = etl.outer(10)\nsend(lambda x: [*f(x), f(x)[1] is etl.CALLS], 1)".replace(
            "f(x)[1] is etl.CALLS", "etl.CALLS is f(x)[1]"
        )
    )
    assert lab.answer() == [11, [10, 10], True]


def test_a_registry_that_other_modules_fill_is_full_without_their_import(lab: Lab) -> None:
    written(
        lab.root / "project",
        {
            "reg/__init__.py": "JOBS = {}\ndef job(fn):\n    JOBS[fn.__name__] = fn\n    return fn\n",
            "reg/one.py": "from reg import job\n@job\ndef first(): return 1\n",
            "reg/two.py": "from reg import job\n@job\ndef second(): return 2\n",
        },
    )
    lab.send("import reg, reg.one, reg.two\nsend(lambda: [reg.JOBS[n]() for n in sorted(reg.JOBS)])")
    assert lab.answer() == [1, 2]


def test_a_file_that_is_edited_while_the_driver_runs_changes_nothing(lab: Lab) -> None:
    written(lab.root / "project", {"etl.py": "def load(): return 'old'\n"})
    lab.send(
        """
        import pathlib, etl
        pathlib.Path(etl.__file__).write_text("def load(): return 'new'\\n")
        send(lambda: etl.load(), at_home=True)
        """
    )
    assert lab.answer() == "old"


def test_one_edited_between_its_import_and_that_of_podtask_is_refused_with_its_name(lab: Lab) -> None:
    written(lab.root / "project", {"etl.py": "def load(): return 'old'\n"})
    lab.before = "import etl, pathlib\npathlib.Path(etl.__file__).write_text(\"def load(): return 'new'\\n\")\n"
    lab.send(
        """
        from podtask.payloads.code import ModuleChanged
        try:
            send(lambda: etl.load())
        except ModuleChanged as error:
            assert "'etl'" in str(error) and "etl.py" in str(error), error
        else:
            raise AssertionError("other code under the same key")
        send(lambda: 1)
        """
    )


def test_an_import_that_fails_in_the_pod_is_told_with_its_module_and_line(lab: Lab) -> None:
    written(
        lab.root / "project",
        {"db.py": "import os\n\nKEY = os.environ['DB_KEY']\n", "etl.py": "import db\ndef load(): return db.KEY\n"},
    )
    lab.send("import etl\nsend(lambda: etl.load())", DB_KEY="secret")
    ran = lab.run()
    assert ran.outcome.outcome is Verdict.FAILED
    assert ran.error.type == "KeyError"
    assert "module 'db', line 3" in ran.stdout
    assert "env=" in ran.stdout


def test_a_module_of_the_project_hides_an_older_copy_in_the_image(lab: Lab) -> None:
    written(lab.root / "project", {"shop/__init__.py": "", "shop/etl.py": "def load(): return 'project'\n"})
    image = written(lab.root / "image", {"shop/__init__.py": "", "shop/etl.py": "def load(): return 'image'\n"})
    lab.attempt.env["PYTHONPATH"] = f"{lab.attempt_path()}:{image}"
    lab.send("from shop import etl\nsend(lambda: etl.load())")
    assert lab.answer() == "project"


def test_what_is_excluded_below_a_package_of_the_project_comes_from_the_image(lab: Lab) -> None:
    files = {"shop/__init__.py": "", "shop/etl.py": "from shop import legacy\ndef load(): return legacy.NAME\n"}
    written(lab.root / "project", {**files, "shop/legacy.py": "NAME = 'project'\n"})
    image = written(lab.root / "image", {"shop/__init__.py": "", "shop/legacy.py": "NAME = 'image'\n"})
    lab.attempt.env["PYTHONPATH"] = f"{lab.attempt_path()}:{image}"
    lab.send("from shop import etl\nsend(lambda: etl.load(), exclude=('shop.legacy',))")
    assert lab.answer() == "image"


def test_the_version_of_an_editable_project_is_there(lab: Lab) -> None:
    source = written(
        lab.root / "src" / "src",
        {"tool/__init__.py": "from importlib.metadata import version\n__version__ = version('the-tool')\n"},
    )
    site = written(
        lab.root / "site-packages",
        {
            "the_tool-1.2.dist-info/METADATA": "Metadata-Version: 2.1\nName: the-tool\nVersion: 1.2\n",
            "the_tool-1.2.dist-info/direct_url.json": f'{{"url": "{(lab.root / "src").as_uri()}", '
            '"dir_info": {"editable": true}}',
        },
    )
    lab.path = (source, site)
    lab.send("import tool\nsend(lambda: tool.__version__)")
    assert lab.answer() == "1.2"


def test_a_branch_that_the_driver_did_not_take_is_there_for_the_pod(lab: Lab) -> None:
    written(
        lab.root / "project",
        {
            "os_tools/__init__.py": """
                import os
                if os.environ.get("MODE") == "pod":
                    from . import _pod as chosen
                else:
                    from . import _driver as chosen
                """,
            "os_tools/_pod.py": "NAME = 'pod'\n",
            "os_tools/_driver.py": "NAME = 'driver'\n",
        },
    )
    lab.attempt.env["MODE"] = "pod"
    lab.send("import os_tools\nsend(lambda: os_tools.chosen.NAME)", MODE="driver")
    assert lab.answer() == "pod"


def test_a_driver_in_a_pod_passes_on_the_bundle_that_it_was_started_with(lab: Lab) -> None:
    written(lab.root / "project", {"etl.py": "def load(): return 1\n", "other.py": "import etl\n"})
    lab.send(
        """
        import etl, other
        def inside():
            from podtask import Task
            from podtask.payloads.module_policy import policy_of
            bundle = policy_of(Task(etl.load)).project().bundle()
            return [bundle.digest, sorted(bundle.collected.sources)]
        send(inside)
        """
    )
    digest, loaded = lab.answer()
    assert digest == hashlib.sha256((lab.root / "out" / "bundle").read_bytes()).hexdigest()
    assert loaded == ["etl"]


def test_classes_of_the_script_among_arguments_come_with_the_code(lab: Lab) -> None:
    """Also of a call that names them only: members, subclasses, local classes, functions."""
    (lab.root / "project").mkdir(exist_ok=True)
    lab.send(
        """
        import dataclasses, enum
        class Base:
            seen = []
            def __init_subclass__(cls):
                Base.seen.append(cls.__name__)
        class Kid(Base):
            def __init__(self, x): self.x = x
            def again(self): return Kid(self.x + 1)
        @dataclasses.dataclass(slots=True)
        class Row:
            x: int
        class Colour(enum.Enum):
            RED = 1
        def local():
            class Local:
                x = 7
            return Local()
        def double(n):
            return 2 * n
        def task(kid, rows, colour, own, fn):
            same = type(rows[0]) is type(rows[1]) and rows[0] is rows[2]
            return [kid.again().x, type(kid).seen, same, colour.name, own.x, fn(4), type(kid).__module__]
        row = Row(1)
        send(task, Kid(1), [row, Row(2), row], Colour.RED, local(), double)
        """
    )
    assert b"__init_subclass__" not in (lab.root / "out" / "inputs").read_bytes()
    assert lab.answer() == [2, ["Kid"], True, "RED", 7, 8, "__main__"]


def test_a_class_that_the_code_and_an_argument_have_is_one_class(lab: Lab) -> None:
    (lab.root / "project").mkdir(exist_ok=True)
    lab.send(
        """
        class A:
            made = []
            def __init__(self, v): self.v = v; A.made.append(v)
        D = A("default")
        def h(v): return v + len(A.made)
        def task(a, fn, d=D):
            A("new")
            return [type(a) is A, type(d) is A, A.made, type(a).made is A.made, fn(1), fn is h]
        send(task, A("arg"), h)
        """
    )
    assert lab.answer() == [True, True, ["default", "arg", "new"], True, 4, True]
