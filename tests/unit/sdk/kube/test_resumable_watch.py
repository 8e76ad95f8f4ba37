"""List, watch, resume, list anew: against a server of this machine that follows a script, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
from tests.unit.sdk.kube.scripted_server import Answer, Scene, hangs_up, says, streams

from podtask.kube.errors import ClusterRefused, ClusterUnreachable
from podtask.kube.list_watch import ListWatch
from podtask.kube.resumable_watch import (
    AT_ONCE,
    BOOKMARK,
    Change,
    Listed,
    Listing,
    Page,
    ResumableWatch,
    Step,
    Watching,
)

GONE = {"type": "ERROR", "object": {"code": 410, "reason": "Expired", "message": "too old resource version"}}


def obj(name: str, version: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": version}}


def event(kind: str, name: str, version: str) -> dict[str, Any]:
    return {"type": kind, "object": obj(name, version)}


def watches(*events: dict[str, Any], whole: bool = True) -> Answer:
    return streams(*(json.dumps(one).encode() + b"\n" for one in events), whole=whole)


def lists(version: str, *objects: dict[str, Any], more: str = "") -> Answer:
    return says(200, {"items": list(objects), "metadata": {"resourceVersion": version, "continue": more}})


class Following:
    """A watch of the scripted server whose pauses are only written down; it ends with the script."""

    def __init__(self, scene: Scene, version: str = "", limit: int | None = None) -> None:
        self.scene = scene
        self.now = 0.0
        self.watch = ResumableWatch(ListWatch(scene.api, "team"), version, limit=limit, monotonic=lambda: self.now)
        self.failures: list[tuple[str, int]] = []
        self.waited: list[float] = []
        self.pause = 3.0

    def steps(self, left: Callable[[], float] | None = None) -> list[Step]:
        seconds = left or (lambda: 55.0 if self.scene.script else 0.0)
        return list(self.watch.follow(seconds, self._failed, self.waited.append))

    def news(self) -> list[str]:
        return [f"{step.kind} {step.obj['metadata']['name']}" for step in self.steps() if isinstance(step, Change)]

    def _failed(self, error: ClusterRefused | ClusterUnreachable, failures: int) -> float:
        self.failures.append((type(error).__name__, failures))
        return self.pause

    @property
    def asked(self) -> list[str]:
        """Each request: a list, or the version a watch began at."""
        return [query.get("resourceVersion", "list") for _, _, query, _ in self.scene.asked]


def test_a_list_comes_first_and_the_watch_begins_at_its_version(scene: Scene) -> None:
    scene.script[:] = [lists("7", obj("a", "5")), watches(event("MODIFIED", "a", "8"))]
    following = Following(scene)
    assert following.steps() == [
        Listing(),
        Listed([obj("a", "5")]),
        Watching(),
        Change("MODIFIED", obj("a", "8")),
    ]
    assert following.asked == ["list", "7"]
    assert (following.watch.version, following.waited) == ("8", [])


def test_with_a_version_nothing_is_listed_and_an_ended_watch_goes_on_after_what_it_saw(scene: Scene) -> None:
    scene.script[:] = [watches(event("ADDED", "a", "11")), watches(event("ADDED", "b", "12"))]
    following = Following(scene, "10")
    assert following.news() == ["ADDED a", "ADDED b"]
    assert following.asked == ["10", "11"]
    assert following.waited == []


def test_a_bookmark_moves_the_version(scene: Scene) -> None:
    scene.script[:] = [watches(event(BOOKMARK, "", "90")), watches(event("DELETED", "a", "91"))]
    following = Following(scene, "10")
    assert following.news() == ["BOOKMARK ", "DELETED a"]
    assert following.asked == ["10", "90"]


def test_a_version_that_is_too_old_is_followed_by_one_list(scene: Scene) -> None:
    scene.script[:] = [watches(GONE), lists("500", obj("a", "400")), watches(event("MODIFIED", "a", "501"))]
    following = Following(scene, "10")
    assert Listed([obj("a", "400")]) in following.steps()
    assert following.asked == ["10", "list", "500"]
    assert following.failures == [("ClusterRefused", 1)]


@pytest.mark.parametrize("status", [504, 500, 503, 403])
def test_any_other_refusal_too_as_the_same_question_would_have_the_same_answer(scene: Scene, status: int) -> None:
    refusal = {"message": "Too large resource version: 10, current: 5"}
    scene.script[:] = [says(status, refusal), lists("5"), watches(event("ADDED", "a", "6"))]
    following = Following(scene, "10")
    assert following.news() == ["ADDED a"]
    assert following.asked == ["10", "list", "5"]


def test_too_many_requests_are_not_answered_by_a_list(scene: Scene) -> None:
    scene.script[:] = [says(429, {"message": "later"}), watches(event("ADDED", "a", "11"))]
    following = Following(scene, "10")
    assert following.news() == ["ADDED a"]
    assert following.asked == ["10", "10"]


def test_a_broken_connection_goes_on_after_what_came_before(scene: Scene) -> None:
    scene.script[:] = [watches(event("ADDED", "a", "11"), whole=False), hangs_up, watches(event("ADDED", "b", "12"))]
    following = Following(scene, "10")
    assert following.news() == ["ADDED a", "ADDED b"]
    assert following.asked == ["10", "11", "11"]


def test_a_list_that_breaks_off_is_asked_for_anew(scene: Scene) -> None:
    scene.script[:] = [
        lists("7", obj("a", "5"), more="next"),
        says(410, {"reason": "Expired", "message": "the continue parameter is too old"}),
        lists("9", obj("b", "8")),
        watches(event("ADDED", "c", "10")),
    ]
    following = Following(scene)
    listed = [step for step in following.steps() if isinstance(step, Listed)]
    assert listed == [Listed([obj("b", "8")])]
    assert following.asked == ["list", "list", "list", "9"]


def test_failures_are_counted_in_a_row_and_an_event_ends_the_row(scene: Scene) -> None:
    good = watches(event("ADDED", "a", "11"), whole=False)
    scene.script[:] = [hangs_up, hangs_up, good, hangs_up, watches(event("ADDED", "b", "12")), hangs_up]
    following = Following(scene, "10")
    following.news()
    assert [count for _, count in following.failures] == [1, 2, 1, 2, 1]
    assert following.waited == [3.0, 3.0, 3.0, 3.0, 0.0], "nothing is waited for when no time is left"


def test_a_list_alone_does_not_end_the_row(scene: Scene) -> None:
    """A server that lists and refuses to watch would be asked for ever."""
    scene.script[:] = [lists("7"), says(403, {}), lists("7"), says(403, {})]
    following = Following(scene)
    following.steps()
    assert [count for _, count in following.failures] == [1, 2]


def test_who_follows_decides_which_error_is_the_end(scene: Scene) -> None:
    scene.script[:] = [says(403, {"message": "no"}), watches()]

    def fails(error: Exception, _: int) -> float:
        raise error

    watch = ResumableWatch(ListWatch(scene.api, "team"), "10")
    with pytest.raises(ClusterRefused, match="403"):
        list(watch.follow(lambda: 55, fails))
    assert len(scene.asked) == 1


def test_a_server_that_ends_watches_at_once_is_not_kept_busy(scene: Scene) -> None:
    scene.script[:] = [watches(), watches(), watches(event("ADDED", "a", "11")), watches()]
    following = Following(scene, "10")
    following.steps()
    assert following.waited == [AT_ONCE, AT_ONCE, 0.0]
    assert following.failures == []


def test_a_quiet_watch_that_lasted_is_opened_anew_at_once(scene: Scene) -> None:
    following = Following(scene, "10")

    def lasts(answer: Answer) -> Answer:
        def later(handler: Any) -> None:
            following.now += AT_ONCE
            answer(handler)

        return later

    scene.script[:] = [lasts(watches()), lasts(watches())]
    following.steps()
    assert following.waited == []
    assert len(scene.asked) == 2


def test_a_connection_lasts_as_long_as_there_is_time_and_no_longer(scene: Scene) -> None:
    scene.script[:] = [watches(event("ADDED", "a", "11")), watches(event("ADDED", "b", "12"))]
    times = iter([30.0, 29.2, 0.4, 0.3, 0.0])
    Following(scene, "10").steps(lambda: next(times))
    assert [query["timeoutSeconds"] for _, _, query, _ in scene.asked] == ["30", "1"]


def test_page_by_page_up_to_a_limit(scene: Scene) -> None:
    scene.script[:] = [
        lists("7", obj("a", "1"), more="1"),
        lists("7", obj("b", "2"), more="2"),
        watches(event("ADDED", "c", "8")),
    ]
    following = Following(scene, limit=2)
    assert following.steps()[:4] == [Listing(), Page([obj("a", "1")]), Page([obj("b", "2")]), Listed([])]
    assert following.asked == ["list", "list", "7"]


def test_who_stops_reading_closes_the_connection(scene: Scene) -> None:
    scene.script[:] = [watches(*(event("ADDED", "a", str(number)) for number in range(11, 20))), lists("20")]
    following = Following(scene, "10")
    steps = following.watch.follow(lambda: 55.0, following._failed)
    assert list(islice(steps, 2)) == [Watching(), Change("ADDED", obj("a", "11"))]
    steps.close()  # type: ignore[attr-defined]
    assert ListWatch(scene.api, "team").all() == ([], "20")
