"""Saving and loading progress under grants: newest wins, damage costs one checkpoint, nothing piles up."""

from __future__ import annotations

import copy
import logging
import os
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.runner.checkpoint_life import SLOTS, Damage, Life
from tests.unit.runner.s3like import CUT, S3Like

from podtask_runner import protocol
from podtask_runner.attempt import checkpoint, checkpoint_object
from podtask_runner.attempt.checkpoint import UNDECLARED
from podtask_runner.attempt.checkpoint_object import HEADER
from podtask_runner.errors import CheckpointError, StoreUnavailable
from podtask_runner.protocol import Grants
from podtask_runner.storage import spool


@pytest.fixture(params=["files", "server"])
def life(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Life]:
    server = request.getfixturevalue("server") if request.param == "server" else None
    made = Life(tmp_path, server)
    yield made
    for store in made.opened:
        store.close()
    assert list((tmp_path / "tmp").glob("*")) == [], "no temporary file stays"


@pytest.fixture
def served_life(tmp_path: Path, server: S3Like) -> Iterator[Life]:
    made = Life(tmp_path, server)
    yield made
    for store in made.opened:
        store.close()


class TestTheNewest:
    def test_nothing_saved_is_the_default_itself(self, life: Life) -> None:
        default: list[int] = []
        assert life.attempt(1).load(default) is default
        assert life.attempt(1).load() is None

    def test_the_next_attempt_loads_what_the_last_one_saved_last(self, life: Life) -> None:
        first = life.attempt(1)
        for step in range(7):
            first.save({"step": step})
        assert life.attempt(2, 1).load() == {"step": 6}

    def test_none_that_was_saved_is_no_default(self, life: Life) -> None:
        life.attempt(1).save(None)
        assert life.attempt(2, 1).load("default") is None

    def test_the_same_attempt_loads_it_too_and_as_a_copy(self, life: Life) -> None:
        here, value = life.attempt(1), [1]
        here.save(value)
        value.append(2)
        assert here.load() == [1]
        here.save(value)
        assert here.load() == [1, 2]

    def test_what_this_attempt_saved_comes_before_what_earlier_ones_did(self, life: Life) -> None:
        for step in range(5):
            life.attempt(1).save(f"old {step}")
        second = life.attempt(2, 1)
        assert second.load() == "old 4"
        second.save("new")
        assert second.load() == "new"
        assert life.attempt(3, 1, 2).load() == "new"

    def test_an_attempt_that_saved_nothing_is_passed_over(self, life: Life) -> None:
        life.attempt(1).save("one")
        life.attempt(2, 1)
        assert life.attempt(3, 1, 2).load() == "one"

    def test_an_attempt_that_was_given_up_and_runs_on_changes_nothing_of_a_later_one(self, life: Life) -> None:
        zombie = life.attempt(1)
        zombie.save("before")
        second = life.attempt(2, 1)
        second.save("second")
        for step in range(5):
            zombie.save(f"late {step}")
        assert second.load() == "second"
        assert life.attempt(3, 1, 2).load() == "second"

    @pytest.mark.parametrize("count", [1, 2, 3, 100])
    def test_however_often_it_is_saved_there_are_two_objects(self, life: Life, count: int) -> None:
        here = life.attempt(1)
        for step in range(count):
            here.save(step)
        assert len(life.objects()) == min(count, SLOTS)
        assert life.attempt(2, 1).load() == count - 1

    @pytest.mark.parametrize(
        "value", [b"x" * 300_000, {1, (2, 3)}, range(4), "a\ud800", 2.5, [None], ValueError], ids=repr
    )
    def test_a_value_comes_back_as_it_was(self, life: Life, value: Any) -> None:
        life.attempt(1).save(value)
        assert life.attempt(2, 1).load() == value

    def test_an_array_comes_back_as_an_array(self, life: Life) -> None:
        import numpy as np

        life.attempt(1).save(np.arange(100_000).reshape(100, 1000))
        found = life.attempt(2, 1).load()
        assert found.shape == (100, 1000)
        assert (found == np.arange(100_000).reshape(100, 1000)).all()
        found[0, 0] = 7  # as the task's own arrays

    def test_threads_save_one_after_the_other(self, life: Life) -> None:
        here = life.attempt(1)
        threads = [threading.Thread(target=here.save, args=(f"{n}" * 50_000,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        numbers = [checkpoint_object.CheckpointHeader.load(data[:HEADER]) for data in life.objects().values()]
        assert sorted(header.number for header in numbers if header is not None) == [7, 8]
        assert life.attempt(2, 1).load() == here.load()


DAMAGES: dict[str, Damage] = {
    "empty": lambda data: b"",
    "half a header": lambda data: data[:100],
    "a header alone": lambda data: data[:HEADER],
    "cut off by a byte": lambda data: data[:-1],
    "a byte more": lambda data: data + b"x",
    "a megabyte more": lambda data: data + bytes(1 << 20),
    "a bit of the payload": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "a byte of the header": lambda data: b"[" + data[1:],
    "another format": lambda data: data.replace(b"podtask-checkpoint", b"podtask-checkpoins"),
    "a wrong size": lambda data: data.replace(b'"size": ', b'"size":1'),
    "a size that is none": lambda data: data.replace(b'"size": ', b'"size":"x","y":'),
    "zeros": lambda data: bytes(len(data)),
    "a deep header": lambda data: b"[" * HEADER + data[HEADER:],
}


class TestDamage:
    @pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
    def test_the_one_before_it_is_taken_with_a_warning(
        self, life: Life, damage: Damage, caplog: pytest.LogCaptureFixture
    ) -> None:
        first = life.attempt(1)
        first.save("one before")
        first.save("newest")  # number 2, slot 0
        life.damage((1, 0), damage)
        with caplog.at_level(logging.WARNING, "podtask.checkpoints"):
            assert life.attempt(2, 1).load() == "one before"
        assert "damaged" in caplog.text

    @pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
    def test_where_all_of_an_attempt_is_damaged_the_attempt_before_it_counts(self, life: Life, damage: Damage) -> None:
        life.attempt(1).save("first")
        second = life.attempt(2, 1)
        second.save("second")
        second.save("second again")
        for slot in range(SLOTS):
            life.damage((2, slot), damage)
        assert life.attempt(3, 1, 2).load() == "first"

    @pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
    def test_where_there_is_no_other_the_default_is_taken(self, life: Life, damage: Damage) -> None:
        life.attempt(1).save("only")
        life.damage((1, 1), damage)
        assert life.attempt(2, 1).load("default") == "default"

    def test_what_vanished_meanwhile_is_passed_over(self, served_life: Life, server: S3Like) -> None:
        served_life.attempt(1).save("gone")
        second = served_life.attempt(2, 1)
        server.objects.clear()
        assert second.load("default") == "default"

    def test_a_failed_save_leaves_the_one_before_it(self, life: Life) -> None:
        first = life.attempt(1)
        first.save("good")
        with pytest.raises(CheckpointError):
            first.save(threading.Lock())
        assert life.attempt(2, 1).load() == "good"
        first.save("better")
        assert life.attempt(2, 1).load() == "better"
        assert len(life.objects()) == SLOTS


class TestAStoreThatHasBadDays:
    def test_a_save_is_tried_again_until_it_is_stored(self, served_life: Life, server: S3Like) -> None:
        first = served_life.attempt(1)
        server.answers = [503, CUT, 500, 409]
        first.save("stored")
        assert server.answers == []
        assert served_life.attempt(2, 1).load() == "stored"

    def test_a_store_that_stays_away_is_told_and_the_one_before_stays(self, served_life: Life, server: S3Like) -> None:
        first = served_life.attempt(1)
        first.save("before")
        server.answers = [503] * 100
        with pytest.raises(StoreUnavailable, match="storing the checkpoint"):
            first.save("lost")
        server.answers = []
        assert served_life.attempt(2, 1).load() == "before"
        first.save("after")
        assert served_life.attempt(2, 1).load() == "after"

    def test_a_store_that_stays_away_is_no_default(self, served_life: Life, server: S3Like) -> None:
        """Who goes on from the start loses the work of days."""
        served_life.attempt(1).save("before")
        server.answers = [503] * 100
        with pytest.raises(StoreUnavailable, match="reading the checkpoint"):
            served_life.attempt(2, 1).load("default")

    @pytest.mark.parametrize("refusal", [403, 400])
    def test_grants_that_expired_are_read_again(self, served_life: Life, server: S3Like, refusal: int) -> None:
        served_life.attempt(1).save("before")
        asked = []

        def reload() -> Grants:
            asked.append(1)
            return served_life.grants(2)  # renewed ones need not name what the first ones did

        second = served_life.attempt(2, 1, reload=reload)
        server.answers = [refusal]
        assert second.load() == "before"
        server.answers = [refusal]
        second.save("more")
        assert asked == [1, 1]
        assert second.load() == "more"

    def test_a_load_that_breaks_off_begins_anew(self, served_life: Life, server: S3Like) -> None:
        served_life.attempt(1).save(list(range(100_000)))
        server.answers = [CUT, 503]
        assert served_life.attempt(2, 1).load() == list(range(100_000))


class TestRefusals:
    def test_a_task_that_declares_none_is_told_how(self) -> None:
        for use in (lambda: UNDECLARED.save(1), UNDECLARED.load):
            with pytest.raises(CheckpointError, match=r"@task\(checkpoints=True\).*spec.checkpoints"):
                use()

    def test_what_cannot_be_pickled_is_named(self, life: Life) -> None:
        with pytest.raises(CheckpointError, match=r"The checkpoint \(lock\) cannot be pickled: .*Save plain data"):
            life.attempt(1).save(threading.Lock())
        assert life.objects() == {}

    def test_more_than_one_object_can_hold_is_refused(self, life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(checkpoint, "FILE_LIMIT", HEADER + 100)
        with pytest.raises(CheckpointError, match=r"has \d+ bytes; 5 GiB are the most"):
            life.attempt(1).save("x" * 200)
        assert life.objects() == {}

    def test_a_full_disk_is_told(self, life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
        first = life.attempt(1)
        first.save("before")

        def full(stream: Any) -> None:
            stream.close()
            raise spool.NoRoom(28, "No space left on device")

        monkeypatch.setattr(checkpoint_object, "close", full)
        with pytest.raises(CheckpointError, match=r"no room in TMPDIR.*ephemeral storage"):
            first.save("more")
        with pytest.raises(CheckpointError, match="no room in TMPDIR"):
            life.attempt(2, 1).load()

    def test_another_process_is_told_to_leave_it_to_the_task(self, life: Life) -> None:
        first = life.attempt(1)
        first.save("before")
        read_end, write_end = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                first.save("from elsewhere")
            except CheckpointError as error:
                os.write(write_end, str(error).encode())
            finally:
                os._exit(0)
        os.close(write_end)
        with os.fdopen(read_end, "rb") as said:
            text = said.read().decode()
        os.waitpid(pid, 0)
        assert "another one" in text
        assert life.attempt(2, 1).load() == "before"

    def test_it_does_not_travel_to_another_process_and_is_no_hindrance_to_copies(self, life: Life) -> None:
        first = life.attempt(1)
        with pytest.raises(CheckpointError, match="another one"):
            pickle.dumps(first)
        assert copy.deepcopy([first]) == [first]

    def test_renewed_grants_without_any_say_so(self, served_life: Life, server: S3Like) -> None:
        none = protocol.load_grants(protocol.dump(served_life.grants(1)).replace(b"checkpoints", b"others"))
        assert none.checkpoints is None
        first = served_life.attempt(1, reload=lambda: none)
        server.answers = [403]
        with pytest.raises(CheckpointError, match="allow no checkpoints any more"):
            first.save(1)
