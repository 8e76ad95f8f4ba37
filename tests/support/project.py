"""A project as people have them: a package with subpackages in a src layout, and a task that tells what it meets.

Settings, a registry, enums, slots, NewTypes, a lock, a logger, a ContextVar and a client at the top of modules,
relative and circular imports, a namespace package, a data file beside a module. `expected` is what plain Python
answers.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

FILES = {
    "src/acme/__init__.py": """
        from .settings import RATE

        __all__ = ["RATE"]
        """,
    "src/acme/settings.py": """
        import os
        from dataclasses import dataclass, field
        from pathlib import Path

        RATE = 0.1
        HERE = Path(__file__).parent
        LIMITS = {"rows": 10}


        class Config:
            debug = False


        @dataclass
        class Settings:
            region: str = "eu"
            tags: list = field(default_factory=list)


        settings = Settings()
        """,
    "src/acme/kinds.py": """
        import enum
        from dataclasses import dataclass
        from typing import NamedTuple, NewType

        UserId = NewType("UserId", int)


        class Colour(enum.Enum):
            RED = "r"
            ROT = "r"


        class Access(enum.IntFlag):
            READ = 1
            WRITE = 2
            BOTH = 3


        class Planet(enum.Enum):
            EARTH = (5.9e24, 6.3e6)

            def __init__(self, mass, radius):
                self.mass, self.radius = mass, radius


        @dataclass(slots=True, frozen=True)
        class Row:
            user: UserId
            price: float
            colour: Colour = Colour.RED


        class Pair(NamedTuple):
            left: int
            right: int
        """,
    "src/acme/registry.py": """
        JOBS = {}


        def job(fn):
            JOBS[fn.__name__] = fn
            return fn
        """,
    "src/acme/state.py": """
        import contextvars
        import functools
        import logging
        import threading

        LOCK = threading.Lock()
        LOG = logging.getLogger(__name__)
        REQUEST = contextvars.ContextVar("REQUEST", default="none")


        class Client:
            def __init__(self):
                self._lock = threading.RLock()

            def get(self, key):
                with self._lock:
                    return f"got {key}"


        CLIENT = Client()


        @functools.lru_cache
        def model():
            return object()
        """,
    "src/acme/left.py": """
        from acme import right


        def ping(n):
            return n if n <= 0 else right.pong(n - 1)
        """,
    "src/acme/right.py": """
        from acme import left


        def pong(n):
            return n if n <= 0 else left.ping(n - 1)
        """,
    "src/acme/jobs/__init__.py": """
        from . import extract, load

        __all__ = ["extract", "load"]
        """,
    "src/acme/jobs/extract.py": """
        import json

        from ..kinds import Row, UserId
        from ..registry import job
        from ..settings import HERE


        @job
        def rates():
            return json.loads((HERE / "rates" / "eu.json").read_text())


        @job
        def rows(n):
            return [Row(UserId(i), i * 1.5) for i in range(n)]
        """,
    "src/acme/jobs/load.py": """
        import threading
        from typing import TYPE_CHECKING

        from podtask import task

        from .. import settings
        from ..kinds import Pair

        if TYPE_CHECKING:
            import no_such_package_for_types

        LOCK = threading.Lock()
        SEEN = []


        @task
        def total(rows, extra: "no_such_package_for_types.Thing" = 0):
            with LOCK:
                SEEN.append(len(rows))
                return Pair(len(SEEN), sum(row.price for row in rows) * settings.RATE + extra)
        """,
    "src/acme_plugins/one.py": """
        def name():
            return __name__
        """,
    "src/acme/rates/eu.json": '{"vat": 0.2}\n',
    "src/acme/flows.py": """
        import inspect
        import json
        import pickle
        import sys
        from importlib import import_module

        from podtask import flow, task

        from acme import kinds, left, settings, state
        from acme.jobs import extract, load
        from acme.registry import JOBS
        from acme.settings import LIMITS
        from acme.state import LOCK, REQUEST


        @task
        def facts():
            red = kinds.Row(kinds.UserId(1), 2.0)
            with LOCK:
                return {
                    "rate": settings.RATE,
                    "limits": LIMITS,
                    "shared": LIMITS is settings.LIMITS,
                    "region": settings.settings.region,
                    "debug": settings.Config.debug,
                    "vat": extract.rates()["vat"],
                    "jobs": sorted(JOBS),
                    "client": state.CLIENT.get("x"),
                    "request": REQUEST.get(),
                    "one model": state.model() is state.model(),
                    "circle": left.ping(3),
                    "plugin": import_module("acme_plugins.one").name(),
                    "colour": pickle.loads(pickle.dumps(red)).colour is kinds.Colour.RED,
                    "access": kinds.Access(3) is kinds.Access.BOTH,
                    "source": inspect.getsource(left.ping).splitlines()[0],
                    "slots": not hasattr(red, "__dict__"),
                    "name": state.LOG.name,
                }


        @task
        def rows(n):
            return extract.rows(n)


        @task
        def planet():
            return kinds.Planet.EARTH, kinds.Colour.ROT, kinds.Access.READ | kinds.Access.WRITE


        @flow
        def report(region: str = "us"):
            from acme_plugins import one

            settings.RATE = 0.5
            settings.LIMITS["rows"] = 20
            settings.settings.region = region
            settings.Config.debug = True
            found = rows(3)
            planets = planet().result()
            answer = facts().result()
            answer["total"] = list(load.total(found).result())
            answer["own rows"] = all(type(row) is kinds.Row for row in found.result())
            answer["own planet"] = planets[0] is kinds.Planet.EARTH and planets[2] is kinds.Access.BOTH
            answer["own pair"] = isinstance(load.total([], 1).result(), kinds.Pair)
            return answer


        if __name__ == "__main__":
            print("REPORT " + json.dumps(report(*sys.argv[1:])))
        """,
    "run.py": """
        import json
        import sys

        from acme.flows import report

        print("REPORT " + json.dumps(report(*sys.argv[1:])))
        """,
    "checks/test_report.py": """
        import json

        from acme.flows import report


        def test_report():
            print("REPORT " + json.dumps(report()))
        """,
    "pyproject.toml": """
        [tool.podtask]
        data = "acme/rates/*.json"

        [tool.pytest.ini_options]
        pythonpath = ["src"]
        """,
}


def expected(region: str = "us") -> dict[str, Any]:
    """What the flow answers, wherever its tasks run."""
    return {
        "rate": 0.5,
        "limits": {"rows": 20},
        "shared": True,
        "region": region,
        "debug": True,
        "vat": 0.2,
        "jobs": ["rates", "rows"],
        "client": "got x",
        "request": "none",
        "one model": True,
        "circle": 0,
        "plugin": "acme_plugins.one",
        "colour": True,
        "access": True,
        "source": "def ping(n):",
        "slots": True,
        "name": "acme.state",
        "total": [1, 2.25],
        "own rows": True,
        "own planet": True,
        "own pair": True,
    }


def write(folder: Path) -> Path:
    """The project, in a folder."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip())
    return folder
