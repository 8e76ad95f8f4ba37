"""The stream of a tab: changes, heartbeats, the end; and the lists behind it."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.unit.sdk.cli.apiserver import Refuse
from tests.unit.sdk.ui import worlds
from tests.unit.sdk.ui.conftest import World

from podtask.core.api.names import PLURAL
from podtask.ui.live import reflector, stream


@contextmanager
def streaming(world: World, path: str) -> Iterator[http.client.HTTPResponse]:
    """An open stream."""
    connection = http.client.HTTPConnection("127.0.0.1", world.page.port, timeout=30)
    cookies = "; ".join(f"{name}={value}" for name, value in world.browser().cookies.items())
    connection.request(
        "GET", f"/namespaces/team/live/{path}", headers={"Cookie": cookies, "Accept": "text/event-stream"}
    )
    try:
        yield connection.getresponse()
    finally:
        connection.close()


def events(answer: http.client.HTTPResponse) -> Iterator[dict[str, str]]:
    """Events as they come; a comment has the field ""."""
    fields: dict[str, str] = {}
    while line := answer.readline():
        text = line.decode().rstrip("\n")
        if text:
            name, _, value = text.partition(":")
            fields[name] = value.strip()
        else:
            yield fields
            fields = {}


def wait_for(index: reflector.Reflector[Any], condition: Callable[[], bool]) -> None:
    """Until a change makes it true."""
    heard = threading.Event()
    end = index.listen(heard.set)
    while not condition():
        assert heard.wait(60)
        heard.clear()
    end()


def test_a_change_is_an_event_with_another_number(world: World) -> None:
    worlds.one(world.cluster)
    with streaming(world, "flow-runs/hello-5f1c") as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        assert answer.headers["X-Accel-Buffering"] == "no"
        coming = events(answer)
        assert "retry" in next(coming)
        numbers = [next(coming)["id"]]
        index = world.page.ui.viewer.indexes.flow_run("team", "hello-5f1c")
        assert index.progress(30).complete
        world.cluster.put(worlds.task_run("two", flow="hello", flow_run="hello-5f1c"))
        wait_for(index, lambda: index.progress().count == 2)
        while not numbers[-1].startswith(f"{index.version}-"):
            numbers.append(next(coming)["id"])
        assert len(set(numbers)) == len(numbers) > 1


def test_what_is_not_of_the_flow_run_is_no_event(world: World) -> None:
    worlds.one(world.cluster)
    index = world.page.ui.viewer.indexes.flow_run("team", "hello-5f1c")
    assert index.progress(30).complete
    before = index.version
    world.cluster.put(worlds.task_run("other", flow_run="another"))
    world.cluster.put(worlds.task_run("mine", flow="hello", flow_run="hello-5f1c"))
    wait_for(index, lambda: index.version != before)
    assert index.version == before + 1
    assert {one.name for one in index.rows()} == {"hello-ada", "mine"}


def test_a_quiet_stream_says_that_it_lives(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "BEAT_SECONDS", 0.05)
    worlds.one(world.cluster)
    with streaming(world, "task-runs/hello-ada") as answer:
        assert any("" in one for one in events(answer))


def test_too_many_tabs_are_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "STREAMS", 1)
    with streaming(world, "flow-runs/all") as first:
        next(events(first))
        with streaming(world, "flow-runs/all") as second:
            assert second.status == 503


def test_the_server_ends_while_a_stream_is_open(world: World) -> None:
    with streaming(world, "flow-runs/all") as answer:
        coming = events(answer)
        next(coming)
        world.page.ui.streams.close()
        for _ in coming:  # what was under way
            pass
        assert answer.read() == b""


def test_ten_thousand_objects_are_read_in_pages_and_kept_small(world: World) -> None:
    worlds.many(world.cluster, 1200)
    index = world.page.ui.viewer.indexes.flow_run("team", "wide-10k")
    assert index.progress(60).count == 1200
    asked = [path for verb, path, _ in world.cluster.asked if path.endswith(f"/{PLURAL}")]
    assert len(asked) >= 3
    assert sum(1 for one in index.rows() if one.state == "Failed") == 2


def test_there_is_a_limit_and_it_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reflector, "LIMIT", 500)
    worlds.many(world.cluster, 600)
    browser = world.browser()
    world.page.ui.viewer.indexes.task_runs("team").progress(30)
    assert "more than 500 of them" in browser.get("/namespaces/team/task-runs").text


def test_lists_are_asked_for_as_tables(world: World) -> None:
    """Rows have no payloads; what the watch brings has the columns of its first event."""
    worlds.one(world.cluster)
    index = world.page.ui.viewer.indexes.task_runs("team")
    assert index.progress(30).complete
    for name in ("two", "three"):
        world.cluster.put(
            worlds.task_run(name, "Failed", task=f"task of {name}", attempts=[worlds.attempt(1, 50, 40, "Failed")])
        )
    wait_for(index, lambda: len(index.rows()) == 3)
    assert {(one.task, one.state, one.reason) for one in index.rows()} == {
        ("hello", "Completed", "Completed"),
        ("task of two", "Failed", "Exception"),
        ("task of three", "Failed", "Exception"),
    }


def test_trouble_is_said_and_passes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reflector, "PAUSES", (0.01,))
    worlds.one(world.cluster)
    world.cluster.refuse[f"list {PLURAL}"] = Refuse(503, "ServiceUnavailable", "away")
    index = world.page.ui.viewer.indexes.task_runs("team")
    assert "away" in (index.progress(30).trouble or "")
    del world.cluster.refuse[f"list {PLURAL}"]
    wait_for(index, lambda: index.progress().trouble is None and bool(index.rows()))
    assert [one.name for one in index.rows()] == ["hello-ada"]
