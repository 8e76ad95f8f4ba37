"""Checkpoints by real runs of the supervisor, as in pods and on the backend `process`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.runner.checkpoint_life import Life
from tests.unit.runner.harness import Attempt

from podtask_runner import protocol
from podtask_runner.protocol import Checkpoints, Put, Slot

STEPS = """
def main(steps, stop=0):
    from podtask import get_run_context
    kept = get_run_context().checkpoint
    done = kept.load(0)
    print(f"went on at {done}", flush=True)
    while done < steps:
        done += 1
        kept.save(done)
        if done == stop:
            raise ValueError("stopped")
    return done
"""


class TestInASupervisor:
    """The way of pods and of the backend `process`."""

    @pytest.fixture(params=["files", "server"])
    def pods(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Life]:
        made = Life(tmp_path, request.getfixturevalue("server") if request.param == "server" else None)
        yield made
        for store in made.opened:
            store.close()

    def run(self, life: Life, number: int, *earlier: int, source: str = STEPS, **parameters: Any) -> Any:
        store = life.server.url if life.server else ""
        root = life.root / f"attempt {number}"
        granted = life.grants(number, *earlier).checkpoints
        where = Attempt(root, store=f"{store}/{number}" if store else "")
        return where.source(source, attempt=number, checkpoints=granted, parameters=parameters)

    def test_an_attempt_goes_on_where_the_last_one_was(self, pods: Life) -> None:
        first = self.run(pods, 1, steps=5, stop=3)
        assert (first.error.type, "went on at 0" in first.stdout) == ("ValueError", True)
        second = self.run(pods, 2, 1, steps=5)
        assert (second.result.value, "went on at 3" in second.stdout) == ("5", True)

    def test_what_finally_saves_before_a_node_goes_is_kept(self, pods: Life) -> None:
        source = """
def main():
    import os, signal, time
    from podtask import get_run_context
    kept = get_run_context().checkpoint
    kept.save("early")
    try:
        os.kill(os.getppid(), signal.SIGTERM)
        time.sleep(60)
    finally:
        kept.save("last words")
"""
        first = self.run(pods, 1, source=source)
        assert first.outcome.outcome is protocol.Verdict.INTERRUPTED
        assert pods.attempt(2, 1).load() == "last words"

    def test_an_attempt_that_dies_on_the_spot_keeps_what_it_saved(self, pods: Life) -> None:
        source = """
def main():
    import os, signal
    from podtask import get_run_context
    for step in range(4):
        get_run_context().checkpoint.save(step)
    os.kill(os.getpid(), signal.SIGKILL)
"""
        first = self.run(pods, 1, source=source)
        assert first.outcome.outcome is protocol.Verdict.CRASHED
        assert pods.attempt(2, 1).load() == 3

    def test_without_grants_for_it_the_task_is_told_what_to_write(self, attempt: Attempt) -> None:
        ran = attempt.source(STEPS, parameters={"steps": 1})
        assert ran.error.type == "CheckpointError"
        assert "spec.checkpoints: true" in ran.error.message

    def test_a_store_that_stays_away_interrupts_the_attempt_and_does_not_fail_it(self, served: Attempt) -> None:
        nowhere = Slot(Put("http://127.0.0.1:9/x"), "http://127.0.0.1:9/x")
        granted = Checkpoints((nowhere, nowhere))
        ran = served.source(STEPS, parameters={"steps": 1}, checkpoints=granted, store_timeout_seconds=0.5)
        assert ran.outcome.outcome is protocol.Verdict.STORE_UNAVAILABLE
        assert ran.error.message.startswith("PUT http://127.0.0.1:9/x")

    def test_a_file_is_refused_in_a_sentence(self, pods: Life) -> None:
        source = """
def main():
    from pathlib import Path
    from podtask import File, get_run_context
    Path("x").write_text("content")
    get_run_context().checkpoint.save({"file": File("x")})
"""
        first = self.run(pods, 1, source=source)
        assert first.error.type == "CheckpointError"
        assert "cannot be pickled" in first.error.message
