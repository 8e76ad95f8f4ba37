"""The page in the cluster: off unless asked for, without rights, tokens and credentials.

PODTASK_UPDATE_GOLDEN=1 writes golden/chart-ui.yaml anew.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
import yaml
from tests.unit.chart_kit import GOLDEN, MINIMAL, Render, bound_to, example, refusal, template, template_notes

from podtask.ui.__main__ import Settings

ON = {**MINIMAL, "ui": {"enabled": True}}


def page(values: dict[str, Any]) -> Any:
    return Render(values).one("Deployment", "podtask-ui")["spec"]["template"]["spec"]


def environment(values: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["value"] for one in page(values)["containers"][0]["env"]}


def test_it_renders_as_committed() -> None:
    values = {**MINIMAL, "ui": {"enabled": True, "networkPolicy": {"enabled": True}}}
    text = template(values, "--show-only", "templates/ui.yaml")
    golden = GOLDEN.with_name("chart-ui.yaml")
    if os.environ.get("PODTASK_UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text(), "PODTASK_UPDATE_GOLDEN=1 writes it anew"


def test_it_is_off() -> None:
    assert [one["metadata"]["name"] for one in Render(MINIMAL).all("Deployment", "Service")] == ["podtask"]


@pytest.mark.parametrize(
    "values", [ON, {**ON, "watchNamespaces": ["team-a"]}, {**ON, "driver": {"enabled": True, "namespaces": ["team-a"]}}]
)
def test_its_account_has_no_rights_and_no_token(values: dict[str, Any]) -> None:
    render = Render(values)
    assert bound_to(render, "podtask-ui") == {}
    assert render.one("ServiceAccount", "podtask-ui")["automountServiceAccountToken"] is False
    pod = page(values)
    assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == ("podtask-ui", False)
    kinds = [next(key for key in volume if key != "name") for volume in pod["volumes"]]
    assert kinds == ["configMap", "emptyDir"]
    assert "projected" not in yaml.safe_dump(pod)


def test_the_operators_rights_are_the_same_with_it() -> None:
    assert bound_to(Render(ON), "podtask") == bound_to(Render(MINIMAL), "podtask")


@pytest.mark.parametrize(
    "store",
    [
        {"bucket": "results", "existingSecret": "keys"},
        {"bucket": "results", "accessKeyId": "AKIDEXAMPLE", "secretAccessKey": "hush"},
        {"bucket": "results", "auth": "workloadIdentity"},
    ],
)
def test_it_has_no_credentials_for_the_bucket(store: dict[str, str]) -> None:
    values = {"store": store, "ui": {"enabled": True}, "extraEnv": [{"name": "AWS_PROFILE", "value": "x"}],
              "extraEnvFrom": [{"secretRef": {"name": "more"}}]}  # fmt: skip
    text = yaml.safe_dump(page(values))
    for word in ("AWS_", "secretKeyRef", "secretRef", "envFrom", "PODTASK_STORE", "hush"):
        assert word not in text, word


WITH_STORE = {"enabled": True, "store": {"enabled": True, "existingSecret": "read-only"}}


def test_it_gets_keys_of_its_own_where_it_is_told_to_read_the_bucket() -> None:
    values = {**MINIMAL, "store": {**MINIMAL["store"], "endpoint": "https://s3.example.org"}, "ui": WITH_STORE}
    given = {one["name"]: one for one in page(values)["containers"][0]["env"]}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert given[name]["valueFrom"]["secretKeyRef"]["name"] == "read-only"
    plain = {name: one["value"] for name, one in given.items() if "value" in one}
    settings = Settings.of({**plain, "PODTASK_UI_SERVER": "https://10.0.0.1:443"})
    assert settings.store is not None
    assert settings.store["bucket"] == MINIMAL["store"]["bucket"]
    assert (settings.store["prefix"], settings.store["endpoint"]) == ("podtask", "https://s3.example.org")


def test_the_operators_keys_are_not_lent_to_it() -> None:
    said = refusal({**MINIMAL, "ui": {"enabled": True, "store": {"enabled": True}}})
    assert "ui.store.enabled needs keys of its own that may only read" in said


def test_its_network_policy_lets_it_reach_the_bucket_only_then() -> None:
    policy = {"enabled": True, "storePorts": [9000]}
    rules = Render({**MINIMAL, "ui": {**WITH_STORE, "networkPolicy": policy}}).all("NetworkPolicy")[0]["spec"]["egress"]
    assert [one["port"] for one in rules[1]["ports"]] == [53, 53, 9000]
    closed = Render({**MINIMAL, "ui": {"enabled": True, "networkPolicy": policy}}).all("NetworkPolicy")[0]
    assert len(closed["spec"]["egress"]) == 1


def test_its_pod_is_restricted() -> None:
    pod = page(ON)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]


def test_no_selector_of_the_operator_finds_it() -> None:
    render = example("everything")
    labels = render.one("Deployment", "tasks-ui")["spec"]["template"]["metadata"]["labels"]
    selectors = [
        render.one("Deployment", "tasks")["spec"]["selector"]["matchLabels"],
        render.all("PodMonitor")[0]["spec"]["selector"]["matchLabels"],
    ]
    assert not [one for one in selectors if one.items() <= labels.items()]
    assert render.one("Service", "tasks-ui")["spec"]["selector"].items() <= labels.items()


@pytest.mark.parametrize(
    ("ui", "expected"),
    [
        ({}, {"namespace": "podtask-system", "hosts": (), "actions": False, "port": 8765}),
        ({"actions": True, "hosts": ["a.example.org", "b.example.org:8443"], "namespace": "team", "port": 9000},
         {"namespace": "team", "hosts": ("a.example.org", "b.example.org:8443"), "actions": True, "port": 9000}),
    ],
)  # fmt: skip
def test_the_program_reads_what_the_chart_writes(ui: dict[str, Any], expected: dict[str, Any]) -> None:
    given = environment({**MINIMAL, "ui": {"enabled": True, **ui}})
    settings = Settings.of({**given, "PODTASK_UI_SERVER": "https://10.0.0.1:443"})
    assert {name: getattr(settings, name) for name in expected} == expected
    assert str(settings.ca) == "/etc/podtask/ca.crt"


def test_it_begins_with_a_namespace_that_is_served() -> None:
    assert environment({**ON, "watchNamespaces": ["team-b"]})["PODTASK_UI_NAMESPACE"] == "team-b"


def test_the_network_policy_is_asked_for_and_names_who_may_come_in() -> None:
    assert Render(ON).all("NetworkPolicy") == []
    policy = example("everything").one("NetworkPolicy", "tasks-ui")
    (rule,) = policy["spec"]["ingress"]
    assert rule["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}]
    closed = Render({**MINIMAL, "ui": {"enabled": True, "networkPolicy": {"enabled": True}}}).all("NetworkPolicy")[0]
    assert closed["spec"]["ingress"] == []
    assert [one["port"] for one in closed["spec"]["egress"][0]["ports"]] == [443, 6443]


@pytest.mark.parametrize(
    ("ui", "where"),
    [({"hosts": ["https://x"]}, "/ui/hosts/0"), ({"port": 80}, "/ui/port"), ({"anonymous": True}, "/ui"),
     ({"actions": "yes"}, "/ui/actions")],
)  # fmt: skip
def test_wrong_values_are_refused(ui: dict[str, Any], where: str) -> None:
    assert f"at '{where}'" in refusal({**MINIMAL, "ui": {"enabled": True, **ui}})


def test_the_notes_say_how_to_open_it() -> None:
    said = template_notes(ON)
    assert "kubectl -n podtask-system port-forward service/podtask-ui 8765:8765" in said
    assert "port-forward" not in template_notes(MINIMAL)
