"""Requests through the official client to a scripted server on this machine: repeats, refusals, names."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.sdk.kube.scripted_server import Scene, hangs_up, says, streams

from podtask.inspection.cluster import Cluster
from podtask.kube.client import connect
from podtask.kube.errors import ClusterRefused, ClusterUnreachable

RUN = {"metadata": {"name": "greet-1"}}


def test_a_post_is_strict_and_says_what_was_given(scene: Scene) -> None:
    scene.script[:] = [says(201, {"metadata": {"uid": "u"}})]
    assert scene.api.create_run("team", RUN) == {"metadata": {"uid": "u"}}
    verb, path, query, body = scene.asked[0]
    assert (verb, path) == ("POST", "/apis/podtask.dev/v1alpha1/namespaces/team/taskruns")
    assert query == {"fieldValidation": "Strict"}
    assert json.loads(body) == RUN


def test_a_post_without_an_answer_is_repeated_and_may_meet_its_own_echo(scene: Scene) -> None:
    scene.script[:] = [hangs_up, says(503, {}), says(409, {"reason": "AlreadyExists", "message": "exists"})]
    with pytest.raises(ClusterRefused) as caught:
        scene.api.create_run("team", RUN)
    assert caught.value.reason == "AlreadyExists"
    assert len(scene.asked) == 3
    assert [0.1 <= scene.pauses[0] <= 0.2, 0.2 <= scene.pauses[1] <= 0.4] == [True, True]


def test_a_refusal_is_not_repeated(scene: Scene) -> None:
    scene.script[:] = [says(422, {"reason": "Invalid", "message": "spec.retries: 101"})]
    with pytest.raises(ClusterRefused, match=r"refused TaskRun team/greet-1: spec.retries: 101"):
        scene.api.create_run("team", RUN)
    assert scene.pauses == []


def test_a_cluster_that_never_answered_is_given_up_soon_one_that_did_is_waited_for(scene: Scene) -> None:
    scene.script[:] = [hangs_up] * 99
    with pytest.raises(ClusterUnreachable, match="does not answer"):
        scene.api.get_run("team", "greet-1")
    soon = len(scene.pauses)
    scene.script[:] = [says(200, {"metadata": {}})]
    scene.api.get_run("team", "greet-1")
    scene.script[:] = [hangs_up] * 99
    scene.pauses.clear()
    with pytest.raises(ClusterUnreachable):
        scene.api.get_run("team", "greet-1")
    assert soon < len(scene.pauses)
    assert max(scene.pauses) <= 5.0


def test_what_is_not_there_is_none(scene: Scene) -> None:
    scene.script[:] = [says(404, {"reason": "NotFound", "message": 'taskruns.podtask.dev "greet-1" not found'})]
    assert scene.api.get_run("team", "greet-1") is None


def test_what_is_no_api_server_is_said(scene: Scene) -> None:
    scene.script[:] = [says(200, ["a proxy's page"])] * 99
    with pytest.raises(ClusterRefused, match="is no API server"):
        scene.api.get_run("team", "greet-1")


def test_cancel_of_a_run_that_is_gone_is_no_error_and_others_are_not_repeated(scene: Scene) -> None:
    scene.script[:] = [says(404, {"reason": "NotFound", "message": "gone"}), says(503, {})]
    scene.api.cancel_run("team", "greet-1")
    assert json.loads(scene.asked[0][3]) == {"spec": {"cancel": True}}
    with pytest.raises(ClusterRefused):
        scene.api.cancel_run("team", "greet-1")
    assert scene.pauses == []


def test_a_log_is_text_and_a_config_map_that_may_not_be_read_is_none(scene: Scene) -> None:
    scene.script[:] = [streams("zeile größe\n".encode()), says(403, {"reason": "Forbidden", "message": "no"})]
    assert scene.api.pod_log("team", "greet-1-1", "2026-01-02T03:04:05Z", 1000, 3.0) == "zeile größe\n"
    assert scene.asked[0][2]["sinceTime"] == "2026-01-02T03:04:05Z"
    assert scene.api.config_map("team", "podtask-client") is None


@pytest.mark.parametrize("content", ["", "apiVersion: v1\nkind: Config\n", "a: [\n"])
def test_a_kube_config_that_is_none_is_a_sentence(content: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config"
    path.write_text(content)
    monkeypatch.setenv("KUBECONFIG", str(path))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(path))
    with pytest.raises(ClusterUnreachable, match=r"no usable kube config .* Set KUBECONFIG .* PODTASK_BACKEND=local"):
        connect()


TWO_CONTEXTS = """
apiVersion: v1
kind: Config
current-context: here
clusters:
- {name: one, cluster: {server: "http://one.example"}}
- {name: two, cluster: {server: "http://two.example"}}
users: [{name: me, user: {}}]
contexts:
- {name: here, context: {cluster: one, user: me}}
- {name: there, context: {cluster: two, user: me, namespace: team}}
"""


def test_a_kube_config_and_a_context_may_be_chosen(tmp_path: Any) -> None:
    path = tmp_path / "config"
    path.write_text(TWO_CONTEXTS)
    first, second = connect(str(path)), connect(str(path), "there")
    assert (first.server, first.namespace) == ("http://one.example", "default")
    assert (second.server, second.namespace) == ("http://two.example", "team")
    with pytest.raises(ClusterUnreachable, match=r"no usable kube config .*config\): .*elsewhere"):
        connect(str(path), "elsewhere")


OUTSIDE = ["../../other/taskruns/hello", "..", "hello/status", "a%2Fb", ""]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_that_would_be_another_path_is_never_asked_for(scene: Scene, name: str) -> None:
    commands = Cluster(scene.api, "team")
    asked: list[Callable[[], object]] = [
        lambda: scene.api.get_run("team", name),
        lambda: scene.api.pod_log("team", name, None, 10, 1.0),
        lambda: commands.change("team", name, cancel=True),
        lambda: commands.remove("team", name),
        lambda: commands.pod("team", name),
        lambda: list(commands.log("team", name)),
    ]
    for ask in asked:
        with pytest.raises(ClusterRefused, match="name of no object"):
            ask()
    scene.api.cancel_run("team", name)  # what cannot be there has ended
    assert scene.asked == []


def test_what_is_odd_in_a_name_stays_in_it(scene: Scene) -> None:
    scene.script[:] = [says(404, {"reason": "NotFound", "message": 'taskruns "asb?x=1" not found'})]
    assert scene.api.get_run("team", "asb?x=1") is None
    assert scene.asked[0][1:3] == ("/apis/podtask.dev/v1alpha1/namespaces/team/taskruns/asb%3Fx%3D1", {})
