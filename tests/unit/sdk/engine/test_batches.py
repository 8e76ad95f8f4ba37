"""`batch_size`: what is refused, what a batch asks of its backend, what of it is told to its items."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from podtask import Task, allow_failure, backends, flow, get_run_context, task, task_input_hash, unmapped
from podtask.backends.local import LocalBackend
from podtask.errors import BlockingCall, UnpicklableArgument, UpstreamNotReady
from podtask.model.task_run import TaskRun
from podtask.states import Failed

pytestmark = pytest.mark.usefixtures("local")


def add(x: Any, y: Any = 0) -> Any:
    return x + y


ADD = Task(add)


@pytest.fixture
def submitted(local: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> list[TaskRun]:
    """What the backend was given."""
    seen: list[TaskRun] = []
    submit = local.submit
    monkeypatch.setattr(local, "submit", lambda run: (seen.append(run), submit(run)))
    return seen


def in_flow(body: Callable[[], Any]) -> Any:
    return flow(name="flowing")(body)()


class TestWhatIsRefused:
    @pytest.mark.parametrize("size", [0, -1, True, 1.5, "10", [3]])
    def test_a_size_that_is_none(self, size: Any) -> None:
        with pytest.raises(ValueError, match="batch_size must be a whole number, 1 or more, not"):
            in_flow(lambda: ADD.map([1], batch_size=size))
        with pytest.raises(ValueError, match="batch_size must be a whole number, 1 or more, not"):
            Task(add, batch_size=size)

    @pytest.mark.parametrize("size", [1, None])
    def test_no_batches_leave_a_map_as_it_is(self, size: int | None, submitted: list[TaskRun]) -> None:
        cached = ADD.with_options(cache_key_fn=task_input_hash, batch_size=5)
        assert in_flow(lambda: [future.result() for future in cached.map([1, 2], batch_size=size)]) == [1, 2]
        assert [run.task for run in submitted] == [cached, cached]

    def test_an_option_is_reset_as_options_are(self) -> None:
        batched = ADD.with_options(batch_size=5)
        sizes = [batched.with_options(batch_size=size).options.batch_size for size in (0, None, 7)]
        assert sizes == [None, None, 7]

    def test_a_task_with_checkpoints_of_its_own(self) -> None:
        with pytest.raises(ValueError, match=r"add\.with_options\(checkpoints=False\)"):
            in_flow(lambda: ADD.with_options(checkpoints=True).map([1, 2], batch_size=2))

    def test_an_argument_that_cannot_be_pickled_is_named(self) -> None:
        with pytest.raises(UnpicklableArgument, match="'y'"):
            in_flow(lambda: ADD.map([1, 2], [1, threading.Lock()], batch_size=2))

    def test_a_checkpoint_of_an_item(self) -> None:
        @task
        def save(x: int) -> None:
            get_run_context().checkpoint.save(x)  # type: ignore[union-attr]

        with pytest.raises(RuntimeError, match="keeps no checkpoints"):
            in_flow(lambda: [future.result() for future in save.map([1], batch_size=2)])

    def test_a_wait_that_would_never_end(self) -> None:
        @task
        async def later(x: int) -> int:
            return x

        @flow
        async def flowing() -> int:
            first = await later(1)
            return ADD.map([1, first], batch_size=2)[0].result()

        import asyncio

        with pytest.raises(BlockingCall):
            asyncio.run(flowing())


class TestTheCache:
    """An entry per batch: of the same items, in the same batch."""

    def states(self, cached: Any, values: Any, size: int, **options: Any) -> Any:
        futures = cached.with_options(**options).map(values, batch_size=size)
        return "".join(future.wait().name[1] for future in futures), [future.result() for future in futures]

    @pytest.mark.parametrize(
        "key",
        [
            task_input_hash,
            task_input_hash(ignore=["y"], add={"rates": 1}),
            lambda context, parameters: f"{context.task.name} {parameters['x']} {parameters['y']}",
        ],
    )
    def test_the_same_items_in_the_same_batch_are_not_computed_again(self, key: Any) -> None:
        cached = ADD.with_options(cache_key_fn=key)

        def states(*given: Any) -> Any:
            return in_flow(lambda: self.states(cached, *given))

        assert states([1, 2, 3], 2) == ("ooo", [1, 2, 3])  # cOmpleted
        assert states([1, 2, 3], 2) == ("aaa", [1, 2, 3])  # cAched
        assert states([1, 2, 4], 2) == ("aao", [1, 2, 4])
        assert states([1, 2, 3], 3) == ("ooo", [1, 2, 3])
        assert states([2, 1], 2) == ("oo", [2, 1])
        assert in_flow(lambda: [f.wait().name for f in (cached(1), cached(2))]) == ["Completed"] * 2  # type: ignore[union-attr]

    def test_an_item_without_a_key_leaves_its_batch_uncached(self) -> None:
        def key(context: Any, parameters: dict[str, Any]) -> str | None:
            assert context.task_run.name.endswith(f"-{context.task_run.dynamic_key}")
            return None if parameters["x"] == 1 else "2"

        cached = ADD.with_options(cache_key_fn=key)
        for ends in ("oo", "oo"):
            assert in_flow(lambda: self.states(cached, [1, 2], 2))[0] == ends

    def test_a_batch_of_which_an_item_failed_is_not_kept(self) -> None:
        @task(cache_key_fn=task_input_hash)
        def fail(x: int) -> None:
            raise ValueError(x)

        for _ in range(2):
            assert in_flow(lambda: [f.wait().name for f in fail.map([1, 2], batch_size=2)]) == ["Failed"] * 2  # type: ignore[union-attr]

    def test_a_batch_of_one_is_no_call(self) -> None:
        key = task_input_hash
        cached = ADD.with_options(cache_key_fn=key)
        assert in_flow(lambda: cached(7).result()) == 7
        assert in_flow(lambda: self.states(cached, [7], 5)) == ("o", [7])
        assert in_flow(lambda: (cached(7).wait().name, cached(7).result())) == ("Cached", 7)  # type: ignore[union-attr]


class TestTheName:
    def test_a_parameter_of_this_name_is_the_tasks(self, submitted: list[TaskRun]) -> None:
        @task
        def train(x: int, batch_size: int) -> int:
            return x * batch_size

        assert in_flow(lambda: [f.result() for f in train.map([1, 2], batch_size=10)]) == [10, 20]
        assert in_flow(lambda: [f.result() for f in train.map(1, batch_size=[3, 4])]) == [3, 4]
        assert len(submitted) == 4
        batched = train.with_options(batch_size=2)
        assert in_flow(lambda: [f.result() for f in batched.map([1, 2], batch_size=unmapped(10))]) == [10, 20]
        assert len(submitted) == 5


class TestWhatTheBackendIsGiven:
    def test_a_run_per_batch_with_the_times_of_all_its_items(self, submitted: list[TaskRun]) -> None:
        timed = ADD.with_options(timeout_seconds=2, deadline_seconds=3, task_run_name="add {x}", retries=4)
        names = in_flow(lambda: [future.name for future in timed.map(range(5), batch_size=2)])
        assert names == [f"add {x}" for x in range(5)]
        options = [run.task.options for run in submitted]
        assert [(each.timeout_seconds, each.deadline_seconds) for each in options] == [(4, 6), (4, 6), (2, 3)]
        assert {(each.checkpoints, each.retries) for each in options} == {(True, 4)}
        assert [run.name.rpartition("-")[2] for run in submitted] == ["0..1", "2..3", "4"]

    def test_times_stay_within_their_bounds(self, submitted: list[TaskRun]) -> None:
        long = ADD.with_options(timeout_seconds=29 * 86400, deadline_seconds=360 * 86400)
        in_flow(lambda: len(long.map(range(4), batch_size=4)))
        options = submitted[0].task.options
        assert (options.timeout_seconds, options.deadline_seconds) == (30 * 86400, 365 * 86400)

    def test_items_are_counted_and_called_as_without_batches(self) -> None:
        def calls(**how: Any) -> Any:
            return lambda: [(f.name, f.run_id[:4]) for f in (*ADD.map([1, 2, 3], **how), ADD(1))]

        names, batched = in_flow(calls()), in_flow(calls(batch_size=2))
        assert [name for name, _ in names] == [name for name, _ in batched]

    def test_what_all_items_share_stands_in_the_payload_once(self, submitted: list[TaskRun]) -> None:
        shared, sizes = bytes(100_000), []

        def calling() -> None:
            ADD.map([b"1"] * 50, unmapped(shared), batch_size=50)
            sizes.append(len(submitted[-1].inputs.payload) or 1)

        given: list[int] = []
        original = TaskRun.__init__

        def noting(self: TaskRun, key: Any, task: Any, inputs: Any, **more: Any) -> None:
            given.append(len(inputs.payload))
            original(self, key, task, inputs, **more)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(TaskRun, "__init__", noting)
            in_flow(calling)
        assert sum(given) < 120_000

    def test_upstreams_of_some_items_may_fail_and_those_of_all_may_not(self, submitted: list[TaskRun]) -> None:
        def calling() -> None:
            one, two, three = ADD(1), ADD(2), ADD(3)
            ADD.map([one, allow_failure(two), 5], unmapped(three), batch_size=3, wait_for=[one])

        in_flow(calling)
        one, two, three, batch = submitted
        assert {run.id for run in batch.upstreams} == {one.id, two.id, three.id}
        assert batch.may_fail == {two.id}  # the first one is waited for as well, and must complete for that
        assert batch.inputs.must_complete == {three.id}

    def test_the_results_of_thousands_of_items_go_to_one_task(self) -> None:
        @task
        def total(values: list[int]) -> int:
            return sum(values)

        count = 1200
        assert in_flow(lambda: total(ADD.map(range(count), batch_size=400)).result()) == sum(range(count))


class TestEnds:
    def test_what_no_item_can_do_without_makes_all_of_them_not_ready(self) -> None:
        @task
        def fail() -> None:
            raise ValueError("first")

        def calling() -> list[Any]:
            futures = ADD.map([1, 2], unmapped(fail()), batch_size=2)
            return [(f.wait().name, f.result(raise_on_failure=False)) for f in futures]  # type: ignore[union-attr]

        (name, error), other = in_flow(calling)
        assert name == other[0] == "NotReady"
        assert isinstance(error, UpstreamNotReady)
        assert repr(error.__cause__) == "ValueError('first')"

    def test_a_state_that_is_not_completed_keeps_its_item_back(self, submitted: list[TaskRun]) -> None:
        def calling(values: list[Any]) -> list[str]:
            return [f.wait().name for f in ADD.map(values, batch_size=2)]  # type: ignore[union-attr]

        assert in_flow(lambda: calling([1, Failed("no"), 3])) == ["Completed", "NotReady", "Completed"]
        assert len(submitted) == 2
        assert in_flow(lambda: calling([Failed("no"), Failed("no")])) == ["NotReady"] * 2
        assert len(submitted) == 2

    def test_a_flow_that_returns_nothing_counts_items(self) -> None:
        @task
        def inverse(x: int) -> float:
            return 1 / x

        @flow
        def inverting() -> None:
            inverse.map([1, 0, 2], batch_size=3)

        assert inverting(return_state=True).message == "1/3 states failed."

    def test_an_item_without_a_word_has_the_end_of_its_batch(
        self, local: LocalBackend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        @task
        def interrupt(x: int) -> int:
            if x == 1:
                raise KeyboardInterrupt
            return x

        def calling() -> list[tuple[str, str]]:
            futures = interrupt.map(range(3), batch_size=3)
            return [(f.wait().name, f.task_run.status.message or "") for f in futures]  # type: ignore[union-attr]

        assert [name for name, _ in in_flow(calling)] == ["Completed", "Crashed", "Crashed"]
        for saved, why in (
            (lambda _: None, ""),
            (lambda _: 1 / 0, "cannot be read: division"),
            (lambda _: "x", "read"),
        ):
            monkeypatch.setattr(local, "saved", saved)
            items = in_flow(calling)
            assert len(items) == 3
            for name, message in items:
                assert name == "Crashed"
                assert "What became of this item is not known. Its batch 'interrupt-" in message
                assert "was aborted by an interrupt signal" in message
                assert why in message

    def test_values_are_read_when_they_are_asked_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from podtask.engine import task_result

        read: list[str] = []
        load = task_result.load
        monkeypatch.setattr(task_result, "load", lambda run: (read.append(run.name.rpartition("-")[2]), load(run))[1])

        def calling() -> list[int]:
            futures = ADD.map([1, 2, 3], batch_size=3)
            assert all(future.wait().is_completed() for future in futures)  # type: ignore[union-attr]
            assert read == []
            return [futures[1].result(), futures[1].result(), futures[2].result()]

        assert in_flow(calling) == [2, 2, 3]
        assert read == ["0..2", "1", "1", "2"]


def test_every_backend_says_what_a_run_has_saved() -> None:
    from podtask.backends.kubernetes.backend import KubernetesBackend
    from podtask.backends.process import ProcessBackend

    assert isinstance(backends.get(), LocalBackend)
    for kind in (LocalBackend, ProcessBackend, KubernetesBackend):
        assert callable(kind.saved)
