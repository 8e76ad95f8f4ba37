"""What is shown on stderr while a flow runs."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from tests.unit.sdk.harness import Stage

from podtask import flow, task
from podtask.display import progress
from podtask.display.live_table import LiveTable, Screen
from podtask.display.progress import ProgressLines
from podtask.errors import SettingsError


@task
def plain(x=None):
    return x


class Terminal(io.StringIO):
    """A stream that somebody looks at."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CI", "PODTASK_PROGRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


def followed(tally, stage: Stage, definition=plain, *args):
    """A run whose news reach the tally, as those of a flow do."""
    run = stage.run(definition, *args)
    run.listeners = [tally.news]
    tally.added(run)
    return run


class TestLines:
    def test_few_runs_are_named_with_their_states_and_why(self, stage: Stage) -> None:
        out = io.StringIO()
        lines = ProgressLines("etl-1", out)
        stage.paper.free = False
        good, bad = (followed(lines, stage, one) for one in (plain, plain.with_options(name="other")))
        for run in (good, bad):
            stage.loop.began(stage.paper._tracked[run.id], 1)
        stage.paper.returns(good, 1)
        stage.paper.fails(bad)
        lines.close()
        assert out.getvalue().splitlines() == [
            f"etl-1: {good.name} Running",
            f"etl-1: {bad.name} Running",
            f"etl-1: {good.name} Completed",
            f"etl-1: {bad.name} Failed: ValueError: attempt 1",
            "etl-1: 2 task runs: 1 Completed, 1 Failed",
        ]

    def test_many_runs_are_counted_every_few_seconds(self, stage: Stage) -> None:
        out, now = io.StringIO(), [0.0]
        lines = ProgressLines("etl-1", out, lambda: now[0])
        runs = [followed(lines, stage, plain, number) for number in range(100)]
        for run in runs[:50]:
            stage.paper.returns(run, 1)
        assert out.getvalue() == ""
        now[0] = 5.0
        for run in runs[50:]:
            stage.paper.returns(run, 1)
        lines.close()
        assert out.getvalue().splitlines() == [
            "etl-1: 100 task runs: 49 Running, 51 Completed",
            "etl-1: 100 task runs: 100 Completed",
        ]

    def test_a_stderr_that_is_closed_does_not_break_the_run(self, stage: Stage) -> None:
        out = io.StringIO()
        lines = ProgressLines("etl-1", out)
        run = followed(lines, stage)
        out.close()
        stage.paper.returns(run, 1)
        lines.close()
        assert run.state.is_completed()


class TestTable:
    def test_there_is_a_line_for_the_flow_and_one_per_task(self, stage: Stage) -> None:
        table = LiveTable("etl-1", Screen(Terminal()), monotonic=lambda: 0.0)
        table._drawer = object()  # type: ignore[assignment]  # drawn by hand
        runs = [followed(table, stage, plain, number) for number in range(3)]
        followed(table, stage, plain.with_options(name="load"))
        stage.paper.returns(runs[0], 1)
        assert table.lines() == [
            "etl-1  0:00  1/4 finished  Running 3  Completed 1",
            "  plain      1/3 finished  Running 2  Completed 1",
            "  load       0/1 finished  Running 1",
        ]

    def test_many_tasks_share_the_last_line(self, stage: Stage) -> None:
        table = LiveTable("etl-1", Screen(Terminal()))
        table._drawer = object()  # type: ignore[assignment]
        for number in range(20):
            followed(table, stage, plain.with_options(name=f"task{number}"))
        assert len(table.lines()) == 14
        assert table.lines()[-1] == "  and 8 more tasks"

    def test_the_block_is_drawn_over_itself(self) -> None:
        out = Terminal()
        screen = Screen(out)
        screen.draw(["one", "two"])
        screen.draw(["three"])
        assert out.getvalue() == "one\ntwo\n\x1b[2A\x1b[Jthree\n"

    def test_a_stream_that_somebody_kept_writes_below_the_last_block(self) -> None:
        out = Terminal()
        screen = Screen(out)
        screen.draw(["block"])
        screen.leave()
        screen.above(out, "late\n")
        assert out.getvalue() == "block\nlate\n"

    def test_what_others_write_goes_above_and_their_open_line_is_left_alone(self) -> None:
        out = Terminal()
        screen = Screen(out)
        screen.draw(["block"])
        screen.above(out, "hello ")
        screen.draw(["not in the middle of a line"])
        screen.above(out, "world\n")
        assert out.getvalue() == "block\n\x1b[1A\x1b[Jhello world\nnot in the middle of a line\n"

    def test_streams_are_given_back_and_a_redirected_stdout_is_never_touched(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out, err = io.StringIO(), Terminal()
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        table = LiveTable("etl-1", Screen(err))
        followed(table, stage)
        assert sys.stdout is out
        assert sys.stderr is not err
        table.close()
        assert sys.stderr is err
        assert out.getvalue() == ""
        assert "etl-1" in err.getvalue()


class TestChoice:
    def test_a_terminal_gets_a_table_and_a_second_flow_at_the_same_time_lines(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "stderr", Terminal())
        first, second = progress.for_flow("a", "kubernetes"), progress.for_flow("b", "kubernetes")
        assert isinstance(first, LiveTable)
        assert isinstance(second, ProgressLines)
        first.close()

    @pytest.mark.parametrize(("variable", "value"), [("CI", "true"), ("TERM", "dumb"), ("PODTASK_PROGRESS", "plain")])
    def test_a_terminal_gets_lines_where_nobody_looks_or_they_are_asked_for(
        self, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
    ) -> None:
        monkeypatch.setattr(sys, "stderr", Terminal())
        monkeypatch.setenv(variable, value)
        assert isinstance(progress.for_flow("a", "kubernetes"), ProgressLines)

    def test_the_local_backend_is_silent_unless_asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert progress.for_flow("a", "local") is None
        monkeypatch.setenv("PODTASK_PROGRESS", "plain")
        assert isinstance(progress.for_flow("a", "local"), ProgressLines)

    def test_off_is_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PODTASK_PROGRESS", "off")
        assert progress.for_flow("a", "kubernetes") is None

    def test_an_unknown_word_is_refused_with_the_known_ones(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PODTASK_PROGRESS", "loud")
        with pytest.raises(SettingsError, match="PODTASK_PROGRESS must be auto, plain or off, not 'loud'"):
            progress.for_flow("a", "kubernetes")


@pytest.mark.usefixtures("local")
def test_subflows_are_told_with_their_flow_on_stderr_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PODTASK_PROGRESS", "plain")

    @flow
    def inner():
        return plain(1)

    @flow
    def outer():
        return plain(2).result() + inner()

    assert outer() == 3
    told = capsys.readouterr()
    assert told.out == ""
    lines = told.err.splitlines()
    assert len(lines) == 5
    assert all(line.startswith("outer-") for line in lines)
    assert lines[-1].endswith(": 2 task runs: 2 Completed")
