"""The pods that the chart makes."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from tests.support.builders import SETTINGS, run
from tests.unit.chart_kit import CHART, MINIMAL, Render, example

from podtask.core.api import names
from podtask_operator.kube.client import OURS
from podtask_operator.pods.build import build
from podtask_operator.warm_pods.idle_pod import idle_pod
from podtask_operator.warm_pods.pool import WarmPool

POOL = {"metadata": {"namespace": "team", "name": "fast", "uid": "u", "resourceVersion": "1"}, "spec": {"size": 1}}


@pytest.mark.parametrize("kind", ["Deployment", "Pod"])
def test_pods_are_restricted_as_pod_security_wants_it(kind: str) -> None:
    found = example("cluster").all(kind)[0]["spec"]
    pod = found["template"]["spec"] if kind == "Deployment" else found
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert "hostNetwork" not in pod
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]


def test_there_is_one_operator_and_never_two() -> None:
    deployment = example("cluster").all("Deployment")[0]["spec"]
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    assert example("cluster").all("PodDisruptionBudget") == []
    assert "affinity" not in example("cluster").pod()


def test_of_two_replicas_one_stands_by_on_another_node_and_neither_rollout_nor_drain_takes_both() -> None:
    render = Render({**MINIMAL, "operator": {"replicas": 2}})
    deployment = render.all("Deployment")[0]["spec"]
    assert deployment["replicas"] == 2
    assert deployment["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    # A standby that counted as unavailable would hold up every rollout, and a drain of the other one's node.
    assert render.container()["readinessProbe"]["httpGet"]["path"] == "/readyz?standby=true"
    budget = render.one("PodDisruptionBudget", "podtask")["spec"]
    assert budget == {"maxUnavailable": 1, "selector": deployment["selector"]}
    (apart,) = render.pod()["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert apart["podAffinityTerm"]["topologyKey"] == "kubernetes.io/hostname"
    assert apart["podAffinityTerm"]["labelSelector"] == deployment["selector"]


def test_an_affinity_of_ones_own_counts_alone() -> None:
    assert list(example("everything").pod()["affinity"]) == ["nodeAffinity"]


def test_the_operator_can_write_to_tmp_only() -> None:
    render = example("cluster")
    assert [mount["mountPath"] for mount in render.container()["volumeMounts"]] == ["/tmp"]
    assert render.pod()["volumes"] == [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}]


def test_probes_ask_the_health_port() -> None:
    container = example("everything").container()
    assert container["ports"][0] == {"name": "health", "containerPort": 9090}
    ready = "/readyz?standby=true"
    for probe, path in (("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", ready)):
        assert container[probe]["httpGet"] == {"path": path, "port": "health"}


def test_the_doorbell_is_the_pods_own_address_and_can_be_turned_off() -> None:
    container = example("everything").container()
    assert container["ports"][1] == {"name": "doorbell", "protocol": "UDP", "containerPort": 8081}
    environment = {item["name"]: item for item in container["env"]}
    assert environment["PODTASK_DOORBELL_HOST"]["valueFrom"] == {"fieldRef": {"fieldPath": "status.podIP"}}
    silent = Render({**MINIMAL, "operator": {"doorbellPort": 0}}).container()
    assert [port["name"] for port in silent["ports"]] == ["health"]


def policy(**values: Any) -> dict[str, Any]:
    """The operator's NetworkPolicy."""
    rendered = Render({**MINIMAL, **values, "networkPolicy": {"enabled": True, **values.get("networkPolicy", {})}})
    (found,) = rendered.all("NetworkPolicy")
    spec: dict[str, Any] = found["spec"]
    return spec


def test_a_network_policy_lets_datagrams_of_task_pods_in_and_nothing_else() -> None:
    assert not Render(MINIMAL).all("NetworkPolicy")
    spec = policy()
    assert (
        spec["podSelector"]["matchLabels"].items()
        <= Render(MINIMAL).all("Deployment")[0]["spec"]["template"]["metadata"]["labels"].items()
    )
    assert spec["policyTypes"] == ["Ingress"]
    ours = {"matchExpressions": [{"key": names.LABEL_TASK_RUN, "operator": "Exists"}]}
    tasks = {"namespaceSelector": {}, "podSelector": ours}
    assert spec["ingress"] == [{"from": [tasks], "ports": [{"protocol": "UDP", "port": "doorbell"}]}]
    assert policy(operator={"doorbellPort": 0})["ingress"] == []


def test_the_pods_that_may_ring_are_found_by_the_label_by_which_they_are_watched() -> None:
    """Tools write their own name into `app.kubernetes.io/managed-by`; pods of pools have the label from the start."""
    (key,) = policy()["ingress"][0]["from"][0]["podSelector"]["matchExpressions"]
    made = build(run(), 1, SETTINGS)
    idle = idle_pod(WarmPool.parse(POOL), "fast-1", SETTINGS)
    assert {"labelSelector": key["key"]} == OURS
    assert all(key["key"] in found["metadata"]["labels"] for found in (made, idle))


def test_a_network_policy_lets_those_read_the_metrics_who_are_named() -> None:
    peers = [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}]
    scrapes = policy(networkPolicy={"metricsFrom": peers})["ingress"][1]
    assert scrapes == {"from": peers, "ports": [{"protocol": "TCP", "port": "health"}]}
    assert policy(operator={"doorbellPort": 0}, networkPolicy={"metricsFrom": peers})["ingress"] == [scrapes]


def test_the_deployment_does_not_select_the_test_pod() -> None:
    render = example("cluster")
    selector = render.all("Deployment")[0]["spec"]["selector"]["matchLabels"]
    assert not selector.items() <= render.all("Pod")[0]["metadata"]["labels"].items()


def test_every_hook_for_the_operators_pod_arrives() -> None:
    render, values = example("everything"), yaml.safe_load((CHART / "ci" / "everything-values.yaml").read_text())
    pod, container = render.pod(), render.container()
    for key in ("nodeSelector", "tolerations", "affinity", "priorityClassName", "imagePullSecrets"):
        assert pod[key] == values[key]
    metadata = render.all("Deployment")[0]["spec"]["template"]["metadata"]
    assert values["podLabels"].items() <= metadata["labels"].items()
    assert values["podAnnotations"].items() <= metadata["annotations"].items()
    assert pod["volumes"][1:] == values["extraVolumes"]
    assert container["volumeMounts"][1:] == values["extraVolumeMounts"]
    assert container["env"][-1:] == values["extraEnv"]
    assert container["envFrom"] == values["extraEnvFrom"]
    assert (container["image"], container["imagePullPolicy"]) == ("registry.example.org/podtask/operator:1", "Always")


def test_a_pod_monitor_scrapes_the_operators_pod_when_asked_for() -> None:
    assert example("cluster").all("PodMonitor") == []
    (monitor,) = example("everything").all("PodMonitor")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    labels = example("everything").all("Deployment")[0]["spec"]["template"]["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert monitor["spec"]["podMetricsEndpoints"] == [{"port": "health", "path": "/metrics", "interval": "15s"}]
