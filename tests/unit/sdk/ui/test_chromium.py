"""The page in a real Chromium: it opens, follows, shows hostile names as text, fits, and axe-core finds nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.sdk.ui import odd_worlds, worlds
from tests.unit.sdk.ui.conftest import ROOT, World, look

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

Start = Callable[..., "Chrome"]
TEXT = "(document.getElementById('main')?.textContent ?? '').replace(/\\s+/g, ' ')"
TOO_WIDE = "const all = document.documentElement; return all.scrollWidth - all.clientWidth"
LINES = "return [...document.querySelectorAll('#lines .line')].map((one) => one.innerText.trim())"
FOREIGN = "return document.querySelectorAll('main img, main script, main iframe, main [onerror], main [style]').length"
STATIC = ROOT / "sdk" / "podtask" / "ui" / "static"
HOSTILE = '<img src=x onerror="document.title=`taken`"></script><script>document.title="taken"</script>\u202e\x1b[31m'
HOSTILE_PATHS = (
    "flow-runs",
    "flow-runs/evil-flow",
    "flow-runs/evil-flow?q=%3Cscript%3E",
    "task-runs",
    "task-runs/evil",
    "task-runs/evil?find=img",
    "task-runs/evil/yaml",
    "task-runs/evil/delete",
)
WORLDS = {**worlds.WORLDS, "odd": odd_worlds.odd}
PATHS = {
    "day": ("flow-runs", "flow-runs/etl-1f3a52b7", "flow-runs/train-77c0de", "flow-runs/ingest-0ff1ce",
            "task-runs", "task-runs/load", "task-runs/load/retry", "task-runs/load/yaml", "task-runs/nothing"),
    "nothing": ("flow-runs", "task-runs"),
    "one": ("flow-runs", "flow-runs/hello-5f1c", "task-runs/hello-ada", "flow-runs/hello-5f1c/delete"),
    "longest": ("flow-runs", f"flow-runs/{'f' * 63}", f"task-runs/{worlds.LONGEST_NAME[:-2]}01"),
    "failed": ("flow-runs", "flow-runs/night-03", "task-runs/night-03-1"),
    "odd": ("flow-runs", "flow-runs/parent-1", "flow-runs/empty-1", "flow-runs/warm-1", "flow-runs/reused-1",
            "flow-runs/stopped-1", "flow-runs/wide-1", "flow-runs/wide-1?q=task-100", "task-runs/quick-1"),
}  # fmt: skip
QUICK = ("odd", "day", "nothing")
"""The two worlds with most of what there is, and the one with nothing; `make test-long` looks at all."""


def until(driver: Chrome, script: str, *arguments: object, seconds: int = 30) -> Any:
    """What the script returns, as soon as that is true."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(driver, seconds, 0.05).until(lambda one: one.execute_script(script, *arguments))


def entered(world: World, driver: Chrome) -> Chrome:
    """Through a printed link, which opens by itself."""
    driver.get(world.page.link())
    until(driver, "return location.pathname.endsWith('/flow-runs') && document.readyState === 'complete'")
    return driver


def visit(world: World, driver: Chrome, path: str) -> None:
    """A page of namespace `team`, with everything that it has to read."""
    driver.get(f"{world.address}/namespaces/team/{path}")
    until(driver, "return !document.body.innerText.includes('Still reading')")


def violations(driver: Chrome, checks: Path) -> list[str]:
    """What axe-core objects to."""
    if not driver.execute_script("return Boolean(window.axe)"):
        driver.execute_script((checks / "axe-core" / "axe.min.js").read_text())
    found = driver.execute_async_script(
        "const done = arguments[0]; axe.run().then((result) => done(result.violations))"
    )
    return [f"{one['id']}: {[node['html'][:200] for node in one['nodes'][:3]]}" for one in found]


def complaints(driver: Chrome) -> list[str]:
    """What the browser itself objects to, the answers 404 and 409 of a test left out."""
    return [one["message"] for one in driver.get_log("browser") if "status of 404" not in one["message"]]


def fits_and_is_accessible(driver: Chrome, checks: Path, path: str) -> None:
    """The page that is open fits at every width; axe-core looks at both kinds of colours and at two widths."""
    for width, dark, looked_at in ((360, True, True), (1600, False, True), (3840, False, False)):
        look(driver, width, dark=dark)
        wide = driver.execute_script(TOO_WIDE)
        assert wide <= 0, f"{path} is {wide} px wider than a window of {width} px"
        if looked_at:
            assert violations(driver, checks) == [], f"{path} at {width} px{' in the dark' if dark else ''}"


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.long) for name in PATHS]
)
def test_every_page_fits_and_is_accessible(world: World, chromium: Start, checks: Path, name: str) -> None:
    """At 360, 1600 and 3840 pixels, in light and dark."""
    WORLDS[name](world.cluster)
    driver = entered(world, chromium())
    for path in PATHS[name]:
        visit(world, driver, path)
        fits_and_is_accessible(driver, checks, path)
    assert complaints(driver) == []


