"""The pure half of the page: from objects to rows, bars, nodes and harmless text. No HTTP."""

from __future__ import annotations

from itertools import pairwise

import pytest
from markupsafe import escape
from tests.unit.sdk.ui import worlds

from podtask.ui.view import flow_runs, listing, states
from podtask.ui.view.briefs import Brief, brief, brief_of_row
from podtask.ui.view.flow_runs import flow_run_brief
from podtask.ui.view.listing import Query
from podtask.ui.view.log_html import LINE_LIMIT, line_html, lines_html, visible
from podtask.ui.view.moments import epoch, lasted
from podtask.ui.view.scale import FOLD_WIDTH, scale
from podtask.ui.view.task_run import _pretty_text
from podtask.ui.view.timeline import SINGLE, bars, timeline

NOW = worlds.NOW.timestamp()


def briefs(*runs: worlds.Object) -> list[Brief]:
    return [brief(run) for run in runs]


def kinds(run: worlds.Object) -> list[str]:
    one = brief(run)
    picture = timeline([one], [one], NOW)
    assert picture is not None
    return [bar.kind for bar in picture.rows[0].bars]


class TestMoments:
    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            ("1970-01-01T00:00:01Z", 1.0),
            ("1970-01-01T00:00:01.5Z", 1.5),
            ("1970-01-01T00:00:01.123456789Z", 1.123456789),
            ("1970-01-01T01:00:01+01:00", 1.0),
        ],
    )
    def test_times_of_any_writer(self, text: str, seconds: float) -> None:
        assert epoch(text) == pytest.approx(seconds)

    @pytest.mark.parametrize(
        "text",
        [None, "", "yesterday", 7, "2026-13-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-09:00", {}],
    )
    def test_what_is_no_time(self, text: object) -> None:
        assert epoch(text) is None


