"""The allow-list: what may be added to a pod, and the sentence for everything else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podtask_operator.pod_template.checks import NotAllowed
from podtask_operator.pod_template.template import FIELDS, Template, grace_seconds, read
from podtask_operator.pod_template.volumes import TYPES

DATA = {"volumes": [{"name": "data", "emptyDir": {}}]}


def mounted(path: Any, **more: Any) -> dict[str, Any]:
    return {**DATA, "volumeMounts": [{"name": "data", "mountPath": path, **more}]}


REFUSED: dict[str, tuple[Any, str]] = {
    "the host's network": ({"hostNetwork": True}, "spec.podTemplate.hostNetwork is not allowed; allowed are labels"),
    "the host's processes": ({"hostPID": True}, "hostPID is not allowed"),
    "containers": ({"containers": []}, "containers is not allowed"),
    "a service account": ({"serviceAccountName": "root"}, "serviceAccountName is not allowed"),
    "a nested pod spec": ({"spec": {"hostNetwork": True}}, "spec.podTemplate.spec is not allowed"),
    "privilege by securityContext": (
        {"securityContext": {"runAsNonRoot": False}},
        "securityContext.runAsNonRoot is not allowed; allowed are fsGroup, runAsUser",
    ),
    "sysctls": ({"securityContext": {"sysctls": []}}, "securityContext.sysctls is not allowed"),
    "root": ({"securityContext": {"runAsUser": 0}}, "runAsUser must be a whole number from 1"),
    "a user by name": ({"securityContext": {"runAsUser": "me"}}, "runAsUser must be a whole number"),
    "a user that is true": ({"securityContext": {"runAsUser": True}}, "not true or false"),
    "a group that is no number": (
        {"securityContext": {"supplementalGroups": [1, "x"]}},
        "supplementalGroups[1] must be a whole number",
    ),
    "a label of ours": ({"labels": {"podtask.dev/task-run": "other"}}, "may not set podtask.dev/task-run"),
    "a label under a subdomain of ours": ({"labels": {"x.podtask.dev/y": "z"}}, "may not set x.podtask.dev/y"),
    "the label that the operator selects by": (
        {"labels": {"app.kubernetes.io/managed-by": "me"}},
        "may not set app.kubernetes.io/managed-by",
    ),
    "an annotation of ours": ({"annotations": {"podtask.dev/run-name": "x"}}, "annotations may not set"),
    "a label that YAML reads as a number": ({"labels": {"v": 1}}, "labels['v'] must be a text, not a number"),
    "labels as a list": ({"labels": ["a"]}, "spec.podTemplate.labels must be an object, not a list"),
    "affinity as a text": ({"affinity": "near"}, "affinity must be an object, not a text"),
    "one constraint instead of a list": ({"topologySpreadConstraints": {}}, "must be a list, not an object"),
    "an empty class": ({"priorityClassName": ""}, "priorityClassName must be a text, not an empty one"),
    "a pull secret as a text": ({"imagePullSecrets": ["pull"]}, "imagePullSecrets[0] must be an object"),
    "a pull secret without name": ({"imagePullSecrets": [{}]}, "imagePullSecrets[0].name must be a text, not nothing"),
    "less grace than the runner needs": (
        {"terminationGracePeriodSeconds": 5},
        "terminationGracePeriodSeconds must be a whole number from 30",
    ),
    "an absurd number": ({"terminationGracePeriodSeconds": 10**400}, "must be a whole number from 30 to 3600"),
    "the host's files": (
        {"volumes": [{"name": "a", "hostPath": {"path": "/"}}]},
        "spec.podTemplate.volumes[0].hostPath is not allowed; allowed are name, emptyDir",
    ),
    "a volume without source": ({"volumes": [{"name": "a"}]}, "volumes[0] must have exactly one of emptyDir"),
    "a volume with two sources": (
        {"volumes": [{"name": "a", "emptyDir": {}, "secret": {}}]},
        "volumes[0] must have exactly one of",
    ),
    "a volume by our name": ({"volumes": [{"name": "podtask-grants", "emptyDir": {}}]}, "may not start with podtask-"),
    "an API token": (
        {"volumes": [{"name": "a", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]},
        "projected.sources[0].serviceAccountToken is not allowed",
    ),
    "a projected volume without sources": (
        {"volumes": [{"name": "a", "projected": {}}]},
        "projected.sources must be a list, not nothing",
    ),
    "a mount over the grants": (mounted("/podtask/grants"), "'/podtask/grants' is reserved"),
    "a mount over the grants by a detour": (mounted("/data/../podtask//grants/."), "is reserved"),
    "a mount over the grants with two slashes": (mounted("//podtask/grants"), "is reserved"),
    "a mount over everything": (mounted("/"), "is reserved"),
    "a mount over everything by a detour": (mounted("/a/.."), "is reserved"),
    "a mount over the termination message": (mounted("/dev"), "is reserved"),
    "a mount over /tmp": (mounted("/tmp/x"), "is reserved"),
    "a relative mount": (mounted("data"), "must be an absolute path"),
    "a mount with options": (mounted("/data:ro"), "without a colon"),
    "a mount back to the host": (mounted("/data", mountPropagation="Bidirectional"), "mountPropagation is not allowed"),
    "a mount of a volume of ours": (
        {"volumeMounts": [{"name": "podtask-grants", "mountPath": "/data"}]},
        "'podtask-grants' is none of spec.podTemplate.volumes",
    ),
    "an environment from two": (
        {"envFrom": [{"secretRef": {"name": "a"}, "configMapRef": {"name": "b"}}]},
        "exactly one of configMapRef, secretRef",
    ),
    "an environment from nobody": ({"envFrom": [{"secretRef": {}}]}, "secretRef.name must be a text"),
}


@pytest.mark.parametrize(("template", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_refuses_by_name_with_a_cure(template: dict[str, Any], words: str) -> None:
    with pytest.raises(NotAllowed) as caught:
        read(template)
    assert words in str(caught.value)
    assert caught.value.cure.endswith(".")


CURES = {
    "metadata": "Write the fields directly under spec.podTemplate, without metadata.",
    "nodeSelector": "Write it as spec.nodeSelector.",
    "runAsUser": "Write it as spec.podTemplate.securityContext.runAsUser.",
}


@pytest.mark.parametrize("name", CURES)
def test_says_where_the_same_wish_can_be_written(name: str) -> None:
    with pytest.raises(NotAllowed) as caught:
        read({name: {}})
    assert caught.value.cure == CURES[name]


@pytest.mark.parametrize("path", ["/data", "/dev/shm", "/tmpfiles", "/podtasks", "/devices/x"])
def test_mounts_beside_the_reserved_folders(path: str) -> None:
    assert read(mounted(path)).mounts[0]["mountPath"] == path


def test_normalises_mount_paths() -> None:
    assert read(mounted("//data/../etc/./conf/")).mounts[0]["mountPath"] == "/etc/conf"


@pytest.mark.parametrize("kind", TYPES)
def test_takes_every_volume_type_of_restricted(kind: str) -> None:
    source: dict[str, Any] = {"sources": [{"configMap": {"name": "c"}}]} if kind == "projected" else {}
    assert read({"volumes": [{"name": "a", kind: source}]}).volumes == ({"name": "a", kind: source},)


def test_labels_of_a_similar_domain_are_the_users() -> None:
    assert read({"labels": {"mypodtask.dev/a": "b"}}).labels == {"mypodtask.dev/a": "b"}


def test_fields_without_value_are_absent() -> None:
    assert read(dict.fromkeys(FIELDS)) == read(None) == Template()


def test_more_grace_is_the_tasks() -> None:
    assert grace_seconds(None) == 10
    assert grace_seconds({"terminationGracePeriodSeconds": 90}) == 70
    assert grace_seconds({"hostNetwork": True}) == 10


KEYS = st.text(max_size=6) | st.sampled_from(
    ["name", "mountPath", "emptyDir", "projected", "sources", "secretRef", "runAsUser", "supplementalGroups", "prefix"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*FIELDS, "hostNetwork"]) | st.text(max_size=9), JSON, max_size=5))
def test_whatever_comes_only_one_kind_of_error_goes(template: dict[str, Any]) -> None:
    try:
        said = str(set(read(template).pod) - set(FIELDS))
    except NotAllowed as refusal:
        said = str(refusal)
    assert said == "set()" or said.startswith("spec.podTemplate")
