"""Runs the scenarios on podtask's local backend, once per session, beside what was recorded of prefect 2.0b5."""

from __future__ import annotations

import functools
import json
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

from tests.differential.scenarios import all_scenarios
from tests.differential.sides import ours
from tests.differential.table import Fact, facts
from tests.differential.tracing import Trace, leaves

from podtask import backends
from podtask.backends.local import LocalBackend

RECORDED = Path(__file__).parent / "recorded"
SECTIONS = all_scenarios()
NAMES = [f"{section}.{name}" for section, scenarios in SECTIONS.items() for name in scenarios]


@functools.cache
def recorded(section: str) -> dict[str, Any]:
    """What prefect 2.0b5 did in the scenarios of this section."""
    path = RECORDED / f"{section}.json"
    return json.loads(path.read_text()) if path.exists() else {}


@functools.cache
def compared(name: str) -> tuple[Fact, ...]:
    """Where podtask does something else in this scenario."""
    section, scenario = name.split(".")
    beta = recorded(section).get(scenario)
    assert beta is not None, f"'{name}' is not recorded yet: run 'make differential'"
    return tuple(facts(name, leaves(beta), leaves(json.loads(json.dumps(_ours(section, scenario))))))


def _ours(section: str, scenario: str) -> dict[str, Any]:
    """The trace of the local backend, with a store of its own."""
    submit = LocalBackend.submit

    def noted(self: LocalBackend, run: Any) -> None:
        ours.submitted.append(run)
        submit(self, run)

    with tempfile.TemporaryDirectory() as home, warnings.catch_warnings():
        given = {"PODTASK_BACKEND": "local", "PODTASK_HOME": home}
        with mock.patch.dict(os.environ, given), mock.patch.object(LocalBackend, "submit", noted):
            ours.submitted.clear()
            trace = Trace(ours)
            SECTIONS[section][scenario](ours, trace)
            backends.get().close()
    return trace.as_data()
