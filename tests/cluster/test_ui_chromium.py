"""The page in a real Chromium, in front of the real API server: a person starts `podtask ui` and follows a flow."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.drivers import driver as driven
from tests.cluster.drivers import lines_of
from tests.cluster.kit import World, let_go
from tests.unit.sdk.ui.conftest import checks, chromium  # noqa: F401 - fixtures
from tests.unit.sdk.ui.test_chromium import TEXT, Start, complaints, until, violations

pytestmark = pytest.mark.cluster

WATCHED = """
from podtask import flow, task

@task
def gated(x):
    import os, time
    print("the gate is closed", flush=True)
    while not os.path.exists("/tmp/go"):
        time.sleep(0.05)
    print("the gate is open", flush=True)
    return x

@flow
def watched():
    one = gated(1)
    print(one.run_id)
    print(one.result())

watched()
"""
LOADED = "return document.readyState === 'complete' && location.pathname.endsWith(arguments[0])"
PRINTED = "return Boolean(document.getElementById('lines')?.innerText.includes(arguments[0]))"
STATE = "return Boolean(document.querySelector('.titles .chip')?.textContent.includes(arguments[0]))"


@pytest.fixture
def link(served: World) -> Iterator[str]:
    """What `podtask ui` prints."""
    command = [sys.executable, "-u", "-m", "podtask.cli", "ui", "--port", "0", "-n", served.namespace]
    with subprocess.Popen(command, env=dict(os.environ), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().removeprefix("Open ").strip()
        finally:
            process.kill()


@pytest.mark.timeout(300)
def test_a_flow_is_followed_and_its_task_run_is_retried_and_cancelled(
    served: World,
    link: str,
    chromium: Start,  # noqa: F811
    checks: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    from selenium.webdriver.common.by import By

    browser = chromium()
    browser.get(link)
    until(browser, LOADED, "/flow-runs")
    here = browser.current_url.removesuffix("/flow-runs")
    with driven(tmp_path, WATCHED, served.namespace, "watched") as process:
        (name,) = lines_of(process, 1)
        served.in_state(name, "Running")
        until(browser, f"return {TEXT}.includes('watched')")
        browser.find_element(By.LINK_TEXT, "watched").click()
        until(browser, f"return location.pathname.includes('/flow-runs/') && {TEXT}.includes('1 Running')")
        flow_run = browser.current_url
        assert violations(browser, checks) == []
        browser.get(f"{here}/task-runs/{name}")
        until(browser, PRINTED, "the gate is closed")
        browser.back()
        until(browser, "return location.href === arguments[0] && document.readyState === 'complete'", flow_run)
        browser.execute_script("window.same = 'yes'")
        let_go(served, f"{name}-1")
        until(browser, STATE, "Completed")
        assert browser.execute_script("return window.same") == "yes", "it was loaded anew"
        out, said = process.communicate(timeout=90)
    assert (process.returncode, out) == (0, "1\n"), said
    browser.get(f"{here}/task-runs/{name}")
    until(browser, PRINTED, "the gate is open")
    browser.find_element(By.LINK_TEXT, "Retry").click()
    until(browser, LOADED, "/retry")
    browser.find_element(By.CSS_SELECTOR, "main form button").click()
    until(browser, LOADED, f"/{name}-r2")
    served.in_state(f"{name}-r2", "Running")
    browser.get(f"{here}/task-runs/{name}-r2/cancel")
    browser.find_element(By.CSS_SELECTOR, "main form button").click()
    assert served.finished(f"{name}-r2")["status"]["state"] == "Cancelled"
    until(browser, LOADED, f"/{name}-r2")
    until(browser, STATE, "Cancelled")
    assert complaints(browser) == []
