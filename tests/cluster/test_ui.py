"""The page for many viewers against the real API server: real tokens, real RBAC."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.kit import World, kubectl, task_run
from tests.unit.sdk.ui.conftest import Browser

from podtask.ui.__main__ import Settings, cluster_page
from podtask.ui.server import Serving

pytestmark = pytest.mark.cluster
HELLO = "def main():\n    print('from the pod')\n    return 'hello'\n"


@pytest.fixture(scope="module")
def page(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """In this process, and by the API server's address and CA only, as in a pod."""
    found = json.loads(kubectl("config", "view", "--minify", "--raw", "-o", "json"))["clusters"][0]["cluster"]
    ca = tmp_path_factory.mktemp("ca") / "ca.crt"
    ca.write_text(json.loads(world.kubectl("get", "configmap", "kube-root-ca.crt", "-o", "json"))["data"]["ca.crt"])
    made = cluster_page(Settings(world.namespace, found["server"], Path(ca), port=0, listen="127.0.0.1", actions=True))
    with made.serving():
        yield made


@pytest.fixture(scope="module")
def ran(world: World) -> World:
    world.apply(task_run("hello", HELLO))
    world.finished("hello")
    return world


def viewer(world: World, page: Serving, name: str, role: str) -> Browser:
    """A browser with the token of a service account."""
    world.kubectl("create", "serviceaccount", name)
    if role:
        account = f"--serviceaccount={world.namespace}:{name}"
        world.kubectl("create", "rolebinding", f"{name}-{role}", f"--clusterrole={role}", account)
    browser = Browser(page.port)
    assert browser.post("/login", {"token": world.kubectl("create", "token", name).strip()}).status == 303
    return browser


def test_the_role_view_sees_and_changes_nothing(ran: World, page: Serving) -> None:
    browser = viewer(ran, page, "looks", "view")
    here = f"/namespaces/{ran.namespace}/task-runs"
    assert "hello" in browser.get(here).text
    text = browser.get(f"{here}/hello").text
    assert "Completed" in text
    assert "/hello/delete" not in text
    token = browser.get(here).value("form_token")
    assert browser.post(f"{here}/hello/delete", {"form_token": token}).status == 403
    assert "hello" in ran.kubectl("get", "ptr", "-o", "name")


def test_who_has_no_role_sees_nothing(ran: World, page: Serving) -> None:
    browser = viewer(ran, page, "nobody", "")
    here = f"/namespaces/{ran.namespace}/task-runs"
    assert "Not shown." in browser.get(here).text
    assert browser.get(f"{here}/hello").status == 403
    assert Browser(page.port).post("/login", {"token": "no-token"}).status == 403


def test_the_role_edit_may_retry(ran: World, page: Serving) -> None:
    browser = viewer(ran, page, "changes", "edit")
    here = f"/namespaces/{ran.namespace}/task-runs"
    token = browser.get(here).value("form_token")
    answer = browser.post(f"{here}/hello/retry", {"form_token": token})
    assert (answer.status, answer.headers["Location"]) == (303, f"{here}/hello-r2")
    ran.finished("hello-r2")
