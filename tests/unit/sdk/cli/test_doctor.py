"""`podtask doctor`: a healthy set-up, and one that is broken for each check."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from tests.unit.sdk.cli.apiserver import Refuse
from tests.unit.sdk.cli.conftest import NOW, Terminal
from tests.unit.sdk.cli.runs import STATES, run

from podtask import __version__
from podtask.cli.doctor.cluster import FLOW_RUNS, REVIEWS, TASK_RUNS, WARM_POOLS
from podtask.core.crd import crd
from podtask.core.crd_flow_run import flow_run_crd
from podtask.core.crd_warm_pool import warm_pool_crd
from podtask.core.storage import owner as owners

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
DEPLOYMENTS = "/apis/apps/v1/namespaces/podtask-system/deployments"
CRD, FLOW_RUN_CRD, WARM_POOL_CRD = TASK_RUNS.path, FLOW_RUNS.path, WARM_POOLS.path
DISCOVERY = "/apis/podtask.dev/v1alpha1"
VALUE = json.dumps({"python": HERE, "time": NOW.timestamp() - 540})
"""Nine minutes ago: when the runs of `STATES` ended."""

MARK = "team/owner.json"
OWNER = "/apis/coordination.k8s.io/v1/namespaces/team/leases/podtask-owner"
Change = Callable[[Terminal, pytest.MonkeyPatch], None]


def mark(holder: str) -> dict[str, Any]:
    """The owner's mark of namespace team, renewed a minute ago."""
    renewed = (NOW - timedelta(minutes=1)).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {"spec": {"holderIdentity": holder, "renewTime": renewed}}


def ends(state: str, **status: Any) -> Change:
    """The trial's TaskRun gets this status."""

    def change(podtask: Terminal, _: pytest.MonkeyPatch) -> None:
        podtask.cluster.news = [("MODIFIED", run("podtask-doctor-x7k2p", state, status=status))]

    return change


def answers(path: str, answer: object) -> Change:
    """The API server answers this to whatever is asked there."""

    def change(podtask: Terminal, _: pytest.MonkeyPatch) -> None:
        def say(body: Any) -> Any:
            if isinstance(answer, Refuse):
                raise answer
            return answer(body) if callable(answer) else answer

        podtask.cluster.other[path] = say

    return change


def may(body: Any, *refused: str) -> dict[str, Any]:
    asked = body["spec"]["resourceAttributes"]
    return {"status": {"allowed": f"{asked['verb']} {asked['resource']}" not in refused}}


@pytest.fixture
def healthy(podtask: Terminal) -> Terminal:
    """Everything is well."""
    others: dict[str, Any] = {
        "/version": lambda _: {"gitVersion": "v1.35.4"},
        CRD: lambda _: crd(),
        FLOW_RUN_CRD: lambda _: flow_run_crd(),
        WARM_POOL_CRD: lambda _: warm_pool_crd(),
        REVIEWS: may,
        OWNER: lambda _: mark("podtask-system/podtask-operator"),
        DEPLOYMENTS: lambda _: {"items": [{"metadata": {"name": "podtask"}, "status": {"readyReplicas": 1}}]},
    }
    podtask.cluster.other.update(others)
    podtask.cluster.date = format_datetime(NOW, usegmt=True)
    published = {"version": __version__, "pythons": HERE, "owner": "podtask-system/podtask-operator"}
    podtask.cluster.config_maps["podtask-system", "podtask-client"] = {"data": published}
    result = {**STATES["Completed"]["result"], "value": VALUE}
    podtask.cluster.news = [("MODIFIED", run("podtask-doctor-x7k2p", "Completed", status={"result": result}))]
    podtask.store.put(MARK, owners.dump("uid-of-team", None))
    return podtask


def test_a_healthy_set_up(healthy: Terminal) -> None:
    said = healthy("doctor")
    lines = said.out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["ok"] * len(lines), said.out
    checks = [line[9:29].strip() for line in lines]
    assert checks == [
        "API server",
        "clock",
        "CRD",
        "CRD of FlowRuns",
        "CRD of WarmPools",
        "rights",
        "operator",
        "operator's pod",
        "owner's mark",
        "bucket from here",
        "bucket's owner",
        "conditional writes",
        "operator answers",
        "image and pod",
        "bucket from a pod",
        "Python",
    ]
    assert (said.status, said.err) == (0, "podtask: all is well.\n")
    assert healthy.cluster.runs == {}, "the trial's TaskRun is deleted"
    assert [info.key for info in healthy.store.list("")] == [MARK]


