"""A second release of the chart, for one namespace: install, `helm test`, upgrade under load, uninstall, nothing left.

Its operator runs in the cluster with the rights of the chart; everything else here is what an administrator types.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.kit import ROOT, World, eventually, kubectl, needed, task_run
from tests.cluster.operator_process import without_installed
from tests.cluster.test_warm_pools import POOLS, fitting, pool, ready, status

pytestmark = pytest.mark.cluster

RELEASE = "second"
SYSTEM = "t-chart-system"
ONE = "def main():\n    return 1\n"
FOR_EVER = "import time\n\ndef main():\n    time.sleep(600)\n"
SLOW = "import time\n\ndef main():\n    time.sleep(8)\n    return 'undisturbed'\n"
KINDS = "deployments,pods,serviceaccounts,secrets,configmaps,roles,rolebindings,leases,jobs"
CLUSTER_KINDS = "clusterroles,clusterrolebindings"


def helm(*arguments: str, given: str | None = None) -> str:
    done = subprocess.run(
        ["helm", "--namespace", SYSTEM, *arguments],
        input=given,
        text=True,
        capture_output=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, f"helm {arguments[0]}: {done.stdout}{done.stderr}"
    return done.stdout


def values(namespace: str) -> dict[str, Any]:
    bucket, _, prefix = needed("PODTASK_STORE").removeprefix("s3://").partition("/")
    return {
        "image": {"repository": "podtask.local/operator", "tag": "dev"},
        "runner": {
            "images": {"3.10": None, "3.11": "podtask.local/runner:dev-py3.11", "3.12": None, "3.13": None},
            "defaultPython": "3.11",
        },
        "crds": {"install": False},
        "watchNamespaces": [namespace],
        "store": {
            "bucket": bucket,
            "prefix": f"{prefix}/second",
            "endpoint": needed("PODTASK_S3_ENDPOINT_URL"),
            "accessKeyId": needed("AWS_ACCESS_KEY_ID"),
            "secretAccessKey": needed("AWS_SECRET_ACCESS_KEY"),
        },
    }


def install(namespace: str, *more: str) -> None:
    chart: Path = ROOT / "charts" / "podtask"
    words = ("upgrade", "--install", RELEASE, str(chart), "--wait", "--timeout", "120s", "--values", "-", *more)
    helm(*words, given=json.dumps(values(namespace)))


def of_the_release(namespace: str) -> list[str]:
    """Objects that carry the release's label, cluster-wide ones and those of one namespace."""
    label = f"app.kubernetes.io/instance={RELEASE}"
    found = kubectl("get", KINDS, "--namespace", namespace, "-l", label, "-o", "name")
    return sorted([*found.split(), *kubectl("get", CLUSTER_KINDS, "-l", label, "-o", "name").split()])


@pytest.fixture(scope="module")
def released(world: World) -> Iterator[World]:
    """The second release alone: two operators must not serve one namespace, and the installed one serves all."""
    kubectl("delete", "namespace", SYSTEM, "--ignore-not-found", "--wait")
    kubectl("create", "namespace", SYSTEM)
    with without_installed():
        install(world.namespace)
        yield world
    kubectl("delete", "namespace", SYSTEM, "--wait=false")


def test_helm_test_runs_a_task_and_leaves_nothing(released: World) -> None:
    before = of_the_release(SYSTEM)
    said = helm("test", RELEASE, "--logs", "--timeout", "120s")
    assert "Phase:          Succeeded" in said
    assert of_the_release(SYSTEM) == before
    released.until("the test's run is gone", lambda: not released.runs)


