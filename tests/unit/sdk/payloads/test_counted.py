"""What a cache key is made of is what the pod has, or the result is not kept: globals computed at import."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.travel import Lab, written
from tests.unit.runner.harness import Attempt

CONF = """
    import enum, functools, logging, os, threading
    from dataclasses import dataclass
    from pathlib import Path

    MODE = os.environ.get("MODE", "home")
    SAME = "-".join(["a", "b"])
    RATE = 0.5
    HERE = Path(__file__).parent / "data"
    TEXT = os.path.dirname(os.path.abspath(__file__))
    WORDS = {word for word in "some words of a sentence".split()}
    DEEP = {"paths": [HERE], "mode": (1, [MODE])}
    LOG = logging.getLogger(__name__)
    LOCK = threading.Lock()

    class Settings:
        def __init__(self):
            self.mode = os.environ.get("MODE", "home")
            self.lock = None

    class Slotted:
        __slots__ = ("mode",)
        def __init__(self):
            self.mode = os.environ.get("MODE", "home")

    class Config:
        rate = 1
        mode = os.environ.get("MODE", "home")

    class Plain:
        rate = 1
        def total(self): return 1

    class Kind(enum.Enum):
        ONE = 1

    settings, slotted, plain = Settings(), Slotted(), Plain()
    REGISTRY = {"plain": Plain, "total": Plain.total}

    class Client:
        "Hashable, and cannot be pickled."
        def __init__(self): self.lock = threading.Lock()
        def __podtask_hash__(self): return "client"
"""
USED = {
    "MODE": ["conf.MODE"],
    "SAME": [],
    "RATE": [],
    "HERE": [],
    "TEXT": [],
    "WORDS": [],
    "DEEP": ["conf.DEEP"],
    "LOG": [],
    "settings": ["conf.settings"],
    "slotted": ["conf.slotted"],
    "plain": [],
    "Config": ["conf.Config"],
    "Plain": [],
    "Kind": [],
    "REGISTRY": [],
    "(MODE, SAME, Config)": ["conf.Config", "conf.MODE"],
}
SEND = """
import conf
from podtask import task_input_hash
def task():
    return repr({used})
{before}
send(task, cache_key_fn=task_input_hash)
"""


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path, Attempt(tmp_path / "attempt"))
    written(tmp_path / "project", {"conf.py": CONF})
    made.attempt.env["MODE"] = "pod"
    return made


def uncached(lab: Lab) -> str:
    ran = lab.run()
    assert ran.outcome.result is not None, ran.stderr
    return ran.outcome.result.uncached or ""


def named(why: str) -> list[str]:
    return sorted(word.strip(",") for word in why.split() if word.startswith(("conf.", "app.")))


@pytest.mark.parametrize("used", USED)
def test_a_global_that_is_another_one_in_the_pod_keeps_the_result_from_the_cache(used: str, lab: Lab) -> None:
    names = f"({used[1:-1]})".replace("MODE", "conf.MODE").replace("SAME", "conf.SAME").replace("Config", "conf.Config")
    lab.send(SEND.format(used=names if used.startswith("(") else f"conf.{used}", before=""))
    assert named(uncached(lab)) == USED[used]


def test_what_the_program_set_travels_and_is_the_same(lab: Lab) -> None:
    lab.send(SEND.format(used="(conf.MODE, conf.settings)", before="conf.MODE = 'set'; conf.settings.mode = 'set'"))
    assert uncached(lab) == ""


def test_what_was_changed_and_cannot_travel_is_never_the_same(lab: Lab) -> None:
    lab.send(SEND.format(used="conf.SAME", before="conf.SAME = conf.Client()"))
    assert named(uncached(lab)) == ["conf.SAME"]


def test_an_object_that_the_script_imported_is_that_of_its_module(lab: Lab) -> None:
    lab.send(SEND.format(used="settings", before="from conf import settings"))
    assert named(uncached(lab)) == ["conf.settings"]


def test_a_text_that_the_script_imported_travels(lab: Lab) -> None:
    lab.send(SEND.format(used="MODE", before="from conf import MODE"))
    assert uncached(lab) == ""


def test_modules_that_the_code_uses_far_away_count_as_well(lab: Lab) -> None:
    app = {
        "app/__init__.py": "from app.work import go",
        "app/work.py": "import conf\nfrom conf import MODE\ndef go(): return MODE, conf.slotted\n",
    }
    written(lab.root / "project", app)
    lab.send("from podtask import task_input_hash\nimport app\nsend(app.go, cache_key_fn=task_input_hash)")
    assert named(uncached(lab)) == ["app.work.MODE", "conf.slotted"]


@pytest.mark.parametrize("key", ["None", "lambda context, arguments: 'mine'"])
def test_a_key_that_is_not_made_of_the_code_asks_for_nothing(key: str, lab: Lab) -> None:
    lab.send(SEND.format(used="conf.MODE", before="").replace("cache_key_fn=task_input_hash", f"cache_key_fn={key}"))
    assert uncached(lab) == ""
    assert not (lab.root / "out" / "overlay").exists()


def test_the_task_changes_what_it_likes_itself(lab: Lab) -> None:
    lab.send(
        """
        import conf
        from podtask import task_input_hash
        def task():
            conf.WORDS.add("more")
        send(task, cache_key_fn=task_input_hash)
        """
    )
    assert uncached(lab) == ""