def older(_: Any) -> Any:
    document = json.loads(json.dumps(crd()))
    del document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["retries"]
    return document


def unserved(_: Any) -> Any:
    return {"spec": {"versions": [{"name": "v2", "served": True}]}}


FORBIDDEN = Refuse(403, "Forbidden", "no")
BROKEN: dict[str, tuple[Change, str, str, str]] = {
    # case: what is changed, the check, its verdict, what it says (a part of it, cure included)
    "this machine's clock is ahead": (
        lambda podtask, _: setattr(podtask.cluster, "date", "Fri, 02 Jan 2026 02:54:05 GMT"),
        "clock",
        "FAILED",
        "this machine is 1200 s ahead of the API server; S3 refuses requests that are 900 s off set the clock",
    ),
    "the CRD is missing": (
        answers(CRD, Refuse(404, "NotFound", 'customresourcedefinitions "taskruns.podtask.dev" not found')),
        "CRD",
        "FAILED",
        "the cluster does not know TaskRuns: taskruns.podtask.dev is missing helm install podtask",
    ),
    "the CRD is older": (
        answers(CRD, older),
        "CRD",
        "warning",
        "is older than this podtask; it lacks spec.retries helm upgrade",
    ),
    "the CRD serves another version": (
        answers(CRD, unserved),
        "CRD",
        "FAILED",
        "serves v2 and not v1alpha1 helm upgrade",
    ),
    "the CRD of FlowRuns is missing": (
        answers(FLOW_RUN_CRD, Refuse(404, "NotFound", 'customresourcedefinitions "flowruns.podtask.dev" not found')),
        "CRD of FlowRuns",
        "warning",
        "flow runs are not recorded: flowruns.podtask.dev is missing helm upgrade",
    ),
    "the CRD of WarmPools is missing": (
        answers(WARM_POOL_CRD, Refuse(404, "NotFound", 'customresourcedefinitions "warmpools.podtask.dev" not found')),
        "CRD of WarmPools",
        "warning",
        "no pod can be kept warm: warmpools.podtask.dev is missing helm upgrade",
    ),
    "the CRD of FlowRuns serves another version": (
        answers(FLOW_RUN_CRD, unserved),
        "CRD of FlowRuns",
        "warning",
        "flowruns.podtask.dev serves v2 and not v1alpha1 helm upgrade",
    ),
    "the CRD of FlowRuns may not be read and is not there": (
        lambda podtask, patch: (
            answers(FLOW_RUN_CRD, FORBIDDEN)(podtask, patch),
            answers(DISCOVERY, {"resources": [{"name": "taskruns"}]})(podtask, patch),
        ),
        "CRD of FlowRuns",
        "warning",
        "flow runs are not recorded: flowruns.podtask.dev is missing helm upgrade",
    ),
    "the CRD may not be read and is not there": (
        answers(CRD, FORBIDDEN),
        "CRD",
        "FAILED",
        "the cluster does not know TaskRuns: taskruns.podtask.dev is missing helm install",
    ),
    "no TaskRuns may be created": (
        answers(REVIEWS, lambda body: may(body, "create taskruns")),
        "rights",
        "FAILED",
        "in namespace 'team' you may not: create taskruns (submit, run --on kubernetes) an administrator can allow it",
    ),
    "no Events may be read": (
        answers(REVIEWS, lambda body: may(body, "list events")),
        "rights",
        "warning",
        "you may not: list events (describe) an administrator can allow it: kubectl create rolebinding",
    ),
    "the operator publishes nothing": (
        lambda podtask, _: podtask.cluster.config_maps.clear(),
        "operator",
        "warning",
        "no ConfigMap podtask-client in team or podtask-system, so its version is not known let the chart publish it",
    ),
    "the operator is another version": (
        lambda podtask, _: podtask.cluster.config_maps.update(
            {("podtask-system", "podtask-client"): {"data": {"version": "9.9"}}}
        ),
        "operator",
        "warning",
        f"the operator's chart is 9.9, this is podtask {__version__} pip install podtask==9.9",
    ),
    "the operator's pod is not ready": (
        answers(DEPLOYMENTS, {"items": [{"metadata": {"name": "podtask"}}]}),
        "operator's pod",
        "warning",
        "deployment podtask-system/podtask has no ready pod kubectl -n podtask-system get pods",
    ),
    "another release works in the namespace": (
        answers(OWNER, lambda _: mark("b/other")),
        "owner's mark",
        "warning",
        "release 'b/other' works in namespace 'team', and clients read what podtask-system/podtask-operator publishes, "
        "which leaves it alone no two releases must serve one namespace",
    ),
    "the mark may not be read": (
        answers(OWNER, FORBIDDEN),
        "owner's mark",
        "skipped",
        "Leases of namespace 'team' may not be read by you",
    ),
    "there is no operator": (
        answers(DEPLOYMENTS, {"items": []}),
        "operator's pod",
        "warning",
        "there is no operator in namespace podtask-system helm install",
    ),
    "deployments may not be read": (
        answers(DEPLOYMENTS, FORBIDDEN),
        "operator's pod",
        "skipped",
        "deployments of podtask-system may not be read by you; the trial tells",
    ),
    "no bucket is known": (
        lambda _, patch: patch.delenv("PODTASK_STORE"),
        "bucket from here",
        "warning",
        "nobody said here which one that is.",
    ),
    "the bucket cannot be written": (
        lambda podtask, patch: patch.setenv("PODTASK_STORE", "file:///dev/null/bucket"),
        "bucket from here",
        "warning",
        "small flows work without it; the command reads logs and large results from it: set AWS credentials",
    ),
    "the bucket is another cluster's": (
        lambda podtask, _: podtask.store.put(MARK, owners.dump("uid-of-another", None)),
        "bucket's owner",
        "warning",
        "belongs to the namespace with UID uid-of-another (since 2",
    ),
    "the bucket's mark cannot be read": (
        lambda podtask, _: podtask.store.put(MARK, b"{"),
        "bucket's owner",
        "warning",
        "belongs to nobody: its mark is unreadable",
    ),
    "nobody has marked the folder": (
        lambda podtask, _: podtask.store.delete(MARK),
        "bucket's owner",
        "skipped",
        "nobody has marked team/ yet; the operator does when a pod starts in namespace 'team'",
    ),
    "namespaces may not be read": (
        answers("/api/v1/namespaces/team", FORBIDDEN),
        "bucket's owner",
        "skipped",
        "The API server answered 403 Forbidden (get namespaces team/team): no",
    ),
    "no operator answers": (
        lambda podtask, _: podtask.cluster.news.clear(),
        "operator answers",
        "FAILED",
        "no operator has looked at TaskRun team/podtask-doctor-x7k2p is it running, and does it serve this namespace?",
    ),
    "the trial is refused": (
        lambda podtask, _: podtask.cluster.refuse.update(
            {"create taskruns": Refuse(403, "Forbidden", "exceeded quota")}
        ),
        "trial",
        "FAILED",
        "exceeded quota",
    ),
    "the image cannot be pulled": (
        ends("Pending", reason="ImagePull", message="Back-off pulling image"),
        "image and pod",
        "FAILED",
        "it is still Pending (ImagePull): Back-off pulling image Let the nodes pull it: runner.images",
    ),
    "the image could not be pulled in time": (
        ends(
            "Crashed",
            reason="PendingTimeout",
            error={"type": "PendingTimeout", "message": "In other words.", "cure": "Ask somebody."},
            attemptsTotal=1,
            attempts=[{"number": 1, "outcome": "Disruption", "reason": "PendingTimeout", "heldUpBy": "ImagePull"}],
        ),
        "image and pod",
        "FAILED",
        "it ended as Crashed (PendingTimeout): In other words. Let the nodes pull it: runner.images",
    ),
    "no node takes the pod": (
        ends("Pending", reason="Unschedulable", message="0/1 nodes are available"),
        "image and pod",
        "FAILED",
        "it is still Pending (Unschedulable): 0/1 nodes are available No node takes the pod",
    ),
    "the pod does not reach the bucket": (
        ends("Failed", reason="StoreUnavailable", error={"type": "StoreUnavailable", "message": "no route"}),
        "bucket from a pod",
        "FAILED",
        "it ended as Failed (StoreUnavailable): no route The pod does not reach the bucket: store.endpoint",
    ),
    "the runner has another Python": (
        ends("Completed", result={**STATES["Completed"]["result"], "value": VALUE.replace(HERE, "3.9")}),
        "Python",
        "warning",
        f"for tasks of flows add an image for {HERE} (runner.images of the chart), or run your flows with Python 3.9",
    ),
    "the node's clock is off": (
        ends("Completed", result={**STATES["Completed"]["result"], "value": json.dumps({"python": HERE, "time": 0.0})}),
        "clock of the node",
        "FAILED",
        "s ahead of node dev; S3 refuses requests",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_when(healthy: Terminal, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change, check, verdict, told = BROKEN[case]
    change(healthy, monkeypatch)
    said = healthy("doctor -o json --timeout 0.2s")
    found = {one["check"]: one for one in json.loads(said.out)}
    assert check in found, found
    one = found[check]
    assert (one["verdict"], told in f"{one['message']} {one.get('cure', '')}") == (verdict, True), one
    assert said.status == (1 if verdict == "FAILED" else 0)
    assert not any(name.startswith("podtask-doctor") for _, name in healthy.cluster.runs)


@pytest.mark.parametrize(
    "answer",
    [
        Refuse(404, "NotFound", 'leases.coordination.k8s.io "podtask-owner" not found'),
        {"metadata": {"name": "podtask-owner"}},
        {"spec": {"holderIdentity": "b/gone", "renewTime": "2026-01-02T01:00:00.000000Z"}},
        {"spec": {"holderIdentity": "b/odd", "renewTime": 7}},
    ],
)
def test_a_mark_that_holds_nobody_up_is_no_finding(
    healthy: Terminal, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(OWNER, answer)(healthy, monkeypatch)
    said = healthy("doctor --no-trial")
    assert (said.status, "owner's mark" in said.out) == (0, False), said.out


def test_a_crd_that_may_not_be_read_is_discovered(healthy: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(CRD, FORBIDDEN)(healthy, monkeypatch)
    answers(DISCOVERY, {"resources": [{"name": "taskruns"}]})(healthy, monkeypatch)
    said = healthy("doctor --no-trial")
    assert "taskruns.podtask.dev v1alpha1 is there; its fields may not be read by you" in said.out
    assert said.out.splitlines()[-1] == "skipped  trial                --no-trial"
    assert said.status == 0


def test_without_a_cluster_there_is_one_sentence(podtask: Terminal) -> None:
    said = podtask(f"doctor --kubeconfig {podtask.file('none', '')}")
    first, second = said.out.splitlines()
    assert first.startswith("FAILED   API server           There is no usable kube config (")
    assert second == "skipped  everything else      there is no cluster to ask"
    assert (said.status, said.err) == (1, "podtask: 1 failed, 0 warnings.\n")


def test_a_cure_stands_under_its_finding(healthy: Terminal) -> None:
    healthy.cluster.other[DEPLOYMENTS] = lambda _: {"items": []}
    lines = healthy("doctor --no-trial").out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("warning"))
    assert lines[at + 1].startswith(" " * 29 + " cure: helm install podtask")


@pytest.mark.parametrize(
    ("applied", "warns"),
    [
        ('{"spec": {"parameters": {"limit": null, "ratio": 1}}}', True),
        ('{"spec": {"parameters": {"ratio": 1}}}', False),
        ('{"spec": {"parameters": {"kept": null}}}', False),
        ('{"spec": 5}', False),
        ("[1]", False),
        ("no JSON", False),
        ("[" * 100_000, False),
    ],
    ids=["a null", "no null", "a null that is there", "no spec", "a list", "no JSON", "too deep"],
)
def test_a_parameter_that_kubectl_left_out_is_named(healthy: Terminal, applied: str, warns: bool) -> None:
    made = run("n-null", "Completed", spec={"parameters": {"ratio": 1, "kept": None}})
    made["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": applied}
    healthy.cluster.runs["team", "n-null"] = made
    said = healthy("doctor --no-trial")
    assert ("TaskRun 'n-null' was applied with null for 'limit'; kubectl apply leaves null out" in said.out) is warns
    assert said.status == 0