def test_on_a_phone_the_head_of_a_page_is_two_lines(world: World, chromium: Start) -> None:
    """Where the page is live, and which namespace it shows, stood on lines of their own."""
    worlds.one(world.cluster)
    driver = entered(world, chromium(360))
    visit(world, driver, "flow-runs")
    until(driver, "return document.getElementById('pulse').textContent === 'Live'")
    tops = driver.execute_script(
        "return [...document.querySelectorAll('.brand, .top nav, .place, .pulse')]"
        ".map((one) => { const box = one.getBoundingClientRect(); return (box.top + box.bottom) / 2 })"
    )
    lines = sorted({round(top / 20) for top in tops})
    assert len(lines) == 2, tops


def test_what_changes_is_on_the_page_without_a_reload(world: World, chromium: Start) -> None:
    worlds.day(world.cluster)
    driver = entered(world, chromium())
    visit(world, driver, "flow-runs/train-77c0de")
    until(driver, "return document.getElementById('pulse').textContent === 'Live'")
    driver.execute_script("window.same = 'yes'")
    done = worlds.task_run("fold-2", task="fit", flow="train", flow_run="train-77c0de", created=200,
                           attempts=[worlds.attempt(1, 100, 1)])  # fmt: skip
    world.cluster.put(done)
    until(driver, f"return {TEXT}.includes('4 Completed')")
    world.cluster.drop(done)
    until(driver, f"return {TEXT}.includes('9 in all')")
    world.cluster.put(worlds.flow_run("train-77c0de", "Cancelled", flow="train", began=240))
    until(driver, "return document.querySelector('.titles .chip').textContent.includes('Cancelled')")
    assert driver.execute_script("return window.same") == "yes"
    assert complaints(driver) == []


def test_a_lost_watch_loses_nothing(world: World, chromium: Start) -> None:
    """What happened while the version to watch from was forgotten by the server is listed anew."""
    worlds.one(world.cluster)
    driver = entered(world, chromium())
    visit(world, driver, "flow-runs/hello-5f1c")
    until(driver, "return document.getElementById('pulse').textContent === 'Live'")
    world.cluster.forget(worlds.task_run("late", flow="hello", flow_run="hello-5f1c"))
    until(driver, f"return {TEXT}.includes('2 in all')")


def test_a_log_is_followed_while_it_is_printed(world: World, chromium: Start) -> None:
    running = worlds.task_run("busy", "Running", attempts=[worlds.attempt(1, 5, None)])
    world.cluster.put(running)
    owner = {"controller": True, "uid": "uid-busy"}
    world.cluster.pods["team", "busy-1"] = {"metadata": {"name": "busy-1", "ownerReferences": [owner]}}
    world.cluster.logs["busy-1"] = "".join(f"2026-01-02T03:04:{n:02}Z \x1b[32mrow {n}\x1b[0m <b>\n" for n in range(20))
    driver = entered(world, chromium())
    visit(world, driver, "task-runs/busy")
    until(driver, "return document.getElementById('logend').textContent.startsWith('This is the end')")
    lines = driver.execute_script(
        "return [...document.querySelectorAll('#lines .line')].map((one) => one.innerText.trim())"
    )
    assert lines == [f"row {n} <b>" for n in range(20)]
    assert driver.execute_script("return document.querySelectorAll('#lines .a-green').length") == 20
    world.store.put(world.keys("uid-busy").log + "000001", b"all of it, from the bucket\n")
    world.cluster.put(worlds.task_run("busy", attempts=[worlds.attempt(1, 5, 1)]))
    until(driver, f"return {TEXT}.includes('all of it, from the bucket')")
    assert driver.execute_script("return document.querySelector('.titles .chip').textContent").strip() == "Completed"
    assert complaints(driver) == []


