"""The page in the cluster: each viewer by their own token, in front of an API server that knows tokens."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.sdk.ui import worlds
from tests.unit.sdk.ui.conftest import Browser, look
from tests.unit.sdk.ui.live_api import LiveCluster, serving
from tests.unit.sdk.ui.test_chromium import Start, complaints, until, violations

from podtask.core.storage.memory import MemoryStore
from podtask.errors import PodtaskError
from podtask.kube.bearer import as_bearer
from podtask.ui.__main__ import Settings, cluster_page
from podtask.ui.server import Serving

LIST = "/namespaces/team/flow-runs"
ADA, BOB = "ada-s.token", "bob-s.token"
HOST = "podtask.example.org"


@pytest.fixture
def cluster() -> LiveCluster:
    """Ada may see namespace team, Bob may not."""
    made = LiveCluster()
    made.people = {ADA: {"team"}, BOB: {"other"}}
    worlds.day(made)
    return made


@pytest.fixture
def page(cluster: LiveCluster, request: pytest.FixtureRequest) -> Iterator[Serving]:
    more: dict[str, Any] = getattr(request, "param", {})
    with serving(cluster) as address:
        settings = Settings("team", address, port=0, listen="127.0.0.1", hosts=(HOST,), **more)
        made = cluster_page(settings)
        with made.serving():
            yield made


def entered(page: Serving, token: str) -> Browser:
    browser = Browser(page.port)
    assert browser.post("/login", {"token": token}).status == 303
    return browser


def proxied(page: Serving, path: str, token: str, **headers: str) -> Any:
    return Browser(page.port).get(path, Authorization=f"Bearer {token}", **headers)


def test_a_pasted_token_shows_what_it_may_see(page: Serving, cluster: LiveCluster) -> None:
    assert "brave-otter" in entered(page, ADA).get(LIST).text
    answer = entered(page, BOB).get(LIST)
    assert "brave-otter" not in answer.text
    assert "Not shown." in answer.text
    assert entered(page, BOB).get("/namespaces/team/task-runs/load").status == 403
    assert {one["authorization"] for one in cluster.headers} == {f"Bearer {ADA}", f"Bearer {BOB}"}


def test_what_one_has_read_is_not_shown_to_another(page: Serving, cluster: LiveCluster) -> None:
    """Each session has its own watches; also with the same token twice, after the first has ended its session."""
    ada, bob, again = entered(page, ADA), entered(page, BOB), entered(page, ADA)
    for path in (LIST, f"{LIST}/etl-1f3a52b7", "/namespaces/team/task-runs"):
        assert ada.get(path).status == 200
        assert "load" not in bob.get(path).text.partition("<main")[2]
    token = ada.get(LIST).value("form_token")
    assert ada.post("/logout", {"form_token": token}).status == 303
    assert ada.get(LIST).status == 303
    assert "brave-otter" in again.get(LIST).text


@pytest.mark.parametrize("token", ["", " ", "unknown", "two words", "a\r\nImpersonate-User: root", "é", "x" * 20_000])
def test_who_is_not_known_gets_nothing(page: Serving, cluster: LiveCluster, token: str) -> None:
    stranger = Browser(page.port)
    assert stranger.post("/login", {"token": token}).status == 403
    assert "Set-Cookie" not in stranger.post("/login", {"token": token}).headers
    for path in ("/", LIST, "/namespaces/team/task-runs/load", "/namespaces/team/task-runs/load/log"):
        assert stranger.get(path).status == 303
    assert stranger.get("/namespaces/team/live/flow-runs/all", Accept="text/event-stream").status == 401
    assert not any("impersonate-user" in one for one in cluster.headers)


def test_a_proxys_token_counts_for_its_request_only(page: Serving) -> None:
    assert "brave-otter" in proxied(page, LIST, ADA).text
    assert "brave-otter" not in proxied(page, LIST, BOB).text
    assert proxied(page, LIST, "unknown").status == 303
    assert Browser(page.port).get(LIST, Authorization="Basic YTpi").status == 303
    assert Browser(page.port).get(LIST).status == 303


def test_the_token_counts_and_not_another_persons_cookie(page: Serving) -> None:
    browser = entered(page, ADA)
    assert "brave-otter" in browser.get(LIST).text
    assert "brave-otter" not in browser.get(LIST, Authorization=f"Bearer {BOB}").text
    assert browser.get(LIST, Authorization="Bearer unknown").status == 303


def test_no_header_of_a_browser_reaches_the_api_server(page: Serving, cluster: LiveCluster) -> None:
    more = {"Impersonate_User": "root", "Impersonate_Group": "system:masters", "X_Forwarded_User": "root"}
    assert proxied(page, LIST, ADA, **more).status == 200
    names = {name for one in cluster.headers for name in one}
    assert not [name for name in names if name.startswith(("impersonate", "x-forwarded", "cookie"))]


def test_a_token_that_ends_ends_the_session(page: Serving, cluster: LiveCluster) -> None:
    browser = entered(page, ADA)
    assert browser.get("/namespaces/team/task-runs/load").status == 200
    del cluster.people[ADA]
    assert browser.get("/namespaces/team/task-runs/load").headers["Location"] == "/login?ended=yes"
    assert browser.get(LIST).headers["Location"] == "/login"


@pytest.mark.parametrize("path", [LIST, f"{LIST}/etl-1f3a52b7", "/namespaces/team/task-runs"])
def test_a_list_says_that_the_token_has_ended_and_what_to_do(page: Serving, cluster: LiveCluster, path: str) -> None:
    """Lists are followed by watches, which end by themselves."""
    browser = entered(page, ADA)
    del cluster.people[ADA]
    answer = browser.get(path)
    assert (answer.status, answer.headers["Location"]) == (303, "/login?ended=yes")
    text = " ".join(browser.get(answer.headers["Location"]).text.split())
    assert "Your token has ended" in text
    assert "Paste a new one to go on." in text
    assert browser.post("/login", {"token": BOB}).status == 303


def test_an_open_page_is_told_that_the_token_has_ended(page: Serving, cluster: LiveCluster) -> None:
    """A script that asks in its name cannot see where a redirect leads."""
    browser = entered(page, ADA)
    del cluster.people[ADA]
    answer = browser.get(LIST, X_Live="yes")
    assert (answer.status, answer.headers["X-Ended"]) == (401, "yes")


def test_for_reading_only_unless_the_chart_says_more(page: Serving, cluster: LiveCluster) -> None:
    browser = entered(page, ADA)
    text = browser.get("/namespaces/team/task-runs/load").text
    for action in ("retry", "delete", "cancel"):
        assert f"/load/{action}" not in text
    token = browser.get(LIST).value("form_token")
    answer = browser.post("/namespaces/team/task-runs/load/delete", {"form_token": token})
    assert (answer.status, "for reading only" in answer.text) == (403, True)
    assert ("team", "load") in cluster.runs


@pytest.mark.parametrize("page", [{"actions": True}], indirect=True)
def test_with_actions_the_viewers_rights_decide(page: Serving, cluster: LiveCluster) -> None:
    browser = entered(page, ADA)
    token = browser.get(LIST).value("form_token")
    cluster.allowed.discard(("delete", "taskruns"))
    delete = "/namespaces/team/task-runs/load/delete"
    assert browser.post(delete, {"form_token": token}).status == 403
    assert browser.post(delete).status == 403
    cluster.allowed.add(("delete", "taskruns"))
    assert browser.post(delete, {"form_token": token}).status == 303
    assert ("team", "load") not in cluster.runs


def test_a_form_through_a_proxy_needs_its_token_too(page: Serving, cluster: LiveCluster) -> None:
    """A proxy sends the viewer's token with whatever another site makes the browser do."""
    answer = Browser(page.port).post("/namespaces/team/task-runs/load/delete", Authorization=f"Bearer {ADA}")
    assert (answer.status, "not from this page" in answer.text) == (403, True)
    foreign = Browser(page.port).post("/logout", Authorization=f"Bearer {ADA}", Origin="https://evil.example.org")
    assert foreign.status == 403


