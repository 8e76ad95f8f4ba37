"""Code that arrives whole: packed in one fresh process, executed by the real runner in another that has no project.

The driver and the pod: `tests.support.travel`. What the bundle does to a project: `test_project_travels`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tests.support.travel import SDK, Lab, written
from tests.unit.runner.harness import Attempt

from podtask import Task
from podtask.payloads.module_policy import ModulePolicy, policy_of
from podtask_runner.hashing import usage
from podtask_runner.protocol import Verdict
from podtask_runner.serialization import pickling

SHOP = {
    "shop/__init__.py": "RATE = 2\n",
    "shop/models.py": """
        from dataclasses import dataclass
        from enum import Enum
        from typing import Generic, TypeVar

        T = TypeVar("T")

        class Colour(Enum):
            RED = 1

        class Base:
            def double(self):
                return 2 * self.price

        @dataclass
        class Order(Base):
            price: int
            colour: Colour = Colour.RED

            def double(self):
                return super().double() + 1

        class Box(Generic[T]):
            def __init__(self, item: T) -> None:
                self.item = item
        """,
    "shop/rates.py": """
        import functools
        from shop import RATE

        @functools.cache
        def rate(n):
            return RATE * n
        """,
    "shop/etl.py": """
        import functools
        import math
        from shop import RATE, models, rates
        from shop.models import Order

        def total(orders):
            return sum(order.double() for order in orders) + rates.rate(10) + math.floor(models.Order(1).price)

        @functools.singledispatch
        def area(shape):
            return 0

        @area.register
        def _(shape: int):
            return RATE * shape

        @area.register
        def _(shape: list):
            return sum(area(each) for each in shape)

        def late(n):
            from shop.deep import helper
            from .deep.other import more
            return helper(n) + more(n)

        def prepared():
            try:
                import no_such_accelerator
            except ImportError:
                return "slowly"

        def makes(n):
            return models.Box(Order(n))
        """,
    "shop/deep/__init__.py": "import shop.deep.other\n",
    "shop/deep/helper.py": "",
    "shop/deep/other.py": """
        import shop

        def more(n):
            return n + shop.RATE
        """,
}
SHOP["shop/deep/__init__.py"] = """
    from shop.deep import other

    def helper(n):
        return 100 * n + other.more(0)
    """
del SHOP["shop/deep/helper.py"]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    written(tmp_path / "project", SHOP)
    return Lab(tmp_path, Attempt(tmp_path / "attempt"))


class TestOwnModules:
    def test_a_package_of_the_working_directory_arrives_with_all_it_uses(self, lab: Lab) -> None:
        met = lab.send("from shop import etl, models\nsend(etl.total, [models.Order(5), models.Order(6)])")
        assert lab.run().result.value == str(11 + 13 + 20 + 1)
        assert "shop" not in {name.partition(".")[0] for name in met["by_name"]}

    def test_so_does_one_that_is_installed_editable(self, lab: Lab) -> None:
        lab.path = (lab.root / "elsewhere" / "src",)  # what the .pth file of an editable install adds to sys.path
        written(lab.path[0], {"tools/__init__.py": "", "tools/maths.py": "def triple(n):\n    return 3 * n\n"})
        lab.send("from tools.maths import triple\nsend(lambda n: triple(n), 4)", cwd=lab.root)
        assert lab.run().result.value == "12"

    def test_a_function_that_dispatches_by_type_arrives_with_all_it_calls(self, lab: Lab) -> None:
        lab.send("from shop import etl\netl.area([1])\nsend(lambda x: [etl.area(x), etl.area.__name__], [1, [2, 3.5]])")
        assert lab.run().result.value == '[6,"area"]'

    def test_imports_inside_of_functions_find_their_modules(self, lab: Lab) -> None:
        lab.send("from shop import etl\nsend(etl.late, 3)")
        assert lab.run().result.value == str(300 + 2 + 3 + 2)

    def test_what_looks_a_class_up_by_its_modules_name_finds_it_where_the_function_imports_that(self, lab: Lab) -> None:
        lab.send(
            """
            from shop import models
            def looks_up(order):
                import pickle, typing
                import shop.models
                hints = typing.get_type_hints(shop.models.Order)
                return [pickle.loads(pickle.dumps(order)).double(), sorted(hints)]
            send(looks_up, models.Order(3))
            """
        )
        assert lab.run().result.value == '[7,["colour","price"]]'

    def test_a_function_that_is_prepared_for_an_absent_module_goes_its_other_way(self, lab: Lab) -> None:
        met = lab.send("from shop import etl\nsend(etl.prepared)")
        assert lab.run().result.value == '"slowly"'
        assert met["imported"] == ["no_such_accelerator"]

    def test_what_comes_back_to_its_driver_is_of_the_drivers_class(self, lab: Lab) -> None:
        script = """
            from shop import etl, models
            packing = ModulePolicy().packing()
            sent = dumps(models.Order(2), packing=packing)
            assert type(loads(sent)) is models.Order
            send(etl.makes, 3)
            """
        lab.send(script)

    def test_the_image_may_have_them_instead(self, lab: Lab) -> None:
        met = lab.send("from shop import etl\nsend(etl.makes, 3, exclude=('shop',))")
        assert "shop.etl" in met["by_name"]
        ran = lab.run()
        assert ran.outcome.outcome is Verdict.ENVIRONMENT_MISMATCH
        assert "'shop'" in ran.error.message
        lab.attempt.env["PYTHONPATH"] = os.pathsep.join([SDK, str(lab.root / "project")])
        lab.attempt.root = lab.root / "with-the-project"
        assert lab.run().outcome.outcome is Verdict.COMPLETED

    def test_an_installed_package_travels_when_it_is_included(self, lab: Lab) -> None:
        lab.path = (lab.root / "site-packages",)
        written(lab.path[0], {"slug/__init__.py": "from slug.core import slug\n"})
        written(lab.path[0], {"slug/core.py": "import re\n\ndef slug(text):\n    return re.sub(' +', '-', text)\n"})
        script = "from slug import slug\nsend(lambda text: slug(text), 'a  b'{options})"
        assert "slug.core" in lab.send(script.format(options=""))["by_name"]
        assert lab.run().outcome.outcome is Verdict.ENVIRONMENT_MISMATCH
        lab.send(script.format(options=", include=('slug',)"))
        lab.attempt.root = lab.root / "second"
        assert lab.run().result.value == '"a-b"'


class TestMain:
    def test_functions_classes_and_closures_of_the_script_arrive(self, lab: Lab) -> None:
        lab.send(
            """
            class Point:
                def __init__(self, x): self.x = x
            def outer(k):
                def inner(p): return p.x * k + helper()
                return inner
            def helper(): return 1
            send(outer(3), Point(4))
            """
        )
        assert lab.run().result.value == "13"

    def test_so_do_classes_with_cached_properties(self, lab: Lab) -> None:
        lab.send(
            """
            import functools
            class Point:
                def __init__(self, x): self.x = x
                @functools.cached_property
                def double(self): return self.x * 2
            send(lambda p: [p.double, Point(5).double], Point(4))
            """
        )
        assert lab.run().result.value == "[8,10]"

    def test_so_do_those_of_a_notebook(self, lab: Lab) -> None:
        """Cells are executed in `__main__` one after the other, their text known to `linecache` only."""
        lab.send(
            """
            import linecache
            cells = ["from shop.etl import total", "def cell(orders):\\n    return total(orders) + late", "late = 1"]
            for number, text in enumerate(cells):
                name = f"<ipython-input-{number}>"
                linecache.cache[name] = (len(text), None, text.splitlines(True), name)
                exec(compile(text, name, "exec"), globals())
            from shop.models import Order
            send(cell, [Order(5)])
            """
        )
        assert lab.run().result.value == str(11 + 20 + 1 + 1)

    def test_cloudpickles_registry_is_as_it_was_before(self, lab: Lab) -> None:
        lab.send(
            """
            import cloudpickle
            from shop import etl, models
            cloudpickle.register_pickle_by_value(models)
            send(etl.late, 3)
            assert cloudpickle.list_registry_pickle_by_value() == {"shop.models"}
            """
        )


def test_the_same_code_is_the_same_payload_in_two_processes(lab: Lab) -> None:
    """Content-addressed: a second driver uploads nothing anew. (Classes get a new identity in every process.)"""
    seen = set()
    for seed in ("1", "2"):
        lab.send("from shop.rates import rate\nsend(lambda n: rate(n) + 1, 3)", PYTHONHASHSEED=seed)
        seen.add((lab.root / "out" / "code").read_bytes())
    assert len(seen) == 1


def test_options_and_settings_are_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODTASK_INCLUDE", "slug, shop.etl")
    monkeypatch.setenv("PODTASK_EXCLUDE", "numpy")
    task = Task(len, include=["tools"], exclude=["shop"])
    assert policy_of(task) == ModulePolicy(("tools", "slug", "shop.etl"), ("shop", "numpy"))


@pytest.mark.parametrize(
    ("policy", "name", "travels"),
    [
        pytest.param(ModulePolicy(), "json", False, id="the standard library stays"),
        pytest.param(ModulePolicy(), "_thread", False, id="built-in modules stay"),
        pytest.param(ModulePolicy(), "numpy.linalg", False, id="installed packages stay"),
        pytest.param(ModulePolicy(), "podtask.states", False, id="podtask stays"),
        pytest.param(ModulePolicy(), __name__, True, id="a module of this project travels"),
        pytest.param(ModulePolicy(("numpy",)), "numpy.linalg", True, id="what is included travels, with all inside"),
        pytest.param(ModulePolicy((), (__name__,)), __name__, False, id="what is excluded stays"),
        pytest.param(ModulePolicy((__name__,), ("tests",)), __name__, False, id="excluded wins over included"),
        pytest.param(ModulePolicy(("num",)), "numpy", False, id="a package is not every name that begins alike"),
    ],
)
def test_which_modules_travel(policy: ModulePolicy, name: str, travels: bool) -> None:
    assert policy.travels(name) is travels


@pytest.mark.parametrize("value", ["shop", ["shop etl"], [3], [""]], ids=str)
def test_names_that_are_none_are_refused_with_the_option(value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="include"):
        Task(len, include=value)


def imports_of(text: str) -> set[str]:
    codes = usage.all_codes(compile(text, "text", "exec"))
    return {name for code in codes for name in usage.imports(code, {"__package__": "here.there"})}


def test_imports_of_code_are_absolute() -> None:
    text = "import a.b\nfrom c import d\nfrom e import *\ndef inner():\n    from . import f\n    from ..g import h\n"
    names = imports_of(text)
    assert names == {"a.b", "c", "c.d", "e", "here.there", "here.there.f", "here.g", "here.g.h"}


def test_imports_are_found_in_code_with_more_names_than_a_byte_counts() -> None:
    names = "\n".join(f"    n{number} = 'text {number}'; m{number}.a{number}" for number in range(300))
    text = f"def many():\n{names}\n    import a.b\n    from .c import d\n    from .. import e\n"
    assert imports_of(text) == {*("a.b", "here.there.c", "here.there.c.d", "here", "here.e")}


def test_what_an_argument_needs_is_known() -> None:
    import numpy as np

    packing = ModulePolicy().packing()
    pickling.dumps(([np.arange(3)], {}), packing=packing)
    assert "numpy" in {name.partition(".")[0] for name in packing.by_name}