class TestBars:
    def test_waiting_starting_and_ran(self) -> None:
        assert kinds(worlds.task_run("one", attempts=[worlds.attempt(1, 100, 90)])) == ["waiting", "starting", "done"]

    def test_a_retry_is_two_bars_and_a_delay(self) -> None:
        tried = [worlds.attempt(1, 100, 90, "Failed"), worlds.attempt(2, 50, None)]
        run = worlds.task_run("one", "Retrying", attempts=tried)
        assert kinds(run) == ["waiting", "starting", "failed", "delay", "starting", "running"]

    def test_a_disruption_is_told_from_a_failure(self) -> None:
        tried = [worlds.attempt(1, 100, 90, "Disruption"), worlds.attempt(2, 50, 40, cause="Disruption")]
        assert kinds(worlds.task_run("one", attempts=tried)).count("disrupted") == 1

    def test_a_run_that_awaits_its_retry_ends_with_the_delay(self) -> None:
        run = worlds.task_run("one", "AwaitingRetry", attempts=[worlds.attempt(1, 100, 90, "Failed")])
        assert kinds(run)[-2:] == ["failed", "delay"]

    def test_a_reused_result_is_a_mark(self) -> None:
        assert kinds(worlds.task_run("one", "Cached")) == ["waiting", "reused"]

    def test_a_pod_that_never_started(self) -> None:
        tried = worlds.attempt(1, 100, 90, "Crashed")
        del tried["startedAt"]
        assert kinds(worlds.task_run("one", "Crashed", attempts=[tried])) == ["waiting", "starting", "failed"]

    def test_bars_stay_in_the_picture_whatever_the_clocks_say(self) -> None:
        """The driver's, the operator's and the node's clock differ: ends before beginnings, and times to come."""
        odd = [worlds.attempt(1, 100, 200), worlds.attempt(2, -500, None)]
        one = brief(worlds.task_run("one", attempts=odd))
        picture = timeline([one], [one], NOW)
        assert picture is not None
        assert picture.rows[0].bars
        for bar in picture.rows[0].bars:
            assert 0 <= bar.at <= 100
            assert 0 < bar.width <= 100
            assert bar.at + bar.width <= 100 + 1e-6

    def test_nothing_is_no_picture(self) -> None:
        assert timeline([], [], NOW) is None

    def test_many_of_several_tasks_are_a_row_for_each_task(self) -> None:
        runs = [worlds.task_run(f"run-{n}", task=f"task-{n % 3}", attempts=[worlds.attempt(1, 100, 90 - n % 7)])
                for n in range(SINGLE + 30)]  # fmt: skip
        picture = timeline(briefs(*runs), [], NOW)
        assert picture is not None
        assert picture.rows == []
        assert [(row.task, row.count) for row in picture.groups] == [(f"task-{n}", 30) for n in range(3)]
        assert max(column.height for row in picture.groups for column in row.columns) == 100
        assert picture.groups[0].most == 30

    def test_many_of_one_task_are_rows_of_the_tables_page(self) -> None:
        found = briefs(*(worlds.task_run(f"run-{n}", task="same") for n in range(300)))
        picture = timeline(found, found[100:300], NOW)
        assert picture is not None
        assert {row.brief.name for row in picture.rows} == {f"run-{n}" for n in range(100, 100 + SINGLE)}
        assert picture.rows_left_out == 300 - SINGLE

    def test_rows_stand_in_the_order_of_their_starts_and_what_never_started_by_its_end(self) -> None:
        """What waits stood on top, as it was created first."""
        runs = (
            worlds.task_run("waits", "Pending", created=300),
            worlds.task_run("not-ready", "NotReady", created=299, status={"finishedAt": worlds.at(60)}),
            worlds.task_run("late", created=298, attempts=[worlds.attempt(1, 50, 40)]),
            worlds.task_run("early", created=297, attempts=[worlds.attempt(1, 100, 90)]),
            worlds.task_run("reused", "Cached", created=296, status={"finishedAt": worlds.at(296)}),
        )
        picture = timeline(briefs(*runs), [], NOW)
        assert picture is not None
        assert [row.brief.name for row in picture.rows] == ["reused", "early", "not-ready", "late", "waits"]

    def test_rows_of_tasks_stand_in_the_order_of_their_first_start(self) -> None:
        runs = [
            worlds.task_run(f"{task}-{n}", task=task, attempts=[worlds.attempt(1, began - n / 10, 1)])
            for task, began in (("last", 50), ("first", 200), ("second", 100))
            for n in range(SINGLE)
        ]
        picture = timeline(briefs(*runs), [], NOW)
        assert picture is not None
        assert [row.task for row in picture.groups] == ["first", "second", "last"]

    def test_a_row_for_one_task_run_each_shows_its_attempts(self) -> None:
        """Many tasks with one task run each are no groups: rows of the table's page say more."""
        found = briefs(*(worlds.task_run(f"run-{n:03}", attempts=[worlds.attempt(1, 90, 80)]) for n in range(200)))
        picture = timeline(found, found[:200], NOW)
        assert picture is not None
        assert picture.groups == []
        assert (len(picture.rows), picture.rows_left_out) == (SINGLE, 200 - SINGLE)

    def test_the_legend_has_a_word_for_every_kind_of_bar_that_is_there_and_no_other(self) -> None:
        stopped = worlds.task_run("one", "Cancelled", attempts=[worlds.attempt(1, 100, 90, "Cancelled")])
        picture = timeline(briefs(stopped, worlds.task_run("two", "Cached")), [], NOW)
        assert picture is not None
        kinds_there = {bar.kind for row in picture.rows for bar in row.bars}
        assert {kind for kind, _ in picture.legend} == kinds_there == {"waiting", "starting", "stopped", "reused"}


class TestScale:
    def test_a_retry_days_later_does_not_squeeze_the_rest(self) -> None:
        axis = scale(0, 300_100, [(0, 100), (300_000, 300_100)])
        assert axis.at(100) == pytest.approx((100 - FOLD_WIDTH) / 2)
        assert axis.at(300_000) - axis.at(100) == pytest.approx(FOLD_WIDTH)
        assert [fold.text for fold in axis.folds] == ["3d11h"]

    def test_a_short_gap_is_drawn_as_it_is(self) -> None:
        axis = scale(0, 200, [(0, 50), (150, 200)])
        assert axis.folds == ()
        assert axis.at(100) == pytest.approx(50)

    @pytest.mark.parametrize("length", [0.0, 0.5, 1, 59, 61, 3599, 7201, 86400 * 3, 86400 * 4000])
    def test_ticks_are_few_and_in_order(self, length: float) -> None:
        ticks = scale(0, length, [(0, length)]).ticks()
        assert 1 <= len(ticks) <= 9
        places = [tick.at for tick in ticks]
        assert places == sorted(places)

    def test_ticks_leave_room_for_their_words_on_a_phone(self) -> None:
        """298 pixels, and up to 35 of them for `23h20m`: behind a fold the second one lay on the first."""
        axis = scale(0, 310, [(0, 1), (200, 310)])
        assert axis.folds
        places = [tick.at for tick in axis.ticks()]
        assert min(after - before for before, after in pairwise(places)) >= 12

    def test_it_grows_with_time(self) -> None:
        axis = scale(10, 9000, [(10, 20), (4000, 4100), (8990, 9000)])
        places = [axis.at(moment) for moment in range(0, 9100, 10)]
        assert places == sorted(places)
        assert (places[0], places[-1]) == (0, pytest.approx(100))


