"""A module that another thread is importing is none that is here: it stands in sys.modules, and lacks names."""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
import threading
from pathlib import Path

import pytest

from podtask import flow, task
from podtask.support.containers import has_fields
from podtask_runner.hashing.content_hash import content_hash
from podtask_runner.loaded_modules import loaded

SLOW = """
import threading
begun, go_on = threading.Event(), threading.Event()
begun.set()
assert go_on.wait(60)
late = 1
"""


def test_a_module_counts_once_it_was_imported_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_to_import.py").write_text(SLOW)
    monkeypatch.syspath_prepend(tmp_path)
    assert loaded("slow_to_import") is None
    importing = threading.Thread(target=importlib.import_module, args=("slow_to_import",))
    importing.start()
    try:
        while "slow_to_import" not in sys.modules or not hasattr(sys.modules["slow_to_import"], "go_on"):
            importing.join(0.01)
        assert sys.modules["slow_to_import"].begun.wait(60)
        assert loaded("slow_to_import") is None
    finally:
        sys.modules["slow_to_import"].go_on.set()
        importing.join(60)
    assert loaded("slow_to_import").late == 1
    del sys.modules["slow_to_import"]


@pytest.mark.parametrize("name", ["podtask_runner.attempt.context", "pydantic", "decimal", "enum"])
def test_a_call_beside_an_import_in_another_thread_goes_on(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = type(sys)(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    module.__spec__._initializing = True  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, name, module)

    @task
    def one(x: object) -> object:
        return x

    @flow(validate_parameters=False)
    def calling() -> object:
        return one([1, 2]).result()

    assert calling() == [1, 2]
    assert not has_fields(type("Plain", (), {})())
    assert content_hash([1, 2.5]) == content_hash([1, 2.5])
