"""What a person is doing on a page goes on while the page is updated."""

from __future__ import annotations

from pathlib import Path

import pytest
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By
from tests.unit.sdk.ui import worlds
from tests.unit.sdk.ui.conftest import World
from tests.unit.sdk.ui.test_chromium import STATIC, TEXT, Start, complaints, entered, until, visit

PLACES = {
    "flow-runs": ".list a[href$='/flow-runs/hello-5f1c']",
    "flow-runs/hello-5f1c": "table a[href$='/task-runs/hello-ada']",
    "task-runs": ".list a[href$='/task-runs/hello-ada']",
}
TIMELINE = ".timeline a[href$='/task-runs/hello-ada']"
GRAPH = ".graph a[href$='/task-runs/hello-ada']"
TARGET = "return new URL(arguments[0].getAttribute('href'), location).href"
LONG_ENOUGH = "setTimeout(arguments[0], 2500)"
"""What does not happen can only be waited for: the page draws at most a second after a change."""


def opened(world: World, chromium: Start, path: str) -> Chrome:
    worlds.one(world.cluster)
    reader = worlds.task_run("reader", flow="hello", flow_run="hello-5f1c", created=50, needs=["hello-ada"])
    world.cluster.put(reader)
    driver = entered(world, chromium())
    visit(world, driver, path)
    until(driver, "return document.getElementById('pulse').textContent === 'Live'")
    return driver


def another(world: World, driver: Chrome, name: str = "newest") -> None:
    """A flow run and a task run arrive and are drawn, above those that are there."""
    world.cluster.put(
        worlds.flow_run(name, "Running", flow=name, began=1),
        worlds.task_run(name, flow="hello", flow_run="hello-5f1c", created=1),
    )
    until(driver, f"return {TEXT}.includes(arguments[0])", name)


def prints(world: World, pod: str, line: str) -> None:
    owner = {"controller": True, "uid": f"uid-{pod.rpartition('-')[0]}"}
    world.cluster.pods["team", pod] = {"metadata": {"name": pod, "ownerReferences": [owner]}}
    world.cluster.logs[pod] = f"2026-01-02T03:04:05Z {line}\n"


@pytest.mark.parametrize(
    ("path", "link"), [*PLACES.items(), ("flow-runs/hello-5f1c", TIMELINE), ("flow-runs/hello-5f1c", GRAPH)]
)
def test_a_click_that_began_before_an_update_leads_where_it_pointed(
    world: World, chromium: Start, path: str, link: str
) -> None:
    driver = opened(world, chromium, path)
    element = driver.find_element(By.CSS_SELECTOR, link)
    target = driver.execute_script(TARGET, element)
    another(world, driver)
    assert driver.execute_script(TARGET, element) == target, "it is the link of another run now"
    ActionChains(driver).click_and_hold(element).perform()
    world.cluster.put(worlds.flow_run("later", flow="later", began=1), worlds.task_run("later", flow="later"))
    driver.execute_async_script(LONG_ENOUGH)
    assert "later" not in driver.execute_script(f"return {TEXT}"), "it moved below the pointer"
    ActionChains(driver).release().perform()
    until(driver, "return location.href === arguments[0]", target)
    assert complaints(driver) == []


def test_what_is_typed_selected_and_focused_stays(world: World, chromium: Start) -> None:
    driver = opened(world, chromium, "flow-runs")
    driver.find_element(By.ID, "q").send_keys("hel")
    another(world, driver)
    assert driver.execute_script("return [document.activeElement.id, document.activeElement.value]") == ["q", "hel"]
    link = driver.find_element(By.CSS_SELECTOR, PLACES["flow-runs"])
    driver.execute_script("arguments[0].focus(); getSelection().selectAllChildren(arguments[0])", link)
    another(world, driver, "later")
    assert driver.execute_script(
        "return [document.activeElement === arguments[0], getSelection().toString()]", link
    ) == [
        True,
        link.text,
    ]
    assert driver.find_element(By.ID, "q").get_property("value") == "hel"


def test_the_end_of_an_attempt_is_drawn_without_a_reload(world: World, chromium: Start) -> None:
    """The next attempt has another log: it is followed instead of the first, and so is the end."""
    attempts = [worlds.attempt(1, 5, None)]
    prints(world, "busy-1", "of the first")
    world.cluster.put(worlds.task_run("busy", "Running", attempts=attempts))
    driver = entered(world, chromium())
    visit(world, driver, "task-runs/busy")
    until(driver, f"return {TEXT}.includes('of the first')")
    driver.execute_script("window.same = 'yes'")
    attempts = [worlds.attempt(1, 5, 3, "Failed"), worlds.attempt(2, 1, None)]
    prints(world, "busy-2", "of the second")
    world.cluster.put(worlds.task_run("busy", "Running", attempts=attempts))
    until(driver, f"return {TEXT}.includes('of the second') && !{TEXT}.includes('of the first')")
    attempts[1] = worlds.attempt(2, 1, 0)
    world.store.put(world.keys("uid-busy", 2).log + "000001", b"all of the second, from the bucket\n")
    world.cluster.put(worlds.task_run("busy", attempts=attempts))
    until(driver, f"return {TEXT}.includes('all of the second, from the bucket')")
    # The log is in the bucket before the status says the end: the title may come after it.
    until(driver, "return document.querySelector('.titles .chip').textContent.includes('Completed')")
    assert driver.execute_script("return window.same") == "yes"
    until(driver, "return document.getElementById('pulse').textContent === 'Live'")
    assert complaints(driver) == []


def test_the_library_that_updates_is_the_published_one(checks: Path) -> None:
    name = "idiomorph.esm.js"
    assert (STATIC / name).read_bytes() == (checks / "idiomorph" / "dist" / name).read_bytes()
