"""The pod that waits: nothing of any attempt in it, and the patch that gives it to one."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from tests.support.builders import SETTINGS, run
from tests.support.fake_api import patched
from tests.unit.operator.warm_pods.test_fit import pool

from podtask.core.api import names
from podtask.core.api.status import Claim
from podtask_operator.kube.client import ApiError
from podtask_operator.pods import build
from podtask_operator.warm_pods.idle_pod import LONGEST, claim_patch, claim_text, idle_pod, is_ready

IDLE = idle_pod(pool(), "fast-1a2b3c4d", SETTINGS)
CLAIM = Claim("fast-1a2b3c4d", "uid-of-pod")


def test_it_is_the_pod_of_an_attempt_but_for_what_belongs_to_one() -> None:
    cold = build.build(run({}), 1, SETTINGS)
    assert IDLE["spec"]["securityContext"] == cold["spec"]["securityContext"]
    ours, theirs = IDLE["spec"]["containers"][0], cold["spec"]["containers"][0]
    for part in ("image", "securityContext", "resources", "terminationMessagePolicy"):
        assert ours[part] == theirs[part]
    assert ours["args"] == ["--wait"]
    assert IDLE["spec"]["automountServiceAccountToken"] is False
    assert IDLE["spec"]["activeDeadlineSeconds"] == LONGEST


def test_it_names_no_task_run_and_holds_no_grant() -> None:
    text = yaml.safe_dump(IDLE)
    assert IDLE["metadata"]["labels"][names.LABEL_TASK_RUN] == "", "by this label pods are watched"
    assert "PODTASK_TASK_RUN" not in text
    assert "PODTASK_ATTEMPT" not in text
    grants = next(volume for volume in IDLE["spec"]["volumes"] if volume["name"] == build.GRANTS_VOLUME)
    assert grants["secret"]["secretName"] == "fast-1a2b3c4d"
    assert grants["secret"]["optional"] is True
    assert IDLE["metadata"]["annotations"] == {names.ANNOTATION_CLAIM: ""}
    assert IDLE["metadata"]["ownerReferences"][0]["kind"] == "WarmPool"


def test_its_labels_and_annotations_of_the_template_are_there_already() -> None:
    template = {"labels": {"team": "data"}, "annotations": {"note": "careful"}}
    made = idle_pod(pool(podTemplate=template), "fast-1", SETTINGS)["metadata"]
    assert made["labels"]["team"] == "data"
    assert made["annotations"] == {"note": "careful", names.ANNOTATION_CLAIM: ""}


def live(**metadata: Any) -> dict[str, Any]:
    return {**IDLE, "metadata": {**IDLE["metadata"], "uid": "uid-of-pod", **metadata}}


def test_a_claim_makes_it_the_pod_of_the_attempt() -> None:
    labels = {names.LABEL_FLOW: "etl", names.LABEL_TASK: "load"}
    task_run = run({"timeoutSeconds": 60}, metadata={"labels": labels})
    said = claim_text(task_run, 2, CLAIM, b"grants")
    taken = patched(live(), claim_patch(task_run, 2, CLAIM, said, 99.5, SETTINGS))
    cold = build.build(task_run, 2, SETTINGS)
    assert taken["metadata"]["ownerReferences"] == cold["metadata"]["ownerReferences"]
    assert cold["metadata"]["labels"].items() <= taken["metadata"]["labels"].items()
    assert taken["metadata"]["annotations"][names.ANNOTATION_CLAIM] == said
    assert taken["spec"]["activeDeadlineSeconds"] == cold["spec"]["activeDeadlineSeconds"] + 100 + 10
    assert said.startswith(f"{task_run.uid}/2/uid-of-pod/")


@pytest.mark.parametrize("other", [{"uid": "another pod"}, {"labels": {names.LABEL_POOL_STATE: "claimed"}}], ids=str)
def test_of_two_claims_the_second_is_refused_and_so_is_one_for_another_pod(other: dict[str, Any]) -> None:
    task_run = run({})
    patch = claim_patch(task_run, 1, CLAIM, "said", 0, SETTINGS)
    with pytest.raises(ApiError, match="test failed"):
        patched(live(**other), patch)
    with pytest.raises(ApiError, match="test failed"):
        patched(patched(live(), patch), patch)


def seen(**changes: Any) -> dict[str, Any]:
    pod = live()
    status = {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": changes.pop("ready", "True")}, *changes.pop("conditions", ())],
        "containerStatuses": [{"name": "task", "state": changes.pop("state", {"running": {}})}],
    }
    return {**pod, "status": status, "spec": {**pod["spec"], **changes}}


@pytest.mark.parametrize(
    ("changes", "ready"),
    [
        ({}, True),
        ({"ready": "False"}, False),  # its node does not answer
        ({"state": {"waiting": {}}}, False),
        ({"state": {"terminated": {}}}, False),
        ({"conditions": [{"type": "DisruptionTarget", "status": "True"}]}, False),
        ({"ephemeralContainers": [{"name": "debug"}]}, False),
    ],
    ids=str,
)
def test_only_a_pod_that_nobody_touches_is_offered(changes: dict[str, Any], ready: bool) -> None:
    assert is_ready(seen(**changes)) is ready


def test_one_that_is_being_deleted_is_not() -> None:
    pod = seen()
    pod["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:05Z"
    assert not is_ready(pod)