def test_hosts(page: Serving) -> None:
    browser = entered(page, ADA)
    assert browser.get(LIST, Host="evil.example.org").status == 400
    assert browser.get(LIST, Host=HOST).status == 200
    made = Browser(page.port)
    answer = made.post("/login", {"token": ADA}, Host=HOST, Origin=f"https://{HOST}")
    assert "Secure" in answer.headers["Set-Cookie"]
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    assert made.post("/login", {"token": ADA}, Host=HOST, Origin=f"http://{HOST}").status == 403


def test_the_kubelet_asks_by_the_pods_address(page: Serving) -> None:
    answer = Browser(page.port).get("/healthz", Host="10.1.2.3:8765")
    assert (answer.status, answer.text) == (200, "ok")


def test_logs_are_those_of_pods_and_no_bucket_is_asked_for(
    page: Serving, cluster: LiveCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the process would find credentials: they would be somebody else's."""
    monkeypatch.setenv("PODTASK_STORE", "file:///nowhere")
    text = " ".join(entered(page, ADA).get("/namespaces/team/task-runs/load").text.split())
    assert "for which this page has no credentials" in text
    owner = {"controller": True, "uid": "uid-load"}
    cluster.pods["team", "load-3"] = {"metadata": {"name": "load-3", "ownerReferences": [owner]}}
    cluster.logs["load-3"] = "2026-01-02T03:04:05Z from the pod\n"
    assert "from the pod" in entered(page, ADA).get("/namespaces/team/task-runs/load").text


STORE = {"bucket": "data", "prefix": "podtask", "endpoint": "", "region": "", "conditionalWrites": ""}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    """With the log of an attempt whose pod is gone, and one of another namespace."""
    made = MemoryStore()
    made.put("podtask/team/runs/uid-load/3/log/000001", b"from the bucket\nsecond line\n")
    made.put("podtask/other/runs/uid-load/3/log/000001", b"of another namespace\n")
    monkeypatch.setattr("podtask.core.storage.open_store", lambda *_, **__: made)
    return made


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("page", [{"store": STORE}], indirect=True)
def test_with_ui_store_a_log_outlives_its_pod(page: Serving, cluster: LiveCluster) -> None:
    cluster.allowed.add(("get", "pods/log"))
    browser = entered(page, ADA)
    text = browser.get("/namespaces/team/task-runs/load").text
    assert "from the bucket" in text
    assert "of another namespace" not in text
    assert "second line" in browser.get("/namespaces/team/task-runs/load?find=second").text
    assert browser.get("/namespaces/team/task-runs/load/log").text == "from the bucket\nsecond line\n"


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("page", [{"store": STORE}], indirect=True)
@pytest.mark.parametrize("path", ["", "?find=bucket", "/log"])
def test_who_may_not_read_logs_of_pods_gets_none_of_the_bucket(page: Serving, cluster: LiveCluster, path: str) -> None:
    """Asked at each reading: a right that was taken away is gone."""
    cluster.allowed.add(("get", "pods/log"))
    browser = entered(page, ADA)
    assert "from the bucket" in browser.get("/namespaces/team/task-runs/load").text
    cluster.allowed.discard(("get", "pods/log"))
    text = " ".join(browser.get(f"/namespaces/team/task-runs/load{path}").text.split())
    assert "from the bucket" not in text
    assert "you may not get pods/log in namespace" in text
    assert "from the bucket" not in entered(page, BOB).get(f"/namespaces/team/task-runs/load{path}").text


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"PODTASK_UI_SERVER": "x", "PODTASK_UI_ACTIONS": "yes"}, "PODTASK_UI_ACTIONS must be on or off, not 'yes'"),
        ({"PODTASK_UI_SERVER": "x", "PODTASK_UI_PORT": "http"}, "PODTASK_UI_PORT must be a port, not 'http'"),
        ({}, "KUBERNETES_SERVICE_HOST is not set"),
    ],
)
def test_settings_that_are_wrong(environment: dict[str, str], sentence: str) -> None:
    with pytest.raises(PodtaskError, match=sentence):
        Settings.of(environment)


