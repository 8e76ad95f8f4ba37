"""What a pod holds, what it can reach, who reads its grants, and what these grants allow."""

from __future__ import annotations

import base64
import functools
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

import pytest
from tests.cluster.kit import Object, World, kubectl, needed, sentence, task_run, together

pytestmark = pytest.mark.cluster

SPY = """
import os
import urllib.error
import urllib.request
import ssl

def main():
    try:
        request = urllib.request.Request("https://kubernetes.default.svc/api/v1/pods")
        context = ssl._create_unverified_context()
        code = urllib.request.urlopen(request, timeout=20, context=context).status
    except urllib.error.HTTPError as error:
        code = error.code
    return {
        "env": sorted(os.environ),
        "token": os.path.exists("/var/run/secrets"),
        "user": [os.getuid(), os.getgid(), os.getgroups()],
        "api": code,
        "root": os.access("/", os.W_OK),
    }
"""
WAITS = "import time\n\ndef main():\n    print('holding', flush=True)\n    time.sleep(600)\n"
SIGNATURE = "X-Amz-Signature"
TOKEN = {"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
FORBIDDEN: dict[str, tuple[Object, str]] = {
    "token": ({"volumes": [{"name": "v", **TOKEN}]}, "projected.sources[0].serviceAccountToken is not allowed"),
    "host-path": ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, "volumes[0].hostPath is not allowed"),
    "automount": ({"automountServiceAccountToken": True}, "automountServiceAccountToken is not allowed"),
    "pid": ({"hostPID": True}, "spec.podTemplate.hostPID is not allowed"),
    "sidecar": ({"containers": [{"name": "other", "image": "x"}]}, "spec.podTemplate.containers is not allowed"),
    "root": ({"securityContext": {"runAsUser": 0}}, "runAsUser must be a whole number from 1 to"),
    "over-grants": (
        {
            "volumes": [{"name": "v", "emptyDir": {}}],
            "volumeMounts": [{"name": "v", "mountPath": "//podtask/./grants"}],
        },
        "'//podtask/./grants' is reserved",
    ),
    "our-volume": ({"volumeMounts": [{"name": "podtask-grants", "mountPath": "/g"}]}, "is none of"),
    "our-label": ({"labels": {"podtask.dev/task-run": "other"}}, "may not set podtask.dev/task-run"),
}


@pytest.fixture(scope="module")
def applied(world: World) -> World:
    for role in ("view", "edit"):
        world.kubectl("create", "rolebinding", f"one-may-{role}", f"--clusterrole={role}", f"--user={role}er")
    world.apply(
        task_run("spy", SPY),
        task_run("holds", WAITS),
        task_run("fails", "def main():\n    raise ValueError('broken')\n"),
        task_run("upstream", "def main():\n    return 'x' * 5000\n"),
        task_run(
            "downstream", "def main(x):\n    return len(x)\n", upstream=[{"taskRun": "upstream", "parameter": "x"}]
        ),
        *(task_run(name, WAITS, podTemplate=template) for name, (template, _) in FORBIDDEN.items()),
    )
    return world


@pytest.fixture(scope="module")
def pod(applied: World) -> Object:
    """The pod of `holds` while it runs."""
    return applied.until("holds runs", lambda: running(applied.pods.get("holds-1")))


def running(pod: Object | None) -> Object | None:
    return pod if pod and pod["status"].get("phase") == "Running" else None


@pytest.fixture(scope="module")
def grants(applied: World, pod: Object) -> Any:
    """What the pod of `holds` may touch, read as the cluster's administrator."""
    data = json.loads(applied.kubectl("get", "secret", applied.secret_of("holds"), "-o", "json"))["data"]
    assert list(data) == ["1.json"]
    return json.loads(base64.b64decode(data["1.json"]))


def request(method: str, url: str, data: bytes | None = None, headers: Mapping[str, str] | None = None) -> int:
    asked = urllib.request.Request(url, data, dict(headers or {}), method=method)
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_task_sees_no_credentials_no_token_and_no_rights(applied: World) -> None:
    run = applied.finished("spy")
    seen = json.loads(run["status"]["result"]["value"])
    assert not [name for name in seen["env"] if name.startswith(("AWS_", "S3_")) or "SECRET" in name or "TOKEN" in name]
    assert (seen["token"], seen["root"]) == (False, False)
    assert seen["user"] == [65532, 65532, [65532]]
    assert seen["api"] in (401, 403)


def test_a_running_pod_carries_neither_credentials_nor_a_token(pod: Object) -> None:
    spec = pod["spec"]
    container = spec["containers"][0]
    assert len(spec["containers"]) == 1
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert "valueFrom" not in json.dumps(container["env"])
    assert sorted(variable["name"] for variable in container["env"]) == [
        "HOME",
        "LOGNAME",
        "PODTASK_ATTEMPT",
        "PODTASK_GRANTS",
        "PODTASK_TASK_RUN",
        "PODTASK_TERMINATION_LOG",
        "TMPDIR",
        "USER",
    ]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert set(volumes) == {"podtask-grants", "podtask-tmp"}
    assert volumes["podtask-grants"]["secret"]["items"] == [{"key": "1.json", "path": "grants.json"}]
    assert needed("AWS_ACCESS_KEY_ID") not in json.dumps(pod)


