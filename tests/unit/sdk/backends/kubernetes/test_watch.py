"""The watch, round by round, against a scripted source: what is told, from which version, and when it pauses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.sdk.backends.kubernetes.harness import ENDED, result, run_of

from podtask import Task
from podtask.backends.kubernetes.patience import AWAY_SECONDS, UNFORESEEN_ROUNDS
from podtask.backends.kubernetes.watch import LONGEST_PAUSE, REFUSALS, ROUND_SECONDS, SILENCE_SECONDS, Watch
from podtask.core.api.status import Status
from podtask.kube.errors import Busy, ClusterRefused, ClusterUnreachable
from podtask.model.task_run import TaskRun


def one() -> int:
    return 1


class Scripted:
    """Each round of the watch is one list: events, or an exception to raise."""

    def __init__(self) -> None:
        self.rounds: list[list[Any]] = []
        self.listed: list[dict[str, Any]] = []
        self.asked: list[tuple[str, int] | str] = []

    def pages(self) -> Iterator[tuple[list[dict[str, Any]], str]]:
        self.asked.append("list")
        yield self.listed, "500"

    def changes(self, version: str, seconds: int) -> Iterator[tuple[str, dict[str, Any], str]]:
        self.asked.append((version, seconds))
        for event in self.rounds.pop(0):
            if isinstance(event, Exception):
                raise event
            yield event["type"], event["object"], event["object"]["metadata"]["resourceVersion"]


class Scene:
    """A watch, its source, its clock and what it told."""

    def __init__(self) -> None:
        self.source = Scripted()
        self.told: list[tuple[str, Status]] = []
        self.now = 0.0
        self.watch = Watch(
            self.source, lambda run, status: self.told.append((run.key.dynamic_key, status)), lambda: self.now
        )

    def follow(self, number: str = "0", version: str = "10") -> TaskRun:
        run = run_of(Task(one), number=number)
        self.watch.expect(run)
        self.watch.posted(run, obj(run, version))
        return run

    @property
    def states(self) -> list[tuple[str, str]]:
        return [(who, str(status.state)) for who, status in self.told]


def obj(run: TaskRun, version: str, status: Any = None, uid: str = "uid") -> dict[str, Any]:
    meta = {"name": run.id, "uid": uid, "resourceVersion": version}
    return {"metadata": meta, **({"status": status} if status else {})}


def modified(run: TaskRun, version: str, status: Any, kind: str = "MODIFIED") -> dict[str, Any]:
    return {"type": kind, "object": obj(run, version, status)}


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_it_starts_at_the_version_of_the_post_and_ends_with_the_last_run(scene: Scene) -> None:
    run = scene.follow(version="10")
    scene.source.rounds = [[modified(run, "11", {"state": "Running"}), modified(run, "12", result("1")), "never read"]]
    assert scene.watch.round() is None
    assert scene.states == [("0", "Running"), ("0", "Completed")]
    assert scene.source.asked == [("10", SILENCE_SECONDS)]


def test_one_watch_serves_all_runs_and_goes_on_where_it_was(scene: Scene) -> None:
    first, second = scene.follow("0", "10"), scene.follow("1", "14")
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "90"}}}
    scene.source.rounds = [
        [modified(first, "15", result("1")), modified(second, "16", {"state": "Running"}), bookmark],
        [modified(second, "91", ENDED)],
    ]
    assert scene.watch.round() == 0.0
    assert scene.watch.round() is None
    assert scene.source.asked == [("10", SILENCE_SECONDS), ("90", ROUND_SECONDS)]
    assert scene.states == [("0", "Completed"), ("1", "Running"), ("1", "Completed")]


def test_events_of_others_are_nobodys_news(scene: Scene) -> None:
    scene.follow("0")
    stranger = run_of(Task(one), number="9")
    scene.source.rounds = [[modified(stranger, "11", ENDED)]]
    assert scene.watch.round() == 0.0
    assert scene.told == []


def test_news_before_the_answer_to_the_post_is_kept_if_it_is_of_our_taskrun(scene: Scene) -> None:
    scene.follow("0")
    ours, theirs = run_of(Task(one), number="1"), run_of(Task(one), number="2")
    scene.watch.expect(ours)
    scene.watch.expect(theirs)
    scene.watch.take(obj(ours, "11", ENDED))
    scene.watch.take(obj(theirs, "12", ENDED, uid="of another call"))
    assert scene.told == []
    scene.watch.posted(ours, obj(ours, "11"))
    scene.watch.posted(theirs, obj(theirs, "13"))
    assert scene.states == [("1", "Completed")]


def test_with_two_first_posts_under_way_it_lists_because_either_may_be_the_older(scene: Scene) -> None:
    slow, quick = run_of(Task(one), number="0"), run_of(Task(one), number="1")
    scene.watch.expect(slow)
    scene.watch.expect(quick)
    scene.watch.posted(quick, obj(quick, "12"))
    scene.source.listed = [obj(slow, "11", ENDED), obj(quick, "13", ENDED)]
    scene.source.rounds = [[]]
    scene.watch.round()
    assert scene.source.asked == ["list", ("500", ROUND_SECONDS)]
    scene.watch.posted(slow, obj(slow, "9"))
    assert scene.states == [("1", "Completed"), ("0", "Completed")]


def test_after_410_gone_it_lists_once_and_sees_what_was_deleted_meanwhile(scene: Scene) -> None:
    kept, removed = scene.follow("0"), scene.follow("1")
    scene.source.rounds = [[ClusterRefused("too old resource version", 410, "Expired")], [modified(kept, "501", ENDED)]]
    scene.source.listed = [obj(kept, "400", {"state": "Running"})]
    assert scene.watch.round() == 0.0
    assert scene.watch.round() is None
    assert scene.source.asked == [("10", SILENCE_SECONDS), "list", ("500", ROUND_SECONDS)]
    assert scene.states == [("0", "Running"), ("1", "Cancelled"), ("0", "Completed")]
    assert removed.id in (scene.told[1][1].message or "")


def test_a_call_that_is_posted_before_that_list_does_not_hide_what_ended_meanwhile(scene: Scene) -> None:
    early = scene.follow("0")
    scene.source.rounds = [[ClusterRefused("too old resource version", 410, "Expired")], []]
    scene.watch.round()
    late = scene.follow("1", version="90")
    scene.source.listed = [obj(early, "60", ENDED), obj(late, "90")]
    scene.watch.round()
    assert scene.source.asked == [("10", SILENCE_SECONDS), "list", ("500", SILENCE_SECONDS)]
    assert [who for who, _ in scene.states] == ["0"]


def test_after_any_other_refusal_it_lists_too_as_the_same_question_would_have_the_same_answer(scene: Scene) -> None:
    run = scene.follow("0")
    restored = ClusterRefused("Too large resource version: 10, current: 5", 504, "Timeout")
    scene.source.rounds = [[restored], [modified(run, "501", ENDED)]]
    scene.source.listed = [obj(run, "4")]
    assert scene.watch.round()
    assert scene.watch.round() is None
    assert scene.source.asked == [("10", SILENCE_SECONDS), "list", ("500", SILENCE_SECONDS)]
    assert scene.states == [("0", "Completed")]


def test_a_deleted_run_is_cancelled_unless_its_last_word_was_an_end(scene: Scene) -> None:
    first, second = scene.follow("0"), scene.follow("1")
    scene.source.rounds = [
        [modified(first, "11", {"state": "Running"}, "DELETED"), modified(second, "12", ENDED, "DELETED")]
    ]
    assert scene.watch.round() is None
    assert scene.states == [("0", "Running"), ("0", "Cancelled"), ("1", "Completed")]
    assert "was deleted before it finished" in (scene.told[1][1].message or "")


def test_a_taskrun_made_anew_under_the_name_is_not_ours(scene: Scene) -> None:
    run = scene.follow("0")
    scene.source.rounds = [[{"type": "ADDED", "object": obj(run, "20", ENDED, uid="another")}]]
    assert scene.watch.round() is None
    assert scene.states == [("0", "Cancelled")]


def test_pauses_grow_up_to_a_bound_and_shrink_with_the_first_word(scene: Scene) -> None:
    run = scene.follow("0")
    scene.source.rounds = [[ClusterUnreachable("no answer")] for _ in range(9)]
    pauses = [scene.watch.round() for _ in range(9)]
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]
    scene.source.rounds = [[modified(run, "11", {"state": "Running"}), ClusterUnreachable("broke off")]]
    assert scene.watch.round() == 0.2
    assert scene.source.asked[-1] == ("10", SILENCE_SECONDS), "it goes on where it was"


def test_a_long_absence_is_told_once(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.follow("0")
    scene.source.rounds = [[ClusterUnreachable("no answer")] for _ in range(12)]
    for _ in range(12):
        scene.watch.round()
    assert caplog.text.count("cannot be followed; trying on") == 1


def test_a_right_that_is_missing_ends_the_runs_with_the_reason(scene: Scene) -> None:
    scene.source.listed = [obj(scene.follow("0"), "10")]
    scene.source.rounds = [[ClusterRefused("'eve' may not watch taskruns", 403)] for _ in range(REFUSALS)]
    answers = [scene.watch.round() for _ in range(REFUSALS)]
    assert None not in answers[:-1]
    assert answers[-1] is None
    assert scene.states == [("0", "Crashed")]
    assert "'eve' may not watch taskruns" in (scene.told[0][1].message or "")


AWAY = [ClusterUnreachable("no answer"), Busy("later", 503), ClusterRefused("a proxy's page", 400)]


@pytest.mark.parametrize("error", AWAY, ids=["unreachable", "busy", "refused"])
def test_a_server_that_is_away_is_waited_for_and_not_for_ever(scene: Scene, error: Exception) -> None:
    run = scene.follow("0")
    scene.source.listed = [obj(run, "10")]
    scene.source.rounds = [[error] for _ in range(5 * REFUSALS)]
    for _ in range(5 * REFUSALS - 1):
        assert scene.watch.round() is not None
        scene.now += (AWAY_SECONDS - 1) / (5 * REFUSALS)
    assert scene.told == []
    scene.now = AWAY_SECONDS
    assert scene.watch.round() is None
    assert scene.states == [("0", "Crashed")]
    message = scene.told[0][1].message or ""
    assert message.startswith(f"TaskRun {run.id} cannot be followed any more: for 2 hours the API server gave no good")
    assert str(error) in message
    assert "run the flow again with the same PODTASK_FLOW_RUN_ID" in message
    scene.source.listed = [obj(scene.follow("1"), "10")]
    scene.source.rounds = [[error], [error]]
    assert [scene.watch.round(), scene.watch.round()] == [LONGEST_PAUSE] * 2, "who comes later has the whole time"


def test_one_good_answer_starts_the_time_anew(scene: Scene) -> None:
    run = scene.follow("0")
    away = ClusterUnreachable("no answer")
    scene.source.rounds = [[away], [], [away], [away], [modified(run, "11", {"state": "Running"}), away], [away]]
    for hour in range(6):
        scene.now = hour * (AWAY_SECONDS - 60) / 2
        assert scene.watch.round() is not None
    assert scene.states == [("0", "Running")]


def test_rounds_that_fail_as_none_should_end_the_runs_with_a_sentence(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    run = scene.follow("0")
    scene.source.listed = [obj(run, "10")]
    news = modified(run, "11", {"state": "Running"})
    scene.source.rounds = [[news, {"type": "MODIFIED", "object": {}}] for _ in range(UNFORESEEN_ROUNDS)]
    answers = [scene.watch.round() for _ in range(UNFORESEEN_ROUNDS)]
    assert answers == [LONGEST_PAUSE] * (UNFORESEEN_ROUNDS - 1) + [None]
    assert scene.states[-1] == ("0", "Crashed")
    message = scene.told[-1][1].message or ""
    assert "could not be read 30 times in a row (KeyError: 'metadata')" in message
    assert "please report this" in message
    assert "Traceback" in caplog.text


def test_a_round_that_ends_well_forgives_what_failed_before(scene: Scene) -> None:
    scene.source.listed = [obj(scene.follow("0"), "10")]
    for _ in range(3):
        scene.source.rounds = [[{}] for _ in range(UNFORESEEN_ROUNDS - 1)] + [[]]
        assert None not in [scene.watch.round() for _ in range(UNFORESEEN_ROUNDS)]
    assert scene.told == []


def test_an_operator_that_says_nothing_is_mentioned_once_after_a_while(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    run = scene.follow("0")
    scene.source.rounds = [[], [], []]
    scene.now = SILENCE_SECONDS - 1
    scene.watch.round()
    assert caplog.text == ""
    scene.now = SILENCE_SECONDS
    scene.watch.round()
    scene.watch.round()
    assert caplog.text.count(f"Nothing has happened to TaskRun {run.id} for {SILENCE_SECONDS} s") == 1
    assert scene.source.asked == [("10", SILENCE_SECONDS), ("10", SILENCE_SECONDS), ("10", ROUND_SECONDS)]


def test_a_status_that_cannot_be_read_stops_nothing(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    run = scene.follow("0")
    scene.source.rounds = [
        [modified(run, "11", {"state": "Running", "reason": "FromTheFuture"}), modified(run, "12", ENDED)]
    ]
    assert scene.watch.round() is None
    assert scene.states == [("0", "Running"), ("0", "Completed")]