def test_no_token_is_made_a_header_by_halves() -> None:
    for token in ("", "a b", "a\nb", "ä", "="):
        with pytest.raises(ValueError, match="no bearer token"):
            as_bearer(token, "http://127.0.0.1:1", None, "team")


def test_started_as_the_chart_does(cluster: LiveCluster) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with serving(cluster) as address:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PODTASK_")}
        environment |= {"PODTASK_UI_SERVER": address, "PODTASK_UI_PORT": str(port), "PODTASK_UI_NAMESPACE": "team"}
        process = subprocess.Popen([sys.executable, "-m", "podtask.ui"], env=environment, stderr=subprocess.PIPE)
        try:
            assert process.stderr is not None
            assert process.stderr.readline() == f"podtask ui: serving on port {port}\n".encode()
            browser = Browser(port)
            assert browser.post("/login", {"token": ADA}).status == 303
            assert browser.get("/").headers["Location"] == LIST
            assert "brave-otter" in browser.get(LIST).text
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate()


def test_in_chromium(page: Serving, chromium: Start, checks: Path) -> None:
    from selenium.webdriver.common.by import By

    driver = chromium()
    driver.get(f"http://127.0.0.1:{page.port}/")
    for width, dark in ((360, False), (360, True), (1600, False), (1600, True)):
        look(driver, width, dark=dark)
        wide = driver.execute_script("const all = document.documentElement; return all.scrollWidth - all.clientWidth")
        assert wide <= 0
        assert violations(driver, checks) == []
    driver.find_element(By.ID, "token").send_keys(ADA)
    driver.find_element(By.CSS_SELECTOR, ".token button").click()
    until(driver, "return location.pathname.endsWith('/flow-runs') && document.body.innerText.includes('brave-otter')")
    until(driver, "return document.getElementById('pulse').textContent === 'Live'")
    driver.find_element(By.CSS_SELECTOR, ".foot button").click()
    until(driver, "return location.pathname === '/login'")
    assert complaints(driver) == []
