"""Which attempts may run in an idle pod: the same pod but for identity, and nothing that is as old as the pod."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.builders import PINNED, SETTINGS, run

from podtask.core.api import names
from podtask_operator.pods.waiting import KUEUE_QUEUE
from podtask_operator.warm_pods import fit
from podtask_operator.warm_pods.fit import RULES, fingerprint, unfit
from podtask_operator.warm_pods.pool import WarmPool

FLOW = {names.LABEL_FLOW: "etl", names.LABEL_FLOW_RUN: "etl-1", names.LABEL_TASK: "load"}
KUEUE = {KUEUE_QUEUE: "team"}


def pool(**spec: Any) -> WarmPool:
    metadata = {"name": "fast", "namespace": "team", "uid": "uid-fast", "resourceVersion": "1"}
    return WarmPool.parse({"metadata": metadata, "spec": {"size": 1, **spec}})


def fits(spec: dict[str, Any], of: dict[str, Any], labels: dict[str, str] | None = None, **status: Any) -> bool:
    task_run = run(spec, metadata={"labels": labels or {}}, status=status or None)
    ours = fingerprint(task_run, SETTINGS)
    return unfit(task_run) is None and ours is not None and ours == fingerprint(pool(**of).as_run(), SETTINGS)


SMALL = {"limits": {"cpu": "1", "memory": "1Gi"}}
FIT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing is asked for": ({}, {}),
    "the default Python by name": ({"task": {"source": "#", "python": "3.11"}}, {}),
    "other code, parameters, retries, tags": (
        {"task": {"entrypoint": "a:b"}, "parameters": {"x": 1}, "retries": 3, "tags": ["gpu"]},
        {},
    ),
    "a timeout and a deadline, which come with the claim": ({"timeoutSeconds": 5, "deadlineSeconds": 50}, {}),
    "the same resources": ({"resources": SMALL}, {"resources": SMALL}),
    "a pinned image": ({"image": PINNED}, {"image": PINNED}),
    "the same variables": ({"env": [{"name": "A", "value": "1"}]}, {"env": [{"name": "A", "value": "1"}]}),
    "the same nodes": (
        {"nodeSelector": {"a": "b"}, "tolerations": [{"key": "k", "operator": "Exists"}]},
        {"nodeSelector": {"a": "b"}, "tolerations": [{"key": "k", "operator": "Exists"}]},
    ),
    "the same template": (
        {"podTemplate": {"labels": {"team": "data"}, "terminationGracePeriodSeconds": 60}},
        {"podTemplate": {"labels": {"team": "data"}, "terminationGracePeriodSeconds": 60}},
    ),
    "room for growing memory, at first": (
        {"resources": SMALL, "onOutOfMemory": {"maxMemory": "4Gi"}},
        {"resources": SMALL},
    ),
}
UNFIT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "another Python": ({"task": {"source": "#", "python": "3.10"}}, {}),
    "other resources": ({"resources": {"limits": {"cpu": "2"}}}, {"resources": SMALL}),
    "a tag instead of a digest": ({"image": "own:latest"}, {"image": "own:latest"}),
    "another image": ({"image": PINNED}, {}),
    "a variable more": ({"env": [{"name": "A", "value": "1"}]}, {}),
    "a variable from a Secret": (
        {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
        {},
    ),
    "variables from a Secret": (
        {"podTemplate": {"envFrom": [{"secretRef": {"name": "s"}}]}},
        {"podTemplate": {"envFrom": [{"secretRef": {"name": "s"}}]}},
    ),
    "a service account": ({"serviceAccountName": "reader"}, {}),
    "other nodes": ({"nodeSelector": {"a": "c"}}, {"nodeSelector": {"a": "b"}}),
    "a label that policies select": ({"podTemplate": {"labels": {"team": "data"}}}, {}),
    "another grace": ({"podTemplate": {"terminationGracePeriodSeconds": 60}}, {}),
    "a volume": (
        {
            "podTemplate": {
                "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "d"}}],
                "volumeMounts": [{"name": "d", "mountPath": "/data"}],
            }
        },
        {},
    ),
    "a template that is refused": ({"podTemplate": {"hostNetwork": True}}, {"podTemplate": {"hostNetwork": True}}),
    "a Python without an image": (
        {"task": {"source": "#", "python": "3.99"}},
        {"python": "3.99"},
    ),
}


@pytest.mark.parametrize("what", FIT)
def test_it_fits(what: str) -> None:
    assert fits(*FIT[what], labels=FLOW)


@pytest.mark.parametrize("what", UNFIT)
def test_it_does_not_fit(what: str) -> None:
    assert not fits(*UNFIT[what])


def test_kueue_admits_pods_when_they_are_created() -> None:
    assert not fits({}, {}, KUEUE)


def test_after_an_out_of_memory_kill_it_gets_more_than_the_pool_has() -> None:
    spec = {"resources": SMALL, "onOutOfMemory": {"maxMemory": "4Gi"}}
    assert not fits(spec, {"resources": SMALL}, outOfMemoryUsed=1)


@pytest.mark.parametrize(
    "change",
    [
        {"runner_images": {"3.11": "podtask-runner:new"}},
        {"image_pull_policy": "Always"},
        {"task_defaults": {"nodeSelector": {"pool": "tasks"}}},
        {"task_otlp_endpoint": "http://collector:4318"},
    ],
    ids=str,
)
def test_other_settings_of_the_operator_make_other_pods(change: dict[str, Any]) -> None:
    task_run = run({})
    assert fingerprint(task_run, SETTINGS) != fingerprint(task_run, replace(SETTINGS, **change))


def test_another_version_of_the_wire_makes_other_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(run({}), SETTINGS)
    monkeypatch.setattr(fit, "WIRE_VERSION", 99)
    assert fingerprint(run({}), SETTINGS) != before


def test_every_rule_says_why_in_a_sentence() -> None:
    cases = [
        run({}, metadata={"labels": KUEUE}),
        run(UNFIT["a variable from a Secret"][0]),
        run({"image": "own:latest"}),
        run({}, status={"outOfMemoryUsed": 1}),
    ]
    assert [rule(case) is not None for rule, case in zip(RULES, cases, strict=True)] == [True] * len(RULES)
    assert all((unfit(case) or "").endswith(".") for case in cases)