def test_the_release_has_rights_in_its_own_and_its_watched_namespace_only(released: World) -> None:
    assert kubectl("get", CLUSTER_KINDS, "-l", f"app.kubernetes.io/instance={RELEASE}", "-o", "name") == ""
    account = f"system:serviceaccount:{SYSTEM}:{account_name()}"
    asked = {
        "pods": f"--namespace={released.namespace}",
        "taskruns.podtask.dev": f"--namespace={released.namespace}",
    }
    for kind, where in asked.items():
        assert kubectl("auth", "can-i", "list", kind, where, f"--as={account}").strip() == "yes"
        other = subprocess.run(
            ["kubectl", "auth", "can-i", "list", kind, "--namespace=default", f"--as={account}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert other.stdout.strip() == "no"


def account_name() -> str:
    path = "jsonpath={.items[0].spec.template.spec.serviceAccountName}"
    return kubectl("get", "deployments", "--namespace", SYSTEM, "-o", path)


def test_an_upgrade_replaces_the_operator_and_disturbs_no_task(released: World) -> None:
    released.apply(task_run("through", SLOW), task_run("stays", FOR_EVER))
    for pod in ("through-1", "stays-1"):
        released.until(
            f"{pod} runs", lambda pod=pod: released.pods.get(pod, {}).get("status", {}).get("phase") == "Running"
        )
    operator = operator_pods()
    install(released.namespace, "--set", "logLevel=DEBUG")
    assert not set(operator) & set(operator_pods())
    status = released.finished("through")["status"]
    assert (status["state"], status["result"]["value"]) == ("Completed", '"undisturbed"')
    assert released.pods_of("through") == ["through-1"]
    released.apply(task_run("afterwards", ONE))
    assert released.finished("afterwards")["status"]["state"] == "Completed"


PRELOADED = (
    "import sys\n"
    "loaded = [name in sys.modules for name in ('wave', 'turtledemo', 'no_such_module')]\n"
    "def main():\n    return loaded\n"
)
"""Modules of the standard library that nothing of the runner's imports."""


def preloaded(world: World, name: str) -> tuple[str, str] | None:
    """What the pods of a pool have told by datagram. An operator beside the cluster hears none."""
    for condition in status(world, name).get("conditions", ()):
        if condition["type"] == "Preloaded":
            return condition["status"], condition["message"]
    return None


def test_what_a_pool_preloads_is_there_and_what_cannot_be_imported_is_told(released: World) -> None:
    released.apply(pool("preloading", preload=["wave", "no_such_module"]))
    (waits,) = ready(released, "preloading", 1)
    told = eventually("the pod has said what it imported", lambda: preloaded(released, "preloading"))
    assert told[0] == "False"
    assert "no_such_module" in told[1]
    assert "Install it in the image" in told[1]
    assert "cannot import no_such_module" in released.kubectl("logs", waits)
    released.apply(fitting("preloaded", PRELOADED))
    ended = released.finished("preloaded")["status"]
    assert ended["attempts"][0]["claim"]["podName"] == waits, ended
    assert json.loads(ended["result"]["value"]) == [True, False, False]
    released.kubectl("delete", POOLS, "preloading")


def test_a_pool_whose_modules_can_be_imported_says_so(released: World) -> None:
    released.apply(pool("loaded", preload=["wave"]))
    told = eventually("the pod has said what it imported", lambda: preloaded(released, "loaded"), seconds=120)
    assert told == ("True", "A waiting pod has imported wave.")
    released.kubectl("delete", POOLS, "loaded")


def test_the_rights_of_the_chart_are_enough_for_a_run_and_its_secret_goes(released: World) -> None:
    """The other tests' operators run beside the cluster, with an administrator's rights."""
    released.apply(task_run("spent", ONE))
    released.finished("spent")
    released.kubectl("wait", f"secret/{released.secret_of('spent')}", "--for=delete", "--timeout=60s")
    log = kubectl("logs", "--namespace", SYSTEM, "-l", f"app.kubernetes.io/instance={RELEASE}", "--tail=-1")
    refused = [line for line in log.splitlines() if "is forbidden" in line]
    assert [line for line in refused if "kube-system" not in line] == [], "without the cluster's UID it goes by its own"


def operator_pods() -> list[str]:
    label = f"app.kubernetes.io/instance={RELEASE}"
    return kubectl("get", "pods", "--namespace", SYSTEM, "-l", label, "-o", "name").split()


def test_uninstalling_leaves_no_object_of_the_release_and_all_task_runs(released: World) -> None:
    helm("uninstall", RELEASE, "--wait", "--timeout", "120s")
    kubectl("wait", "--for=delete", "pods", "--all", "--namespace", SYSTEM, "--timeout=60s")
    assert of_the_release(SYSTEM) == []
    assert of_the_release(released.namespace) == []
    kubectl("wait", "--for=delete", "leases", "--all", "--namespace", SYSTEM, "--timeout=60s")  # goes with its pod
    assert kubectl("get", "leases,secrets,configmaps", "--namespace", SYSTEM, "-o", "name").split() == [
        "configmap/kube-root-ca.crt"
    ]
    kubectl("get", "crd", "taskruns.podtask.dev")
    assert {"through", "stays", "afterwards"} <= set(released.runs)


def test_a_namespace_with_running_tasks_goes_away_without_an_operator(released: World) -> None:
    assert released.pods["stays-1"]["status"]["phase"] == "Running"
    held = kubectl("get", "taskruns.podtask.dev,pods,secrets", "--namespace", released.namespace, "-o", "json")
    assert not [item for item in json.loads(held)["items"] if item["metadata"].get("finalizers")]
    kubectl("delete", "namespace", released.namespace, "--wait", "--timeout=100s")
    released.until("every run is gone", lambda: not released.runs)