def test_hostile_texts_are_texts(world: World, chromium: Start) -> None:
    """Wherever a tenant can write: nothing runs, nothing is loaded, nothing turns the direction of text around."""
    name = "evil"
    error = {"type": HOSTILE, "message": HOSTILE, "traceback": HOSTILE, "cure": HOSTILE}
    cache = {"outcome": "Miss", "missReason": HOSTILE, "key": HOSTILE}
    value = {"value": f'"{HOSTILE}"', "digest": "0" * 64, "size": 3, "serializer": HOSTILE[:200], "attempt": 1}
    tried = worlds.attempt(1, 100, 50, "Failed", message=HOSTILE, cure=HOSTILE, node=HOSTILE)
    status = {"error": error, "cache": cache, "result": value, "message": HOSTILE, "duration": HOSTILE[:30]}
    asked = {"parameters": {HOSTILE: HOSTILE}, "tags": [HOSTILE]}
    run = worlds.task_run(name, "Failed", task=HOSTILE, flow=HOSTILE, flow_run="evil-flow", attempts=[tried],
                          status=status, spec=asked)  # fmt: skip
    run["metadata"]["annotations"] = {"note": HOSTILE}
    parameters = [{"name": HOSTILE, "type": HOSTILE, "value": HOSTILE, "omitted": HOSTILE}]
    spec = {"pin": HOSTILE, "driver": {"id": "1", "host": HOSTILE, "program": HOSTILE, "sdkVersion": HOSTILE}}
    lost = {"type": "DriverLost", "status": "True", "reason": "x", "message": HOSTILE}
    flow = worlds.flow_run("evil-flow", "Running", flow=HOSTILE, title=HOSTILE, tags=[HOSTILE], parameters=parameters,
                           spec=spec, status={"message": HOSTILE, "result": HOSTILE, "conditions": [lost]})  # fmt: skip
    event = {"involvedObject": {"kind": "TaskRun", "name": name, "uid": "uid-evil"}, "type": HOSTILE, "reason": HOSTILE,
             "message": HOSTILE, "lastTimestamp": worlds.at(40)}  # fmt: skip
    world.cluster.put(run, flow)
    world.cluster.events.append(event)
    world.store.put(world.keys("uid-evil").log + "000001", f"{HOSTILE}\n".encode())
    driver = entered(world, chromium())
    for path in HOSTILE_PATHS:
        visit(world, driver, path)
        assert driver.title != "taken"
        assert driver.execute_script(FOREIGN) == 0, path
        text = driver.execute_script("return document.body.innerText")
        assert "\u202e" not in text
        assert "\x1b" not in text
        if "q=" not in path:
            assert "<img src=x onerror=" in text, path
    assert complaints(driver) == []


def test_without_javascript_everything_can_be_read_and_done(world: World, chromium: Start) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    worlds.day(world.cluster)
    driver = chromium(javascript=False)
    driver.get(world.page.link())
    driver.find_element(By.CSS_SELECTOR, "#enter button").click()
    driver.find_element(By.LINK_TEXT, "etl").click()
    assert "Failed first" in driver.find_element(By.TAG_NAME, "main").text
    driver.find_element(By.CSS_SELECTOR, ".first a").click()
    assert "no numbers in row" in driver.find_element(By.TAG_NAME, "main").text
    driver.find_element(By.LINK_TEXT, "Retry").click()
    driver.find_element(By.CSS_SELECTOR, "main form button").click()
    WebDriverWait(driver, 30, 0.05).until(lambda one: one.current_url.endswith("/task-runs/load-r2"))
    assert ("team", "load-r2") in world.cluster.runs


def test_the_back_button_and_filters_in_the_url(world: World, chromium: Start) -> None:
    from selenium.webdriver.common.by import By

    worlds.day(world.cluster)
    driver = entered(world, chromium())
    visit(world, driver, "flow-runs")
    driver.find_element(By.PARTIAL_LINK_TEXT, "Cancelled").click()
    until(driver, "return location.search === '?state=Cancelled'")
    assert len(driver.find_elements(By.CSS_SELECTOR, "tbody tr")) == 3
    driver.find_element(By.CSS_SELECTOR, "tbody tr a").click()
    until(driver, "return location.pathname.includes('/flow-runs/report-')")
    driver.back()
    until(driver, "return location.search === '?state=Cancelled'")
    assert len(driver.find_elements(By.CSS_SELECTOR, "tbody tr")) == 3


def test_ten_thousand_task_runs(world: World, chromium: Start, checks: Path) -> None:
    """They are counted, drawn by task, and listed by pages of 200."""
    from selenium.webdriver.common.by import By

    worlds.many(world.cluster)
    driver = entered(world, chromium())
    driver.get(f"{world.address}/namespaces/team/flow-runs/wide-10k")
    until(driver, f"return {TEXT}.includes('10,000 in all')", seconds=90)
    assert len(driver.find_elements(By.CSS_SELECTOR, "section table tbody tr")) == 200
    assert len(driver.find_elements(By.CSS_SELECTOR, ".timeline li.trow")) == 4
    assert driver.execute_script("return document.getElementsByTagName('*').length") < 6000
    driver.find_element(By.LINK_TEXT, "Next").click()
    until(driver, f"return {TEXT}.includes('of 10,000 Previous')")
    assert violations(driver, checks) == []


def test_the_script_is_typed(checks: Path) -> None:
    options = [
        "--noEmit",
        "--allowJs",
        "--checkJs",
        "--strict",
        "--target",
        "es2022",
        "--lib",
        "es2022,dom,dom.iterable",
    ]
    tsc = checks / "typescript" / "bin" / "tsc"
    command = ["node", tsc, *options, STATIC / "page.js"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
