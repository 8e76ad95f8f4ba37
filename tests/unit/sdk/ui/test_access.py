"""Who gets in, by which login, and what every answer carries. Over real HTTP."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.sdk.ui import worlds
from tests.unit.sdk.ui.conftest import Browser, World

from podtask.errors import PodtaskError
from podtask.ui.access.sessions import IDLE_SECONDS, LINKS, SESSIONS, Sessions
from podtask.ui.server import bound

LIST = "/namespaces/team/flow-runs"


def test_without_a_session_there_is_only_the_way_in(world: World) -> None:
    worlds.one(world.cluster)
    stranger = world.stranger()
    for path in ("/", LIST, f"{LIST}/hello-5f1c", "/namespaces/team/task-runs/hello-ada", "/nowhere"):
        answer = stranger.get(path)
        assert (answer.status, answer.headers["Location"]) == (303, "/login")
    assert stranger.get("/namespaces/team/live/flow-runs/all", Accept="text/event-stream").status == 401
    assert stranger.get(LIST, X_Live="yes").status == 401
    assert stranger.post("/namespaces/team/task-runs/hello-ada/delete").status == 303
    assert world.cluster.written() == []
    assert "No session" in stranger.get("/login").text


def test_a_link_works_once_and_looking_at_it_does_not_use_it_up(world: World) -> None:
    link = world.page.link()
    preview, person, thief = world.stranger(), world.stranger(), world.stranger()
    path = link.partition(f":{world.page.port}")[2]
    assert "Set-Cookie" not in preview.get(path).headers
    assert person.enter(link).status == 303
    assert person.get(LIST).status == 200
    answer = thief.enter(link)
    assert answer.status == 403
    assert "This link has been used" in answer.text
    assert thief.get(LIST).status == 303


def test_the_next_link_is_printed_when_one_was_used(world: World) -> None:
    assert world.links == []
    world.browser()
    (link,) = world.links
    assert world.stranger().enter(link).status == 303


def test_the_cookie_is_for_this_port_and_for_nobody_elses_pages(world: World) -> None:
    answer = world.stranger().enter(world.page.link())
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith(f"podtask-ui-{world.page.port}=")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert answer.headers["Location"] == "/"


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:{port}", "[::1]:{port}", ""]
)
def test_another_host_is_refused_also_with_a_session(world: World, host: str) -> None:
    browser = world.browser()
    for path in (LIST, "/login", "/static/page.js"):
        assert browser.get(path, Host=host.format(port=world.page.port)).status == 400
    assert browser.get(LIST, Host=f"localhost:{world.page.port}").status == 200


def test_every_answer_forbids_foreign_code_and_frames(world: World) -> None:
    browser = world.browser()
    for path in (
        LIST,
        "/login",
        "/static/page.js",
        "/static/../../__init__.py",
        "/nowhere",
        "/namespaces/team/task-runs/no",
    ):
        headers = browser.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] in ("no-store", "no-cache")
        assert headers["Access-Control-Allow-Origin"] is None
    assert browser.get(LIST).headers["Cache-Control"] == "no-store"


def test_no_page_has_code_or_style_in_it(world: World) -> None:
    worlds.day(world.cluster)
    browser = world.browser()
    for path in (LIST, f"{LIST}/etl-1f3a52b7", "/namespaces/team/task-runs/load"):
        text = browser.get(path).text
        assert "<style" not in text
        assert " style=" not in text
        assert " onclick" not in text
        assert text.count("<script") == 1


def test_only_what_is_static_is_served_from_the_disk(world: World) -> None:
    browser = world.browser()
    assert browser.get("/static/page.js").status == 200
    for path in ("/static/../routes/pages.py", "/static/%2e%2e/server.py", "/static//etc/passwd", "/static/"):
        assert browser.get(path).status == 404


@pytest.mark.parametrize("token", ["", "x", "ü"])
def test_a_form_without_the_sessions_token_changes_nothing(world: World, token: str) -> None:
    worlds.one(world.cluster)
    browser = world.browser()
    answer = browser.post("/namespaces/team/task-runs/hello-ada/delete", {"form_token": token})
    assert answer.status == 403
    assert "Go back, reload" in answer.text
    assert ("team", "hello-ada") in world.cluster.runs


def test_a_token_of_another_session_or_a_form_of_another_site_changes_nothing(world: World) -> None:
    worlds.one(world.cluster)
    one, other = world.browser(), world.browser()
    path = "/namespaces/team/task-runs/hello-ada/delete"
    token = one.get(path).value("form_token")
    assert other.post(path, {"form_token": token}).status == 403
    assert one.post(path, {"form_token": token}, Origin="http://evil.example").status == 403
    assert one.post(path, {"form_token": token}, Origin="null").status == 403
    assert one.post(path, {"form_token": token, "x": "y" * 20_000}).status == 403
    assert ("team", "hello-ada") in world.cluster.runs
    assert one.post(path, {"form_token": token}).status == 303
    assert ("team", "hello-ada") not in world.cluster.runs


def test_a_session_can_be_ended(world: World) -> None:
    browser = world.browser()
    token = browser.get(LIST).value("form_token")
    kept = Browser(browser.port, dict(browser.cookies))
    assert browser.post("/logout", {"form_token": token}).status == 303
    assert kept.get(LIST).status == 303


@pytest.mark.parametrize(
    "place", ["//evil.example", "https://evil.example", "\\evil", "../..", "a/b", "A", "x" * 64, "%0d%0aX: y"]
)
def test_the_namespace_form_leads_nowhere_else(world: World, place: str) -> None:
    from urllib.parse import quote

    answer = world.browser().get(f"/?namespace={quote(place)}")
    assert answer.headers["Location"] == LIST


def test_names_in_urls_ask_the_api_server_nothing_else(world: World) -> None:
    """`?`, `..`, `/` and line ends in a name, encoded once or twice."""
    browser = world.browser()
    world.cluster.asked.clear()
    for name in (
        "x%3Fwatch=true",
        "..%2F..%2Fsecrets",
        "%2e%2e",
        "x%0d%0ay",
        "x%23y",
        "x%2525",
        "X",
        "x" * 300,
        "a..b",
        "-x",
        "%00",
    ):
        for kind in ("task-runs", "flow-runs"):
            browser.get(f"/namespaces/team/{kind}/{name}/delete")
        browser.get(f"/namespaces/team/live/task-runs/{name}", Accept="text/event-stream")
        browser.get(f"/namespaces/{name}/flow-runs")
    assert world.cluster.asked
    for _, path, _ in world.cluster.asked:
        assert path.startswith("/apis/podtask.dev/v1alpha1/namespaces/team/flowruns/"), path
        assert path.rpartition("/")[2] == "X", path


def test_podtask_ui_as_a_person_starts_and_ends_it(world: World, tmp_path: Path) -> None:
    worlds.one(world.cluster)
    command = [sys.executable, "-m", "podtask.cli", "ui", "--port", "0"]
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PODTASK_")}
    environment = {**ours, "KUBECONFIG": str(tmp_path / "kubeconfig"), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        link = running.stdout.readline().removeprefix("Open ").strip()
        port = int(link.removeprefix("http://127.0.0.1:").partition("/")[0])
        browser = Browser(port)
        assert browser.enter(link).status == 303
        assert running.stdout.readline().startswith("For another browser: http://127.0.0.1:")
        assert browser.get("/").headers["Location"] == LIST
        assert "hello" in browser.get("/namespaces/team/task-runs/hello-ada").text
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 130
        assert running.stderr.read().strip() == ""


def test_a_port_that_is_taken_is_a_sentence(world: World) -> None:
    with pytest.raises(PodtaskError, match=f"Port {world.page.port} of 127.0.0.1 cannot be used .* --port"):
        bound(world.page.port)


class TestSessions:
    def test_they_are_few_and_the_oldest_go_first(self) -> None:
        now = [0.0]
        sessions = Sessions(lambda: now[0])
        opened = []
        for _ in range(SESSIONS + 3):
            now[0] += 1
            session = sessions.open(sessions.link())
            assert session is not None
            opened.append(session.id)
        assert [sessions.find(one) is None for one in opened] == [True] * 3 + [False] * SESSIONS

    def test_who_is_away_for_half_a_day_comes_again_by_a_link(self) -> None:
        now = [0.0]
        sessions = Sessions(lambda: now[0])
        session = sessions.open(sessions.link())
        assert session is not None
        now[0] += IDLE_SECONDS - 1
        assert sessions.find(session.id) is session
        now[0] += IDLE_SECONDS + 1
        assert sessions.find(session.id) is None

    def test_links_that_nobody_used_are_few(self) -> None:
        sessions = Sessions()
        links = [sessions.link() for _ in range(LINKS + 1)]
        assert sessions.open(links[0]) is None
        assert sessions.open(links[1]) is not None
