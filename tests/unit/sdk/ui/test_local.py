"""`podtask ui --local`: flow runs that real programs on this machine have made, over HTTP and in Chromium."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from tests.unit.sdk.ui.conftest import Browser
from tests.unit.sdk.ui.test_chromium import HOSTILE, Start, complaints, fits_and_is_accessible, until

from podtask.backends.in_process import flow_records
from podtask.backends.in_process.flow_records import FOLDER, files, read_all
from podtask.ui.access.local_viewer import LocalViewer
from podtask.ui.server import PageServer

PROGRAM = """
import os
from podtask import flow, task

@task
def load(day): return [1, 2, 3]

@task(retries=1, retry_delay_seconds=0)
def parse(rows): raise ValueError("row 3 has no price")

@task
def store(rows): return len(rows)

@flow(name="etl")
def etl(day: str, password: str = "hunter2"):
    store(parse(load(day)))

@flow(name="inner")
def inner(): return store(load("x")).result()

@flow(name="outer", backend="process")
def outer(): return inner()

etl("2026-01-02", return_state=True)
outer()
"""
LISTS = "/namespaces/local/flow-runs", "/namespaces/local/task-runs"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PODTASK_HOME with what the program has left there."""
    home = tmp_path_factory.mktemp("home")
    run(PROGRAM, home)
    return home


