"""TaskRuns as they are posted. `python -m tests.unit.sdk.backends.kubernetes.test_manifest` writes the goldens anew."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.sdk.backends.kubernetes.harness import run_of

from podtask import Task, task_input_hash
from podtask.backends.kubernetes import cache_spec, manifest
from podtask.backends.kubernetes.packed import Packed
from podtask.core.api.spec import TaskRunSpec

GOLDEN = Path(__file__).parent / "golden"
INLINE = {"inline": "eyJwb2R0YXNrIjoxfQo="}
STORED = {"digest": "ab" * 32, "size": 70000}


def todays_key(context: Any, parameters: dict[str, Any]) -> str:
    return "rows-of-today"


EVERYTHING: dict[str, Any] = {
    "tags": {"nightly"},
    "retries": 3,
    "retry_delay_seconds": [0.5, 30],
    "retry_jitter_factor": 0.25,
    "timeout_seconds": 1.5,
    "deadline_seconds": 60,
    "on_out_of_memory": {"maxMemory": "8Gi", "memoryFactor": 1.5},
    "max_disruptions": 0,
    "on_disruption": {"avoidNode": True, "lastAttempt": {"nodeSelector": {}, "priorityClassName": "steady"}},
    "checkpoints": True,
    "cache_key_fn": todays_key,
    "cache_expiration": timedelta(hours=1),
    "refresh_cache": True,
    "cache_concurrent": "run",
    "image": "registry.example/team/etl:1",
    "resources": {"requests": {"cpu": 0.5, "memory": "1Gi"}, "limits": {"example.com/gpu": 1}},
    "env": {"REGION": "eu", "WORKERS": 4},
    "service_account": "reader",
    "node_selector": {"pool": "tasks"},
    "tolerations": [{"key": "tasks", "operator": "Exists"}],
    "pod_template": {"priorityClassName": "batch"},
}


def greet(name: str) -> str:
    return f"hello {name}"


greet.__module__ = "etl"  # part of the task's key, and otherwise another one when this file is run


def everything() -> dict[str, Any]:
    run = run_of(Task(greet, name="Load rows (daily)", **EVERYTHING), "ada", tags=frozenset({"team-a"}))
    return manifest.build(
        run,
        namespace="team",
        digest="cd" * 32,
        code={"code": STORED},
        inputs=INLINE,
        upstream=["first-0123456789abcdef", "second-0123456789abcdef"],
        wait_for=["third-0123456789abcdef"],
        uids={
            "first-0123456789abcdef": "0b9a1c1e-0000-4000-8000-000000000001",
            "third-0123456789abcdef": "0b9a1c1e-0000-4000-8000-000000000003",
        },
        cache=cache_spec.plan(run),
    )


def small() -> dict[str, Any]:
    run = run_of(Task(greet), "ada")
    return manifest.build(
        run,
        namespace="team",
        digest="cd" * 32,
        code={"code": dict(INLINE)},
        inputs=dict(INLINE),
        upstream=[],
        wait_for=[],
        cache=None,
    )


CASES = {"small": small, "everything": everything}


@pytest.fixture(autouse=True)
def _python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "PYTHON", "3.11")


@pytest.mark.parametrize("case", CASES)
def test_the_manifest_is_the_golden_one(case: str) -> None:
    assert CASES[case]() == yaml.safe_load((GOLDEN / f"{case}.yaml").read_text())


@pytest.mark.parametrize("case", CASES)
def test_every_field_of_it_is_one_the_crd_knows(case: str) -> None:
    spec = CASES[case]()["spec"]
    known = TaskRunSpec.model_validate(spec).model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert known == spec


@pytest.mark.parametrize(
    ("text", "value"),
    {
        "etl": "etl",
        "6f0ceff0-3aa5-4c21-bd05-90280060aaf5": "6f0ceff0-3aa5-4c21-bd05-90280060aaf5",
        "Load rows (daily)": "Load-rows-daily-955a0e02",
        "_private": "private-3ce6c249",
        "größe": "gr-e-d353a267",
        "…": "b4935894",
        "x" * 70: "x" * 54 + "-c71bd109",
    }.items(),
)
def test_labels_are_valid_and_names_that_differ_stay_apart(text: str, value: str) -> None:
    found = manifest.label_value(text)
    assert found == value
    assert len(found) <= 63


def test_a_negative_expiration_never_hits_and_is_still_a_valid_spec() -> None:
    run = run_of(Task(greet, cache_key_fn=task_input_hash, cache_expiration=timedelta(seconds=-1)), "ada")
    assert cache_spec.plan(run)["expirationSeconds"] == 0.0  # type: ignore[index]


def test_a_trace_is_an_annotation_and_changes_nothing_else() -> None:
    plain, traced = (run_of(Task(greet, cache_key_fn=task_input_hash), "ada") for _ in range(2))
    traced.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    bodies = []
    for run in (plain, traced):
        packed = Packed.of(run)
        more: dict[str, Any] = {"code": {"code": STORED}, "inputs": INLINE, "upstream": [], "wait_for": []}
        bodies.append(manifest.build(run, namespace="team", digest=packed.digest, cache=packed.cache, **more))
    before, after = bodies
    assert after["metadata"]["annotations"].pop("podtask.dev/traceparent") == traced.traceparent
    assert after == before
    assert after["spec"]["cache"]


if __name__ == "__main__":
    for case, build in CASES.items():
        text = yaml.safe_dump(build(), sort_keys=False, width=120)
        (GOLDEN / f"{case}.yaml").write_text(text.replace(f"python: '{manifest.PYTHON}'", "python: '3.11'"))
