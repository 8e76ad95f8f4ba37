"""One catalogue says what a reason means and what to do; no cure anywhere sends people to what does not exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from podtask.core import crd, crd_flow_run, crd_warm_pool
from podtask.core.api.names import Reason
from podtask.core.api.reasons import CATALOGUE, Budget, ReasonScope, budget_of, cure_of, entry_of, meaning_of
from podtask.core.api.symptoms import ADMISSION, CONTAINER_WAITS, ENDED_BY_KUBELET, POD_EVENTS, TARGETED
from podtask_operator.pod_template import template
from podtask_runner.process import verdicts

TOP = Path(__file__).parents[5]
PACKAGES = ("sdk/podtask", "operator/podtask_operator", "runner-image/podtask_runner")
VALUES = yaml.safe_load((TOP / "charts/podtask/values.yaml").read_text())
_MENTIONED = re.compile(r"(?<![\w./])(spec|status)((?:\.[a-zA-Z]+(?:\[\])?)+)")
_RESOURCES = re.compile(r"(?<![\w.])resources\.\w+")
_CHART = re.compile(r"(?<![\w.])(store|runner|taskDefaults|limits|operator)((?:\.[a-zA-Z]+)+)")
OF_A_POD = {".activeDeadlineSeconds", ".containers", ".nodeName", ".schedulingGates", ".ownerReferences"}
"""Fields of a pod's spec that a sentence may name."""


def test_every_reason_is_in_the_catalogue_and_nothing_else() -> None:
    assert set(CATALOGUE) == set(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_an_entry_is_made_of_whole_sentences(reason: Reason) -> None:
    entry = CATALOGUE[reason]
    for text in filter(None, (entry.meaning, entry.cure, entry.chart)):
        assert text[0].isupper() or text.startswith(("spec.", "kubectl "))
        assert text.endswith(".")
    assert entry.budget is Budget.NONE or entry.place is ReasonScope.END


def test_a_reason_of_a_newer_version_is_no_error() -> None:
    newer = Reason("HeldByTheMoon")
    assert entry_of(newer).meaning == meaning_of(newer) == "This version of podtask does not know the reason."
    assert cure_of(newer) is None
    assert budget_of(newer) is Budget.NONE


@pytest.mark.parametrize("word", [*CONTAINER_WAITS, *POD_EVENTS, *ADMISSION])
def test_every_word_of_kubernetes_about_a_pod_that_waits_has_a_cure(word: str) -> None:
    symptom = {**CONTAINER_WAITS, **POD_EVENTS, **ADMISSION}[word]
    assert symptom.cure is not None
    assert symptom.cure.endswith(".")
    assert entry_of(symptom.reason).place is ReasonScope.PENDING


@pytest.mark.parametrize("reason", sorted({*TARGETED.values(), *ENDED_BY_KUBELET.values()}))
def test_what_ends_a_pod_costs_a_disruption(reason: Reason) -> None:
    assert budget_of(reason) is Budget.DISRUPTION


def texts() -> Iterator[tuple[str, str]]:
    """Every text in the code of the three packages, docstrings included, and where it is."""
    for package in PACKAGES:
        for path in sorted((TOP / package).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
                    yield f"{path.relative_to(TOP)}:{node.lineno}", node.value


DEFINITIONS = (crd.crd(), crd_flow_run.flow_run_crd(), crd_warm_pool.warm_pool_crd())


def known(part: str, dotted: str) -> bool:
    return any(in_schema(definition, part, dotted) for definition in DEFINITIONS)


def in_schema(definition: Any, part: str, dotted: str) -> bool:
    """Whether the CRD has such a field; below podTemplate, whether the template may."""
    node: Any = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][part]
    steps = dotted.removeprefix(".").split(".")
    for depth, step in enumerate(steps):
        name = step.removesuffix("[]")
        if "properties" not in node:
            return steps[depth - 1] != "podTemplate" or f'"{name}"' in Path(template.__file__).read_text()
        if name not in node["properties"]:
            return False
        node = node["properties"][name]
        node = node["items"] if step.endswith("[]") else node
    return True


def test_no_text_names_a_field_that_no_object_of_ours_has() -> None:
    wrong, met = [], 0
    for where, text in texts():
        for part, dotted in _MENTIONED.findall(text):
            met += 1
            if not known(part, dotted) and dotted not in OF_A_POD:
                wrong.append(f"{where}: {part}{dotted}")
    assert met > 100
    assert wrong == []


def test_memory_is_raised_where_it_is() -> None:
    """`resources.memory` is no field: limits and requests are."""
    wrong = [
        f"{where}: {name}"
        for where, text in texts()
        for name in _RESOURCES.findall(text)
        if name not in ("resources.limits", "resources.requests")
    ]
    assert wrong == []


def test_the_administrator_is_sent_to_values_that_the_chart_has() -> None:
    met = 0
    for entry in CATALOGUE.values():
        for head, rest in _CHART.findall(entry.chart or ""):
            node: Any = VALUES[head]
            for step in rest.removeprefix(".").split("."):
                assert step in node, f"{head}{rest}"
                node = node[step]
                met += 1
    assert met >= 3


def test_the_runner_does_not_promise_what_only_the_operator_decides() -> None:
    """Who sent SIGTERM, and whether another attempt follows, is not known inside of a pod."""
    outcome = verdicts.judge(verdicts.ChildExit(None, interrupted=True))
    assert outcome.error is not None
    assert outcome.error.cure is None