class TestFlowRuns:
    def test_a_label_alone_is_a_flow_run(self) -> None:
        (row,) = flow_runs.rows([], briefs(*worlds.etl()))
        assert (row.name, row.flow, row.state, row.recorded) == ("etl-1f3a52b7", "etl", "Failed", False)
        assert row.counts == [("Failed", 1), ("NotReady", 2), ("Completed", 4), ("Cached", 1)]
        assert (row.over, row.failed) == (8, 3)

    @pytest.mark.parametrize(
        ("states_of", "state"),
        [
            (("Pending", "Pending"), "Pending"),
            (("Pending", "Completed"), "Running"),
            (("Failed", "Running"), "Running"),
            (("Completed", "Cached"), "Completed"),
            (("Completed", "Cancelled"), "Cancelled"),
            (("Cancelled", "Failed"), "Failed"),
        ],
    )
    def test_the_state_of_a_label(self, states_of: tuple[str, ...], state: str) -> None:
        runs = briefs(*(worlds.task_run(f"r{n}", one) for n, one in enumerate(states_of)))
        assert flow_runs.unrecorded(runs).state == state

    def test_counts_come_from_task_runs_where_they_were_read(self) -> None:
        recorded = flow_run_brief(worlds.flow_run("etl-1f3a52b7", status={"counts": {"Completed": 99}}))
        assert flow_runs.row(recorded, []).counts == [("Completed", 99)]
        assert flow_runs.row(recorded, briefs(*worlds.etl())).total == 8

    def test_a_lost_driver_is_a_word_of_its_own_until_the_flow_has_ended(self) -> None:
        lost = {"conditions": [{"type": "DriverLost", "status": "True"}]}
        running = flow_run_brief(worlds.flow_run("a", "Running", status=lost))
        ended = flow_run_brief(worlds.flow_run("b", "Completed", status=lost))
        assert [row.word for row in flow_runs.rows([running, ended], [])] == ["DriverLost", "Completed"]

    def test_retries_are_counted_where_a_list_shows_attempts_only(self) -> None:
        row = {"metadata": {"name": "a", "uid": "u", "labels": {"podtask.dev/flow-run": "f"}},
               "cells": {"State": "Completed", "Attempt": "3/4"}}  # fmt: skip
        assert brief_of_row(row).retries == 2
        assert brief_of_row({**row, "cells": {"Attempt": "x/y"}}).retries == 0
        assert brief_of_row({**row, "cells": {"Attempt": "0/4"}}).retries == 0
        (found,) = flow_runs.rows([], [brief_of_row(row), brief_of_row(row)])
        assert found.retries == 4

    def test_newest_first(self) -> None:
        made = [flow_run_brief(worlds.flow_run(f"r{n}", began=n * 7 % 50)) for n in range(20)]
        begins = [row.started for row in flow_runs.rows(made, [])]
        assert begins == sorted(begins, reverse=True)

    def test_parts_of_the_bar_fill_it(self) -> None:
        parts = flow_runs.shares([("Completed", 9999), ("Failed", 1)])
        assert sum(part.width for part in parts) == pytest.approx(100)
        assert min(part.width for part in parts) > 1.5


class TestListing:
    def test_a_query_is_what_its_url_says(self) -> None:
        query = Query(("Failed", "Timed Out"), "50% & more", "a task", 3)
        from urllib.parse import parse_qsl

        assert Query.of(parse_qsl(query.url(page=3)[1:])) == query
        assert Query.of(parse_qsl(query.url(text="")[1:])).page == 1

    @pytest.mark.parametrize("page", ["", "0", "-1", "x", "9" * 50, "1e3", "٣"])
    def test_what_is_no_page_is_the_first(self, page: str) -> None:
        assert Query.of([("page", page)]).page == 1

    def test_behind_the_last_page_is_the_last(self) -> None:
        found = listing.page(list(range(401)), 999)
        assert (found.number, found.pages, found.first, found.last) == (3, 3, 401, 401)

    def test_what_went_wrong_comes_first(self) -> None:
        words = [one.state for one in listing.task_runs(briefs(*worlds.train(), *worlds.etl()), Query())]
        assert [states.rank(word) for word in words] == sorted(states.rank(word) for word in words)
        assert words[0] == "Failed"

    def test_a_search_looks_at_names_reasons_and_messages(self) -> None:
        found = listing.task_runs(briefs(*worlds.etl()), Query(text="NO NUMBERS"))
        assert [one.name for one in found] == ["load"]

    def test_every_state_has_a_group_and_a_rank(self) -> None:
        from podtask.core.api.names import State

        assert {states.group(str(state)) for state in State} == set(states.GROUPS)
        assert all(states.rank(str(state)) < len(states.ORDER) for state in State)
        assert states.group("ZukunftsState") == "waiting"
        for state in State:
            assert states.ended(str(state)) is state.finished