def run(program: str, home: Path) -> None:
    environment = {**os.environ, "PODTASK_HOME": str(home), "PODTASK_PROGRESS": "off"}
    file = home.parent / f"{home.name}.py"
    file.write_text(program)
    done = subprocess.run([sys.executable, file], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def page(recorded: Path) -> Iterator[PageServer]:
    made = PageServer(LocalViewer(recorded), 0, lambda link: None)
    with made.serving():
        yield made


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[PageServer]:
    """Of a home without any record."""
    made = PageServer(LocalViewer(tmp_path / "home"), 0, lambda link: None)
    with made.serving():
        yield made


def entered(page: PageServer) -> Browser:
    browser = Browser(page.port)
    assert browser.enter(page.link()).status == 303
    return browser


def words(browser: Browser, path: str) -> str:
    answer = browser.get(path)
    assert answer.status == 200, answer.text
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", answer.text.partition("<main")[2].partition(">")[2])).split())


def run_of(home: Path, task: str) -> str:
    return next(
        run["metadata"]["name"]
        for one in read_all(home)
        for run in one["taskRuns"]
        if run["spec"]["task"]["name"] == task and one["spec"]["flow"] == "etl"
    )


def flow_of(home: Path, flow: str) -> str:
    return next(one["metadata"]["name"] for one in read_all(home) if one["spec"]["flow"] == flow)


def paths(home: Path) -> list[str]:
    flows = [f"{LISTS[0]}/{flow_of(home, flow)}" for flow in ("etl", "outer", "inner")]
    return [*LISTS, *flows, *(f"{LISTS[1]}/{run_of(home, task)}" for task in ("load", "parse", "store"))]


def test_both_backends_are_listed(page: PageServer) -> None:
    text = words(entered(page), LISTS[0])
    assert "3 in all 1 Failed 2 Completed" in text
    assert "3 of 3, 2 failed" in text


def test_a_flow_run_has_its_timeline_graph_and_parameters(page: PageServer, recorded: Path) -> None:
    browser = entered(page)
    text = words(browser, f"{LISTS[0]}/{flow_of(recorded, 'etl')}")
    assert "Failed first: parse" in text
    assert "Attempt 1 (First): Failed (Exception)" in text
    assert "Attempt 2 (Retry): Failed (Exception)" in text
    assert "Graph" in text
    assert '"2026-01-02" str' in text
    assert "hunter2" not in browser.get(f"{LISTS[0]}/{flow_of(recorded, 'etl')}").text
    assert "Subflows" in words(browser, f"{LISTS[0]}/{flow_of(recorded, 'outer')}")


def test_a_task_run_has_its_error_and_what_only_a_cluster_has_is_left_out(page: PageServer, recorded: Path) -> None:
    browser = entered(page)
    text = words(browser, f"{LISTS[1]}/{run_of(recorded, 'parse')}")
    assert "ValueError: row 3 has no price" in text
    assert "Traceback (most recent call last)" in text
    assert "1 of 1 retries" in text
    assert "Next run the program again" in text
    for word in ("Log", "disruptions", "YAML", "Cancel", "Delete", "Events", "Python ?"):
        assert word not in text, word
    assert "/retry" not in browser.get(f"{LISTS[1]}/{run_of(recorded, 'parse')}").text
    assert "Next" not in words(browser, f"{LISTS[1]}/{run_of(recorded, 'load')}")


def test_nothing_can_be_done_and_no_log_be_read(page: PageServer, recorded: Path) -> None:
    """Also by an address that somebody types, or by a form that somebody makes."""
    browser, task = entered(page), f"{LISTS[1]}/{run_of(recorded, 'parse')}"
    flow = f"{LISTS[0]}/{flow_of(recorded, 'etl')}"
    token = browser.get(LISTS[0]).value("form_token")
    before = {path: path.read_bytes() for path in files(recorded)}
    for path in (f"{task}/retry", f"{task}/delete", f"{task}/yaml", f"{task}/log", f"{flow}/delete"):
        assert browser.get(path).status == 404, path
        assert browser.post(path, {"form_token": token}).status in (404, 405), path
    live = f"/namespaces/local/live/task-runs/{run_of(recorded, 'parse')}?attempt=1"
    assert browser.get(live, Accept="text/event-stream").status == 404
    assert {path: path.read_bytes() for path in files(recorded)} == before


def test_every_link_leads_somewhere(page: PageServer) -> None:
    browser, seen, queue = entered(page), set[str](), ["/", *LISTS]
    while queue:
        path = queue.pop().partition("#")[0]
        if path in seen:
            continue
        seen.add(path)
        answer = browser.get(path)
        assert answer.status in (200, 303), (path, answer.text)
        queue += [unescape(link) for link in re.findall(r'href="(/[^"]*)"', answer.text)]
    assert len(seen) > 9


@pytest.mark.parametrize("name", ["..%2f..%2fetc%2fpasswd", "no-such", "a%00b", "%2e%2e"])
def test_names_that_are_no_records(page: PageServer, name: str) -> None:
    for path in LISTS:
        assert entered(page).get(f"{path}/{name}").status == 404


def test_what_another_wrote_into_the_folder_breaks_no_page(fresh: PageServer, tmp_path: Path) -> None:
    home = tmp_path / "home"
    run("from podtask import flow, task\n@task\ndef one(): pass\n@flow\ndef fine(): one()\nfine()\n", home)
    (good,) = files(home)
    record = json.loads(good.read_text())
    bad = [
        {**record, "taskRuns": [{"metadata": {"name": "x"}}, 3, None, {"metadata": 1}]},
        {**record, "taskRuns": 7},
        {**record, "status": {"counts": {"Failed": "many"}}},
        {**record, "status": {"startedAt": 5, "finishedAt": [], "conditions": [1]}},
        {**record, "spec": {"flow": "x", "tags": 5}},
    ]
    for number, one in enumerate(bad):
        (home / FOLDER / f"bad-{number}.json").write_text(json.dumps(one))
    (home / FOLDER / "deep.json").write_text("[" * 100_000)
    browser = entered(fresh)
    for path in (*LISTS, *(f"{LISTS[0]}/{file.stem}" for file in files(home))):
        assert browser.get(path).status in (200, 404), path
    assert "fine" in words(browser, LISTS[0])
    assert "one" in words(browser, LISTS[1])


def test_many_failures_fit_into_a_record(tmp_path: Path) -> None:
    """Texts of four bytes a letter in JSON's escapes: the record stays one that is read."""
    home = tmp_path / "home"
    program = """
from podtask import flow, task
@task(name="\\U0001f600" * 60)
def bad(x): raise ValueError("\\U0001f600" * 5000)
@flow
def wide():
    for x in range(300): bad(x)
wide(return_state=True)
"""
    run(program, home)
    (one,) = read_all(home)
    assert one["status"]["counts"] == {"Failed": 300}
    assert files(home)[0].stat().st_size < flow_records.LARGEST
    assert "error" in one["taskRuns"][0]["status"]
    assert len(one["taskRuns"]) > 100


class TestChromium:
    def test_every_page_fits_and_is_accessible(
        self, page: PageServer, recorded: Path, chromium: Start, checks: Path
    ) -> None:
        driver = chromium()
        driver.get(page.link())
        until(driver, "return location.pathname.endsWith('/flow-runs') && document.readyState === 'complete'")
        for path in paths(recorded):
            driver.get(f"http://127.0.0.1:{page.port}{path}")
            fits_and_is_accessible(driver, checks, path)
        assert complaints(driver) == []

    def test_a_run_that_starts_and_ends_is_there_without_a_reload(
        self, fresh: PageServer, tmp_path: Path, chromium: Start
    ) -> None:
        """And one that is killed: its file does not change."""
        driver, home = chromium(), tmp_path / "home"
        driver.get(fresh.link())
        until(driver, "return document.body.innerText.includes('No flow runs yet')")
        code = "import sys\nfrom podtask import flow\n@flow(name='slow')\ndef slow(): sys.stdin.read()\nslow()\n"
        environment = {**os.environ, "PODTASK_HOME": str(home), "PODTASK_PROGRESS": "off"}
        for number, (end, word) in enumerate((("close", "Completed"), ("kill", "Crashed")), 1):
            process = subprocess.Popen([sys.executable, "-c", code], env=environment, stdin=subprocess.PIPE)
            until(driver, "return document.querySelector('tbody .chip')?.textContent.includes('Running')")
            assert process.stdin is not None
            if end == "kill":
                process.send_signal(signal.SIGKILL)
            process.stdin.close()
            process.wait()
            until(driver, f"return document.querySelectorAll('tbody tr').length === {number}")
            until(driver, f"return document.querySelector('tbody .chip')?.textContent.includes('{word}')")
        assert complaints(driver) == []

    def test_hostile_texts_are_texts(self, fresh: PageServer, tmp_path: Path, chromium: Start) -> None:
        home = tmp_path / "home"
        program = f"""
from podtask import flow, task, tags
BAD = {HOSTILE!r}
@task(name=BAD)
def bad(x): raise ValueError(BAD)
@flow(name=BAD)
def evil(x): bad(x)
with tags(BAD[:60]): evil(BAD, return_state=True)
"""
        run(program, home)
        (one,) = read_all(home)
        driver = chromium()
        driver.get(fresh.link())
        until(driver, "return document.querySelectorAll('tbody tr').length === 1")
        name, task = one["metadata"]["name"], one["taskRuns"][0]["metadata"]["name"]
        for path in (*LISTS, f"{LISTS[0]}/{name}", f"{LISTS[1]}/{task}"):
            driver.get(f"http://127.0.0.1:{fresh.port}{path}")
            assert driver.title != "taken"
            assert driver.execute_script("return document.querySelectorAll('main img, main script').length") == 0
            assert "<img src=x onerror=" in driver.execute_script("return document.body.innerText"), path
        assert complaints(driver) == []


def test_started_as_a_person_does(recorded: Path) -> None:
    """Without a kube config: no cluster is asked for."""
    environment = {**os.environ, "PODTASK_HOME": str(recorded), "KUBECONFIG": "/nowhere", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "podtask.cli", "ui", "--local", "--port", "0"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        link = process.stdout.readline().removeprefix("Open ").strip()
        browser = Browser(int(link.partition("127.0.0.1:")[2].partition("/")[0]))
        assert browser.enter(link).status == 303
        assert "3 in all" in words(browser, LISTS[0])
    finally:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert said.strip() == ""
