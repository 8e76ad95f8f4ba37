"""What a notebook shows of futures, states and flows."""

from __future__ import annotations

from pathlib import Path

from tests.unit.sdk.harness import Stage

from podtask import TaskFuture, flow, task
from podtask.states import Failed


@task(name="<b>plain</b>")
def plain(x=None):
    return x


def test_a_future_shows_its_state_as_a_word_with_all_before_it(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    run = stage.run(plain)
    stage.paper.fails(run)
    shown = TaskFuture(run)._repr_html_()
    assert "Failed(" in shown
    assert "Pending → Running → Failed" in shown
    assert run.id in shown


def test_names_and_messages_of_users_are_escaped(tmp_path: Path) -> None:
    shown = TaskFuture(Stage(tmp_path).run(plain))._repr_html_() + Failed("<script>")._repr_html_()
    assert "<b>plain" not in shown
    assert "&lt;b&gt;plain" in shown
    assert "<script>" not in shown


def test_a_state_shows_its_message_and_cuts_a_long_one() -> None:
    assert "no luck" in Failed("no luck")._repr_html_()
    assert len(Failed("x" * 10_000)._repr_html_()) < 1000


def test_a_flow_shows_how_it_is_called_and_only_what_is_set() -> None:
    @flow(timeout_seconds=60)
    def etl(day: str, full: bool = False):
        """Loads a day."""

    shown = etl._repr_html_()
    assert "etl(day:" in shown
    assert "Loads a day." in shown
    assert "timeout_seconds" in shown
    assert "version" not in shown
