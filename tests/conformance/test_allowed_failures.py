"""`allow_failure`: a task runs in spite of upstreams that failed, and gets their exceptions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from tests.conformance.test_upstreams import ENDS, plain, started

from podtask import allow_failure, flow, quote, task, task_input_hash, unmapped
from podtask.errors import MappingError


def made():
    """Tasks that travel by value."""

    @task
    def described(x, **more):
        """What it was given, in words that any backend carries."""

        def told(value):
            if isinstance(value, BaseException):
                return f"{type(value).__name__}: {value}"
            if isinstance(value, (list, tuple)):
                return [told(item) for item in value]
            if isinstance(value, dict):
                return {told(key): told(item) for key, item in value.items()}
            return value

        return [told(x), told(more)] if more else told(x)

    @task
    def broken(x=0):
        raise ValueError("broken", x)

    @task
    def same(x):
        return x

    return described, broken, same


described, broken, same = made()
BROKEN = "ValueError: ('broken', 0)"


@pytest.mark.usefixtures("backend")
class TestArguments:
    @pytest.mark.straight
    def test_a_failure_that_is_allowed_is_given_as_its_exception(self) -> None:
        @flow
        def flowing():
            bad, good = broken(), same(5)
            alone = described(allow_failure(bad))
            inside = described([allow_failure(bad), {"deep": (allow_failure(good), good, 7)}], y=allow_failure(good))
            return alone.result(), inside.result(), bad.wait().name

        assert flowing() == (BROKEN, [[BROKEN, {"deep": [5, 5, 7]}], {"y": 5}], "Failed")

    @pytest.mark.parametrize("how", ENDS)
    def test_every_end_but_success_is_an_exception_of_its_own(self, how: str) -> None:
        @flow
        def flowing():
            upstream = started(how)
            text = described(allow_failure(upstream)).result()
            lost = plain({})(upstream)
            return text, upstream.run_id in text, described(allow_failure(lost)).result(), lost.run_id

        text, named, not_ready, lost = flowing()
        assert text.startswith(f"{ENDS[how].__name__}: ")
        assert named or how == "failed"
        assert not_ready.startswith(f"UpstreamNotReady: Upstream task run '{lost}' did not run: ")

    def test_it_reaches_every_future_inside_of_containers_and_of_objects_with_fields(self) -> None:
        @dataclass
        class Pair:
            left: Any
            right: Any

        @task
        def of_pair(pair):
            return [type(pair.left).__name__, [type(one).__name__ for one in pair.right]]

        @flow
        def flowing():
            bad = broken()
            several = described(allow_failure([bad, (bad, {"k": bad}), 1]))
            pair = of_pair(allow_failure(Pair(bad, iter([bad, 2]))))
            twice = described(allow_failure(allow_failure(bad)))
            return several.result(), pair.result(), twice.result()

        assert flowing() == ([BROKEN, [BROKEN, {"k": BROKEN}], 1], ["ValueError", ["ValueError", "int"]], BROKEN)

    def test_what_is_no_future_is_given_as_it_is(self) -> None:
        @flow
        def flowing():
            return [described(allow_failure(value)).result() for value in (5, None, "text", [1, 2], {"a": iter([3])})]

        assert flowing() == [5, None, "text", [1, 2], {"a": [3]}]

    def test_a_state_is_as_good_as_its_future_and_one_of_a_subflow_too(self) -> None:
        @flow
        def bad_flow():
            raise KeyError("inner")

        @flow
        def flowing():
            state = broken().wait()
            return described(allow_failure(state)).result(), described(
                allow_failure(bad_flow(return_state=True))
            ).result()

        assert flowing() == (BROKEN, "KeyError: 'inner'")

    def test_a_future_that_stands_outside_of_it_as_well_must_complete(self) -> None:
        @flow
        def flowing():
            bad = broken()
            calls = [
                described([allow_failure(bad), bad]),
                described(allow_failure(bad), y=bad),
                described(allow_failure(bad), wait_for=[bad]),
                described(bad, wait_for=[allow_failure(bad)]),
                described([allow_failure(broken()), bad]),
            ]
            return [future.wait().name for future in calls], {
                future.wait().message.split("'")[1] for future in calls
            } == {bad.run_id}

        assert flowing() == (["NotReady"] * 5, True)

    def test_the_upstream_is_waited_for_through_all_of_its_retries(self) -> None:
        @task(retries=2)
        def third_time():
            from podtask import get_run_context

            if get_run_context().task_run.run_count < 3:
                raise ValueError("again")
            return "well"

        @task(retries=1)
        def never():
            from podtask import get_run_context

            raise ValueError(get_run_context().task_run.run_count)

        @flow
        def flowing():
            return described(allow_failure([third_time(), never()])).result()

        assert flowing() == ["well", "ValueError: 2"]

    def test_every_attempt_of_the_task_gets_the_exception(self) -> None:
        @task(retries=1)
        def second_time(error):
            from podtask import get_run_context

            if get_run_context().task_run.run_count < 2:
                raise RuntimeError("again")
            return repr(error)

        @flow
        def flowing():
            return second_time(allow_failure(broken())).result()

        assert flowing() == "ValueError('broken', 0)"

    def test_an_exception_that_cannot_be_pickled_is_given_as_its_words(self) -> None:
        @task
        def unpicklable():
            import threading

            error = ValueError("boom")
            error.lock = threading.Lock()
            raise error

        @flow
        def flowing():
            return described(allow_failure(unpicklable())).result()

        assert flowing() == "RemoteError: ValueError: boom"

    def test_the_state_of_the_flow_counts_the_failure_as_ever(self) -> None:
        @flow
        def counted():
            described(allow_failure(broken()))

        @flow
        def returned():
            return described(allow_failure(broken()))

        assert counted(return_state=True).is_failed()
        assert returned(return_state=True).is_completed()

    def test_the_upstream_is_recorded_as_any_other(self) -> None:
        @flow
        def flowing():
            bad = broken()
            future = described(allow_failure([bad]), wait_for=[allow_failure(bad)])
            return future.task_run.task_inputs == {"x": [bad.run_id], "more": [], "wait_for": [bad.run_id]}

        assert flowing()

    def test_a_subflow_gets_the_exception_with_it_and_without(self) -> None:
        @flow
        def inner(x):
            return repr(x)

        @flow
        def flowing():
            bad = broken()
            return inner(bad), inner(allow_failure(bad)), inner([allow_failure([bad])])

        assert flowing() == ("ValueError('broken', 0)", "ValueError('broken', 0)", "[[ValueError('broken', 0)]]")

    def test_a_quoted_future_stays_quoted(self) -> None:
        @task
        def kind(x):
            return type(x).__name__

        @flow
        def flowing():
            bad = broken()
            bad.wait()
            return kind(allow_failure(quote(bad))).result()

        assert flowing() == "QuotedFuture"


@pytest.mark.usefixtures("backend")
class TestOrder:
    @pytest.mark.straight
    @pytest.mark.parametrize("how", ENDS)
    def test_a_task_that_waits_for_it_runs_after_any_end(self, how: str) -> None:
        @flow
        def flowing():
            upstream = started(how)
            future = plain({})(wait_for=[allow_failure(upstream)])
            return future.result(), upstream.done()

        assert flowing() == ("ran", True)

    def test_it_reaches_every_future_of_a_list_in_it(self) -> None:
        @flow
        def flowing():
            bad = broken()
            return [
                plain({})(wait_for=waited).wait().name
                for waited in (
                    allow_failure([bad, [bad]]),
                    [allow_failure({"k": bad}), same(1)],
                    [allow_failure(bad), bad],
                )
            ]

        assert flowing() == ["Completed", "Completed", "NotReady"]

    def test_a_state_of_a_subflow_that_failed_is_allowed_as_well(self) -> None:
        @flow
        def bad_flow():
            raise KeyError("inner")

        @flow
        def flowing():
            state = bad_flow(return_state=True)
            return plain({})(wait_for=[allow_failure(state)]).wait().name, plain({})(wait_for=[state]).wait().name

        assert flowing() == ("Completed", "NotReady")

    def test_what_is_no_future_is_refused_inside_of_it_too(self) -> None:
        @flow
        def flowing():
            with pytest.raises(TypeError, match="wait_for takes task futures, not int"):
                plain({})(wait_for=[allow_failure(5)])
            return "survived"

        assert flowing() == "survived"


@pytest.mark.usefixtures("backend")
class TestMap:
    def test_each_element_may_fail(self) -> None:
        @flow
        def flowing():
            mapped = broken.map([1, 2])
            return [one.result() for one in described.map(allow_failure([*mapped, 3]))]

        assert flowing() == ["ValueError: ('broken', 1)", "ValueError: ('broken', 2)", 3]

    def test_one_that_may_fail_is_the_same_for_all_in_either_order_of_marks(self) -> None:
        @flow
        def flowing():
            bad = broken()
            marks = (unmapped(allow_failure(bad)), allow_failure(unmapped(bad)), allow_failure(bad))
            return [[one.result() for one in described.map([1, 2], y=mark)] for mark in marks]

        assert flowing() == [[[1, {"y": BROKEN}], [2, {"y": BROKEN}]]] * 3

    def test_a_future_of_a_list_is_mapped_over_where_it_completed(self) -> None:
        @flow
        def flowing():
            mapped = [one.result() for one in described.map(allow_failure(same([1, 2])))]
            with pytest.raises(MappingError, match="needs at least one iterable"):
                described.map(allow_failure(broken()))
            return mapped

        assert flowing() == [1, 2]


@pytest.mark.usefixtures("backend")
class TestCache:
    @pytest.mark.parametrize("key", ["inputs", "own"])
    def test_a_run_whose_upstream_failed_shares_no_cache_entry(self, key: str) -> None:
        key_fn = task_input_hash if key == "inputs" else (lambda context, parameters: "one-key")

        @task
        def sometimes(fails):
            if fails:
                raise ValueError("broken")
            return "value"

        @task(cache_key_fn=key_fn)
        def cached(x=None):
            return type(x).__name__

        @flow
        def flowing():
            bad, good = sometimes(True), sometimes(False)
            calls = [allow_failure(bad), allow_failure(bad), allow_failure(good), good, allow_failure(bad)]
            ends = []
            for call in calls:
                future = cached(call)
                ends.append((future.wait().name, future.result()))
            ordered = cached("value", wait_for=[allow_failure(bad)])
            info = ordered.wait() and ordered.task_run.status.cache
            return (
                ends,
                info.outcome,
                info.miss_reason
                == (f"Upstream task run '{bad.run_id}' is Failed; a run whose upstream failed is not cached."),
            )

        ends, outcome, said = flowing()
        failed = ("Completed", "ValueError")
        assert ends == [failed, failed, ("Completed", "str"), ("Cached", "str"), failed]
        assert (outcome, said) == ("Off", True)


def test_inside_of_an_object_that_is_not_looked_into_it_takes_one_future(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODTASK_BACKEND", "local")

    class Opaque:
        def __init__(self, x: Any) -> None:
            self.x = x

    @task
    def kind(opaque):
        return type(opaque.x).__name__

    @flow
    def flowing():
        bad = broken()
        with pytest.raises(TypeError, match=r"write allow_failure\(future\) for each of them"):
            kind(Opaque(allow_failure([bad])))
        return kind(Opaque(allow_failure(bad))).result()

    assert flowing() == "ValueError"


def test_a_state_made_by_hand_that_is_not_final_still_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODTASK_BACKEND", "local")
    from podtask.states import Cancelled, Failed, State

    @flow
    def flowing():
        names = [described(allow_failure(State("PENDING"))).wait().name]
        return [*names, *(described(allow_failure(state)).result() for state in (Failed("x"), Cancelled("y")))]

    assert flowing() == ["NotReady", "StatesFailed: x", "StatesFailed: y"]
