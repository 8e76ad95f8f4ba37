"""Lists in pages and watches, through the official client: whole objects, metadata only, rows of a Table."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.sdk.kube.scripted_server import Scene, says, streams

from podtask.core.api.names import FLOW_RUN_PLURAL
from podtask.kube.errors import ClusterRefused, ClusterUnreachable
from podtask.kube.list_watch import ONLY_METADATA, TABLE, ListWatch


def test_a_list_is_read_page_by_page(scene: Scene) -> None:
    page = {"items": [{"n": 1}], "metadata": {"resourceVersion": "7", "continue": "more"}}
    scene.script[:] = [says(200, page), says(200, {"items": [{"n": 2}], "metadata": {"resourceVersion": "7"}})]
    assert ListWatch(scene.api, "team", selector="a=b").all() == ([{"n": 1}, {"n": 2}], "7")
    assert [query.get("continue") for _, _, query, _ in scene.asked] == [None, "more"]


def test_all_namespaces_and_fields_are_asked_of_the_server(scene: Scene) -> None:
    scene.script[:] = [says(200, {"items": [], "metadata": {"resourceVersion": "7"}}), streams()]
    ListWatch(scene.api, "", selector="a=b", fields="status.state=Failed").all()
    list(ListWatch(scene.api, "", selector="a=b", fields="metadata.name=x").changes("7", 55))
    assert [path for _, path, _, _ in scene.asked] == ["/apis/podtask.dev/v1alpha1/taskruns"] * 2
    assert [query["fieldSelector"] for _, _, query, _ in scene.asked] == ["status.state=Failed", "metadata.name=x"]


def test_events_come_whole_however_they_are_cut(scene: Scene) -> None:
    first = {"text": "größe " * 50, "metadata": {"resourceVersion": "43"}}
    second = {"metadata": {"resourceVersion": "44"}}
    events = [{"type": "ADDED", "object": first}, {"type": "BOOKMARK", "object": second}]
    data = b"".join(json.dumps(event).encode() + b"\n" for event in events)
    scene.script[:] = [streams(data[:10], data[10:200], data[200:])]
    assert list(ListWatch(scene.api, "team", selector="a=b").changes("42", 55)) == [
        ("ADDED", first, "43"),
        ("BOOKMARK", second, "44"),
    ]
    asked = {"labelSelector": "a=b", "resourceVersion": "42", "timeoutSeconds": "55"}
    assert scene.asked[0][2] == {**asked, "watch": "true", "allowWatchBookmarks": "true"}


def test_an_error_event_is_a_refusal_and_a_broken_stream_is_no_answer(scene: Scene) -> None:
    gone = {"type": "ERROR", "object": {"code": 410, "reason": "Expired", "message": "too old resource version"}}
    scene.script[:] = [streams(json.dumps(gone).encode() + b"\n"), streams(b'{"type": "ADD', whole=False)]
    with pytest.raises(ClusterRefused) as caught:
        list(ListWatch(scene.api, "team", selector="a=b").changes("1", 55))
    assert caught.value.status == 410
    with pytest.raises(ClusterUnreachable):
        list(ListWatch(scene.api, "team", selector="a=b").changes("1", 55))


def test_a_watch_that_is_left_early_leaves_a_pool_that_works(scene: Scene) -> None:
    line = json.dumps({"type": "BOOKMARK", "object": {"metadata": {}}}).encode() + b"\n"
    scene.script[:] = [streams(line, line, line), says(200, {"metadata": {}})]
    events = ListWatch(scene.api, "team", selector="a=b").changes("1", 55)
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert scene.api.get_run("team", "greet-1") == {"metadata": {}}


def test_an_empty_list_of_metadata_is_null_and_another_kind_has_another_path(scene: Scene) -> None:
    scene.script[:] = [says(200, {"items": None, "metadata": {"resourceVersion": "7"}})]
    assert ListWatch(scene.api, "team", FLOW_RUN_PLURAL, form=ONLY_METADATA).all() == ([], "7")
    assert scene.asked[0][1] == "/apis/podtask.dev/v1alpha1/namespaces/team/flowruns"


def test_what_is_kept_of_an_object_is_said_by_who_asks(scene: Scene) -> None:
    scene.script[:] = [says(200, {"items": [{"n": 1, "m": 2}], "metadata": {}})]
    assert ListWatch(scene.api, "team").all(lambda obj: {"n": obj["n"]}) == ([{"n": 1}], "")


@pytest.mark.parametrize("namespace", ["..", "team/taskruns", "a%2Fb"])
def test_a_namespace_that_would_be_another_path_is_never_asked_for(scene: Scene, namespace: str) -> None:
    with pytest.raises(ClusterRefused, match="name of no object"):
        ListWatch(scene.api, namespace).all()
    with pytest.raises(ClusterRefused, match="name of no object"):
        next(ListWatch(scene.api, namespace).changes("1", 5))
    assert scene.asked == []


def row(name: str, version: str) -> dict[str, Any]:
    return {"object": {"metadata": {"name": name, "resourceVersion": version}}, "cells": [name, "Running"]}


def test_rows_are_objects_with_cells_and_columns_come_once(scene: Scene) -> None:
    columns = [{"name": "Name"}, {"name": "State"}]
    pages = [
        {"kind": "Table", "columnDefinitions": columns, "rows": [row("a", "1")], "metadata": {"continue": "more"}},
        {"kind": "Table", "columnDefinitions": None, "rows": [row("b", "2")], "metadata": {"resourceVersion": "9"}},
    ]
    events = [
        {"type": "ADDED", "object": {"kind": "Table", "columnDefinitions": columns, "rows": [row("c", "10")]}},
        {"type": "MODIFIED", "object": {"kind": "Table", "columnDefinitions": None, "rows": [row("c", "11")]}},
    ]
    stream = b"".join(json.dumps(event).encode() + b"\n" for event in events)
    scene.script[:] = [*(says(200, page) for page in pages), streams(stream)]
    rows = ListWatch(scene.api, "team", form=TABLE)
    items, version = rows.all()
    cells = {"Name": "b", "State": "Running"}
    assert (items[1], version) == ({"metadata": {"name": "b", "resourceVersion": "2"}, "cells": cells}, "9")
    assert [(kind, obj["cells"], after) for kind, obj, after in rows.changes(version, 5)] == [
        ("ADDED", {"Name": "c", "State": "Running"}, "10"),
        ("MODIFIED", {"Name": "c", "State": "Running"}, "11"),
    ]
