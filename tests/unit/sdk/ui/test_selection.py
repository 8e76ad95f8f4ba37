"""Retry of what a flow run's page shows and what did not succeed."""

from __future__ import annotations

import re
from html import unescape

import pytest
from tests.unit.sdk.ui import worlds
from tests.unit.sdk.ui.conftest import Browser, World, look
from tests.unit.sdk.ui.test_chromium import Start, complaints, entered, until, violations, visit

from podtask.ui.routes import selection

PAGE = "/namespaces/team/flow-runs/etl-1f3a52b7"


@pytest.fixture
def browser(world: World) -> Browser:
    worlds.day(world.cluster)
    return world.browser()


def button(browser: Browser, query: str = "") -> str | None:
    """Where the button leads."""
    found = re.search(r'href="([^"]*/retry[^"]*)"', browser.get(PAGE + query).text)
    return unescape(found[1]) if found else None


def retried(browser: Browser, query: str = "") -> int:
    link = button(browser, query)
    assert link is not None
    asked = browser.get(link)
    assert asked.status == 200
    answer = browser.post(link, {"form_token": asked.value("form_token"), "runs": asked.value("runs")})
    assert answer.headers["Location"] == PAGE
    return answer.status


def made(world: World) -> set[str]:
    return {name for _, name in world.cluster.runs if name.endswith("-r2")}


def test_all_that_failed_are_repeated_with_their_repeats_as_upstreams(world: World, browser: Browser) -> None:
    assert retried(browser) == 303
    assert made(world) == {"load-r2", "notify-r2", "summary-r2"}
    assert world.cluster.runs["team", "summary-r2"]["spec"]["upstream"][0]["taskRun"] == "load-r2"
    assert world.cluster.runs["team", "notify-r2"]["metadata"]["labels"]["podtask.dev/flow-run"] == "etl-1f3a52b7"


def test_the_button_says_how_many(browser: Browser) -> None:
    assert "Retry the 3 without success" in browser.get(PAGE).text


def test_the_filter_is_the_selection(world: World, browser: Browser) -> None:
    assert retried(browser, "?state=Failed") == 303
    assert made(world) == {"load-r2"}


def test_what_was_repeated_already_is_not_counted(world: World, browser: Browser) -> None:
    load = worlds.task_run("load-r2", "Failed", task="load", attempts=[worlds.attempt(1, 9, 5, "Failed")])
    load["metadata"]["labels"]["podtask.dev/retry-of"] = "load"
    world.cluster.put(load)
    notify = worlds.task_run("notify-r2", "Completed", task="notify", attempts=[worlds.attempt(1, 9, 5, "Completed")])
    notify["metadata"]["labels"]["podtask.dev/retry-of"] = "notify"
    world.cluster.put(notify)
    assert "Retry the 2 without success" in browser.get(PAGE).text
    link = button(browser)
    assert link is not None
    assert sorted(browser.get(link).value("runs").split(",")) == ["load-r2", "summary"]


def test_nothing_is_offered_where_nothing_is_to_be_done(world: World, browser: Browser) -> None:
    assert button(browser, "?state=Completed") is None
    assert browser.get(f"{PAGE}/retry?state=Completed").status == 404


def test_without_the_right_there_is_no_button_and_no_way(world: World) -> None:
    world.cluster.allowed.discard(("create", "taskruns"))
    worlds.day(world.cluster)
    browser = world.browser()
    assert button(browser) is None
    token = browser.get(PAGE).value("form_token")
    assert browser.post(f"{PAGE}/retry", {"form_token": token, "runs": "load"}).status == 403
    assert made(world) == set()


@pytest.mark.parametrize(
    ("runs", "status"),
    [("", 400), ("../etc", 400), ("load," * 101, 400), ("nothing", 409), ("clean-eu", 409), ("fold-1", 409),
     ("adhoc", 409)],
)  # fmt: skip
def test_a_form_that_somebody_made(world: World, browser: Browser, runs: str, status: int) -> None:
    """Names that are none, runs that are not there, succeeded, go on, or are of another flow run."""
    token = browser.get(PAGE).value("form_token")
    assert browser.post(f"{PAGE}/retry", {"form_token": token, "runs": runs}).status == status
    assert browser.post(f"{PAGE}/retry", {"runs": "load"}).status == 403
    assert made(world) == set()


def test_what_failed_meanwhile_is_not_repeated_with_them(world: World, browser: Browser) -> None:
    link = button(browser)
    assert link is not None
    asked = browser.get(link)
    world.cluster.put(worlds.task_run("late", "Failed", attempts=[worlds.attempt(1, 9, 5, "Failed")]))
    browser.post(link, {"form_token": asked.value("form_token"), "runs": asked.value("runs")})
    assert "late-r2" not in made(world)


def test_many_are_cut(world: World, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "SELECTED", 2)
    text = " ".join(browser.get(f"{PAGE}/retry").text.split())
    assert "Retry 2 task runs?" in text
    assert "1 more are left for another time." in text


def test_in_chromium(world: World, chromium: Start, checks: object) -> None:
    from pathlib import Path

    from selenium.webdriver.common.by import By

    assert isinstance(checks, Path)
    worlds.day(world.cluster)
    driver = entered(world, chromium())
    visit(world, driver, "flow-runs/etl-1f3a52b7")
    driver.find_element(By.PARTIAL_LINK_TEXT, "without success").click()
    for width, dark in ((360, False), (360, True), (1600, False), (1600, True)):
        look(driver, width, dark=dark)
        wide = driver.execute_script("const all = document.documentElement; return all.scrollWidth - all.clientWidth")
        assert wide <= 0
        assert violations(driver, checks) == []
    driver.find_element(By.CSS_SELECTOR, "main form button").click()
    until(driver, "return location.pathname.endsWith('/flow-runs/etl-1f3a52b7')")
    assert made(world) == {"load-r2", "notify-r2", "summary-r2"}
    assert complaints(driver) == []