class TestHostileText:
    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("a\x00b", "a\\x00b"),
            ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
            ("\u202eevil", "\\u202eevil"),
            ("\u2066x\u2069", "\\u2066x\\u2069"),
            ("\x7f\x9b", "\\x7f\\x9b"),
            ("half \ud800", "half \\ud800"),
            ("tab\tand\nline", "tab\tand\nline"),
            ("Grüße 日本", "Grüße 日本"),
        ],
    )
    def test_what_is_not_seen_is_shown(self, text: str, shown: str) -> None:
        assert visible(text) == shown
        visible(text).encode()

    def test_colours_become_classes(self) -> None:
        html = line_html("\x1b[1;31mbad\x1b[0m <b> \x1b[38;5;200mx\x1b[38;2;1;2;3my\x1b[44mz")
        assert html == '<span class="a-bold a-red">bad</span> &lt;b&gt; xy<span class="a-on-blue">z</span>'

    @pytest.mark.parametrize(
        "text", ["\x1b[31", "\x1b[", "\x1b[;;;m", "\x1b[38;5m", "\x1b[38m", "\x1b[999999999999m", "\x1b[2J\x1b[H"]
    )
    def test_broken_sequences_are_harmless(self, text: str) -> None:
        assert "\x1b" not in line_html(text + "<i>")
        assert "&lt;i&gt;" in line_html(text + "<i>")

    def test_no_class_is_of_somebody_elses_making(self) -> None:
        html = str(line_html('\x1b[31"onload=x m'))
        assert "onload=x" not in html or escape('"') in html

    def test_long_lines_are_cut(self) -> None:
        html = line_html("<" * (LINE_LIMIT + 5000))
        assert "5,000 more characters" in html
        assert len(html) < 5 * LINE_LIMIT

    def test_a_progress_bar_shows_its_last_state(self) -> None:
        assert lines_html([b"10%\r20%\r30%\n"]) == ["30%"]

    def test_bytes_that_are_no_text(self) -> None:
        assert lines_html([b"\xff\xfe<\n"]) == ["��&lt;"]


class TestValues:
    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("12345678901234567890123", "12345678901234567890123"),
            ("0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
            ('{"a":[1,2.50]}', '{\n  "a": [\n    1,\n    2.50\n  ]\n}'),
            ("no json", "no json"),
            ('{"a": NaN}', '{\n  "a": NaN\n}'),
            ("[]", "[]"),
        ],
    )
    def test_json_is_indented_and_keeps_its_numbers(self, text: str, shown: str) -> None:
        assert _pretty_text(text) == shown

    def test_deep_json_is_shown_as_it_is(self) -> None:
        deep = "[" * 4000 + "]" * 4000
        assert _pretty_text(deep).count("[") == 4000

    def test_bars_of_a_brief_alone(self) -> None:
        from podtask.ui.view.timeline import axis_of

        one = brief(worlds.task_run("one", attempts=[worlds.attempt(1, 100, 90)]))
        assert bars(one, axis_of([one], NOW), NOW)


class TestShortTimes:
    """On this machine a flow run may be over in a tenth of a second."""

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [(0, "0s"), (0.0001, "1ms"), (0.042, "42ms"), (0.099, "99ms"), (0.0999, "0.1s"), (0.4, "0.4s"), (1.0, "1s"),
         (2.04, "2s"), (2.5, "2.5s"), (9.97, "10s"), (10.4, "10s"), (190, "3m10s")],
    )  # fmt: skip
    def test_durations(self, seconds: float, text: str) -> None:
        assert lasted(0.0, seconds) == text

    def test_the_axis_is_as_long_as_the_flow_run(self) -> None:
        axis = scale(5.0, 5.1, [(5.0, 5.1)])
        assert axis.at(5.05) == pytest.approx(50.0)
        assert [one.text for one in axis.ticks()][:3] == ["0s", "20ms", "40ms"]

    def test_of_times_in_whole_seconds_nothing_shorter_is_known(self) -> None:
        axis = scale(5.0, 5.0, [(5.0, 5.0)])
        assert (axis.begin, axis.end) == (5.0, 6.0)
