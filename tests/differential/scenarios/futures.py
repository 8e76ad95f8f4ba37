"""Task semantics §7: futures and states, as objects."""

import copy
import pickle
import time
import warnings


def a_copy_of_a_state(p, t):
    made = p.Completed(message="mine")
    t.tell("equal", copy.copy(made) == made)
    t.tell("equal after a journey", pickle.loads(pickle.dumps(made)) == made)
    t.tell("another one", p.Completed(message="mine") == made)
    t.tell("another kind", made == "Completed")


def a_state_that_is_not_ready_is_not_final(p, t):
    one = p.task(lambda x: 1, name="one")

    def fails():
        raise ValueError("no")

    fails = p.task(fails)

    @p.flow
    def f():
        state = one(fails()).wait()
        t.tell("final", [state.name, state.is_final(), state.is_pending()])
        return "told"

    p.final_state(f, (), {})
    p.runs(t)


def waiting_with_a_timeout_gives_none(p, t):
    @p.task
    def slow():
        time.sleep(0.6)
        return "slow"

    @p.flow
    def f():
        future = slow()
        t.tell("wait", future.wait(0.05))
        try:
            future.result(timeout=0.05)
        except TimeoutError as error:
            t.tell("result", type(error).__name__)
        return future.result()

    t.run(f)


def waiting_gives_the_final_state(p, t):
    one = p.task(lambda: 1, name="one")

    @p.flow
    def f():
        state = one().wait()
        t.tell("state", state)
        t.tell("run", state.is_completed() and state.is_final())
        return "told"

    t.run(f)


def the_current_state_of_a_finished_run(p, t):
    one = p.task(lambda: 1, name="one")

    @p.flow
    def f():
        future = one()
        future.wait()
        t.tell("state", future.get_state().name)
        return "told"

    t.run(f)


def a_future_is_true_with_a_warning(p, t):
    one = p.task(lambda: 1, name="one")

    @p.flow
    def f():
        future = one()
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            t.tell("true", bool(future))
        t.tell("warned", [item.category.__name__ for item in seen])
        return "told"

    t.run(f)


def futures_are_hashable_and_named(p, t):
    one = p.task(lambda: 1, name="one")

    @p.flow
    def f():
        first, second = one(), one()
        t.tell("in a set", len({first, second, first}))
        t.tell("repr", repr(first))
        t.tell("name", first.task_run.name)
        t.tell("ids differ", first.run_id != second.run_id)
        return "told"

    t.run(f)


def states_as_text(p, t):
    t.tell("completed", str(p.Completed()))
    t.tell("with a message", str(p.Completed(message="all of them")))
    t.tell("with a name", str(p.Failed(message="why", name="Crashed")))
    t.tell("a name only", str(p.Completed(name="Cached")))


def questions_to_states(p, t):
    for name, state in {"completed": p.Completed(), "failed": p.Failed(), "cancelled": p.Cancelled()}.items():
        asked = ("scheduled", "pending", "running", "completed", "failed", "cancelled", "final")
        t.tell(name, [question for question in asked if getattr(state, f"is_{question}")()])


def names_and_types_of_states_made_by_hand(p, t):
    for state in (p.Completed(), p.Failed(), p.Cancelled(), p.Failed(name="Crashed")):
        t.tell(str(state.name), f"{getattr(state.type, 'value', state.type)} {state.message}")


def the_result_of_states_without_data(p, t):
    t.tell("completed", t.outcome(p.Completed()))
    t.tell("failed", t.outcome(p.Failed()))
    t.tell("failed with words", t.outcome(p.Failed(message="my words")))
    t.tell("cancelled", t.outcome(p.Cancelled()))


def how_the_result_of_a_state_is_spelled(p, t):
    t.tell("called", callable(getattr(type(p.Completed()), "result", None)))


def the_exception_of_a_failed_state_can_be_had_without_raising(p, t):
    @p.task
    def fails():
        raise ValueError("no")

    @p.flow
    def f():
        t.tell("exception", fails().result(raise_on_failure=False))
        return "told"

    t.run(f)


def results_are_read_as_often_as_wanted(p, t):
    items = p.task(lambda: [1], name="items")

    @p.flow
    def f():
        future = items()
        t.tell("first", future.result())
        future.result().append(2)
        t.tell("second", future.result())
        return "told"

    t.run(f)
