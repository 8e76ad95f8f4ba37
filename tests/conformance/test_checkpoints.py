"""A task goes on where its last attempt was, wherever it runs."""

from __future__ import annotations

import asyncio
import time

import pytest
from tests.conformance.suite import REMOTE

from podtask import flow, get_run_context, task


@pytest.mark.usefixtures("backend")
class TestCheckpoints:
    @pytest.mark.straight
    def test_the_next_attempt_goes_on_where_the_last_one_was(self) -> None:
        @task(retries=2, checkpoints=True)
        def count(most):
            here = get_run_context()
            done = here.checkpoint.load([])
            while len(done) < most:
                done.append(here.task_run.run_count)
                here.checkpoint.save(done)
                if len(done) in (3, 5):
                    raise ConnectionError("the node goes")
            return done

        @flow
        def counting():
            return count(7).result()

        assert counting() == [1, 1, 1, 2, 2, 3, 3]

    def test_each_run_has_its_own(self) -> None:
        @task(retries=1, checkpoints=True)
        def double(number):
            kept = get_run_context().checkpoint
            before = kept.load()
            if before is None:
                kept.save(number)
                raise ValueError("once")
            return before + number

        @flow
        def doubling():
            return [future.result() for future in double.map([1, 2, 3])]

        assert doubling() == [2, 4, 6]

    def test_values_of_classes_of_the_script_come_back(self) -> None:
        class Progress:
            def __init__(self, epoch):
                self.epoch = epoch

        @task(retries=1, checkpoints=True)
        def train():
            kept = get_run_context().checkpoint
            found = kept.load()
            if found is None:
                kept.save({"progress": Progress(7), "seen": {1, 2}})
                raise ValueError("once")
            return found["progress"].epoch, sorted(found["seen"]), isinstance(found["progress"], Progress)

        @flow
        def training():
            return train().result()

        assert training() == (7, [1, 2], True)

    def test_an_async_task_has_them_as_well(self) -> None:
        @task(retries=1, checkpoints=True)
        async def count():
            kept = get_run_context().checkpoint
            done = kept.load(0)
            await asyncio.sleep(0)
            kept.save(done + 1)
            if done == 0:
                raise ValueError("once")
            return kept.load()

        @flow
        async def counting():
            return await (await count()).result()

        assert asyncio.run(counting()) == 2

    def test_what_is_loaded_is_a_copy_of_what_was_saved(self) -> None:
        @task(checkpoints=True)
        def copies():
            kept = get_run_context().checkpoint
            value = [1]
            kept.save(value)
            value.append(2)
            first = kept.load()
            first.append(3)
            return kept.load()

        @flow
        def copying():
            return copies().result()

        assert copying() == [1]

    @pytest.mark.parametrize("checkpoints", [True, False])
    def test_the_context_travels_without_them(self, checkpoints: bool) -> None:
        @task(checkpoints=checkpoints)
        def who():
            import dataclasses

            here = get_run_context()
            return dataclasses.replace(here, task=None), sorted(
                dataclasses.asdict(dataclasses.replace(here, task=None))
            )

        @flow
        def asking():
            return who().result()

        found, names = asking()
        assert found.task_run.run_count == 1
        assert "task_run" in names
        with pytest.raises(RuntimeError, match="keeps no checkpoints"):
            found.checkpoint.save(1)

    def test_a_task_that_declares_none_is_told_how(self) -> None:
        @task
        def save():
            get_run_context().checkpoint.save(1)

        @flow
        def saving():
            return save()

        with pytest.raises(RuntimeError, match=r"@task\(checkpoints=True\)"):
            saving()

    def test_what_cannot_be_pickled_is_named(self) -> None:
        @task(checkpoints=True)
        def save():
            import threading

            get_run_context().checkpoint.save({"lock": threading.Lock()})

        @flow
        def saving():
            return save()

        with pytest.raises(RuntimeError, match=r"The checkpoint \(dict\) cannot be pickled"):
            saving()

    def test_a_run_that_has_its_result_from_the_cache_needs_none(self) -> None:
        def key(context, parameters):
            return "checkpoints-cached"

        @task(checkpoints=True, cache_key_fn=key)
        def save():
            get_run_context().checkpoint.save(1)
            return get_run_context().checkpoint.load()

        @flow
        def saving():
            first = save()
            second = save(wait_for=[first])
            return first.result(), second.result(), second.wait().name

        assert saving() == (1, 1, "Cached")


@pytest.mark.parametrize("backend", REMOTE, indirect=True)
@pytest.mark.usefixtures("backend")
class TestInProcessesOfTheirOwn:
    def test_what_was_saved_before_a_timeout_is_loaded_after_it(self) -> None:
        @task(retries=1, checkpoints=True, timeout_seconds=5)
        def hang():
            kept = get_run_context().checkpoint
            if kept.load() == "saved":
                return "went on"
            kept.save("saved")
            time.sleep(600)
            return "slept"

        @flow
        def hanging():
            return hang().result()

        assert hanging() == "went on"

    def test_another_process_of_the_task_leaves_them_to_the_task(self) -> None:
        @task(checkpoints=True)
        def pooling():
            import multiprocessing

            kept = get_run_context().checkpoint

            def save(number):
                try:
                    kept.save(number)
                except RuntimeError as error:
                    answers.put(str(error))

            context = multiprocessing.get_context("fork")
            answers = context.SimpleQueue()
            child = context.Process(target=save, args=(1,))
            child.start()
            told = answers.get()
            child.join()
            return told, kept.load("nothing")

        @flow
        def run():
            return pooling().result()

        told, found = run()
        assert "this is another one" in told
        assert found == "nothing"