def test_every_pod_was_accepted_by_a_namespace_that_enforces_restricted(applied: World, pod: Object) -> None:
    label = kubectl("get", "namespace", applied.namespace, "-o", "jsonpath={.metadata.labels}")
    assert json.loads(label)["pod-security.kubernetes.io/enforce"] == "restricted"
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert pod["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


def test_who_may_view_reads_no_secret(applied: World, grants: Any) -> None:
    answer = sentence(functools.partial(applied.kubectl, "get", "secret", applied.secret_of("holds"), "--as=viewer"))
    assert "Forbidden" in answer
    for asked in (("create", "ptr"), ("list", "secrets"), ("watch", "secrets")):
        answer = sentence(functools.partial(applied.kubectl, "auth", "can-i", *asked, "--as=viewer"))
        assert answer != "it was accepted", asked  # "yes" is: it says no by its exit status


def test_nothing_that_a_viewer_reads_holds_a_signature_or_a_key(applied: World, grants: Any) -> None:
    for name in ("spy", "fails", "downstream"):
        applied.finished(name)
    objects = ("taskruns.podtask.dev", "pods", "events", "configmaps", "serviceaccounts")
    asked = {
        kind: functools.partial(applied.kubectl, "get", kind, "-o", "json", "--show-managed-fields", "--as=viewer")
        for kind in objects
    }
    pods = ("spy-1", "fails-1", "downstream-1", "holds-1")
    asked |= {pod: functools.partial(applied.kubectl, "logs", pod, "--as=viewer") for pod in pods}
    read = together(asked)
    assert all(json.loads(read[kind])["items"] for kind in objects)
    assert "ValueError: broken" in read["taskruns.podtask.dev"]
    for text in read.values():
        for secret in (
            SIGNATURE,
            needed("AWS_ACCESS_KEY_ID"),
            needed("AWS_SECRET_ACCESS_KEY"),
            grants["result"]["get"],
        ):
            assert secret not in text


def test_who_may_edit_writes_task_runs_but_not_their_status(applied: World) -> None:
    can = functools.partial(applied.kubectl, "auth", "can-i", "--as=editer")
    assert can("create", "taskruns.podtask.dev").strip() == "yes"
    patch = ("patch", "taskruns.podtask.dev", "holds", "--subresource=status", "--type=merge", "--as=editer")
    answer = sentence(functools.partial(applied.kubectl, *patch, "-p", '{"status":{"state":"Completed"}}'))
    assert "Forbidden" in answer


def test_the_grants_hold_urls_and_no_credentials(grants: Any) -> None:
    text = json.dumps(grants)
    assert SIGNATURE in text
    assert needed("AWS_SECRET_ACCESS_KEY") not in text


def test_what_an_attempt_stored_is_never_replaced(grants: Any) -> None:
    put = grants["error"]["put"]
    assert put["headers"]["If-None-Match"] == "*"
    assert request("PUT", put["url"], b"first", put["headers"]) == 200
    assert request("PUT", put["url"], b"second", put["headers"]) == 412
    others = {name: value for name, value in put["headers"].items() if name != "If-None-Match"}
    assert request("PUT", put["url"], b"third", others) == 403
    with urllib.request.urlopen(grants["error"]["get"], timeout=30) as answer:
        assert answer.read() == b"first"


def test_a_grant_is_for_its_own_object_and_its_own_verb_only(applied: World, grants: Any) -> None:
    put, get = grants["result"]["put"], grants["error"]["get"]
    for old, new in (("/result?", "/outcome?"), ("/1/result?", "/2/result?"), (f"/{applied.namespace}/", "/other/")):
        assert old in put["url"]
        assert request("PUT", put["url"].replace(old, new), b"x", put["headers"]) == 403
    assert request("DELETE", get) == 403
    assert request("PUT", get, b"x") == 403
    assert request("GET", put["url"]) == 403
    assert request("GET", get.split("?")[0]) == 403


def test_logs_are_granted_below_the_attempt_only(grants: Any) -> None:
    logs = grants["logs"]
    assert logs["prefix"].endswith("/1/log/")
    outside = logs["prefix"].replace("/1/log/", "/1/result")
    assert post(logs, outside, b"x") == 403
    assert post(logs, logs["prefix"] + "zzz", b"x") in (200, 201, 204)


def post(logs: Any, key: str, data: bytes) -> int:
    parts = {**logs["fields"], "key": key}
    lines = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in parts.items()
    ]
    lines.append('--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n')
    body = "".join(lines).encode() + data + b"\r\n--b--\r\n"
    return request("POST", logs["url"], body, {"Content-Type": "multipart/form-data; boundary=b"})


@pytest.mark.parametrize("name", FORBIDDEN)
def test_a_pod_template_gets_nothing_that_would_widen_the_pod(applied: World, name: str) -> None:
    status = applied.finished(name)["status"]
    assert (status["state"], status["reason"]) == ("Failed", "InvalidSpec")
    assert FORBIDDEN[name][1] in status["message"]
    assert status["error"]["cure"]
    assert applied.pods_of(name) == []
