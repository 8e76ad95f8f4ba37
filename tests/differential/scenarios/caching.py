"""Task semantics §5: cache keys, hits, misses and expiration. Keys carry the case's name: the beta's are global."""

import time
from datetime import timedelta


def the_second_run_with_the_same_key_is_cached(p, t):
    mine, calls = _counted(p, lambda c, a: "second run")
    _twice(p, t, mine)
    t.tell("calls", len(calls))


def in_another_flow_run_the_key_still_hits(p, t):
    mine, calls = _counted(p, lambda c, a: "another flow run")

    @p.flow
    def f():
        return mine(1).result()

    t.run(f)
    t.run(f)
    t.tell("calls", len(calls))


def different_keys_do_not_hit(p, t):
    mine, calls = _counted(p, lambda c, a: f"different {a['x']}")

    @p.flow
    def f():
        return [mine(x).result() for x in (1, 2, 1)]

    t.run(f)
    t.tell("calls", len(calls))


def different_tasks_share_a_key(p, t):
    first, calls = _counted(p, lambda c, a: "shared", name="first")
    second, others = _counted(p, lambda c, a: "shared", name="second")

    @p.flow
    def f():
        return [first(1).result(), second(2).result()]

    t.run(f)
    t.tell("calls", [len(calls), len(others)])


def no_key_and_an_empty_key_mean_no_cache(p, t):
    none, calls = _counted(p, lambda c, a: None)
    empty, others = _counted(p, lambda c, a: "")
    _twice(p, t, none)
    _twice(p, t, empty)
    t.tell("calls", [len(calls), len(others)])


def a_number_as_a_key(p, t):
    mine, calls = _counted(p, lambda c, a: 4711)
    _twice(p, t, mine)
    t.tell("calls", len(calls))


def an_entry_expires(p, t):
    mine, calls = _counted(p, lambda c, a: "expires", cache_expiration=timedelta(seconds=0.2))

    @p.flow
    def f():
        mine(1).wait()
        time.sleep(0.5)
        mine(1).wait()
        return "told"

    t.run(f)
    t.tell("calls", len(calls))


def an_entry_that_has_not_expired_hits(p, t):
    mine, calls = _counted(p, lambda c, a: "a day", cache_expiration=timedelta(days=1))
    _twice(p, t, mine)
    t.tell("calls", len(calls))


def a_negative_expiration_never_hits(p, t):
    mine, calls = _counted(p, lambda c, a: "negative", cache_expiration=timedelta(seconds=-1))
    _twice(p, t, mine)
    t.tell("calls", len(calls))


def a_failure_is_not_cached(p, t):
    calls = []

    @p.task(cache_key_fn=lambda c, a: "failure")
    def mine():
        calls.append(1)
        if len(calls) < 2:
            raise ValueError("no")
        return "at last"

    @p.flow
    def f():
        mine().wait()
        return mine().result()

    t.run(f)


def success_after_retries_is_cached(p, t):
    calls = []

    @p.task(cache_key_fn=lambda c, a: "after retries", retries=1)
    def mine():
        calls.append(1)
        if len(calls) < 2:
            raise ValueError("no")
        return len(calls)

    @p.flow
    def f():
        mine().wait()
        return mine().result()

    t.run(f)


def a_returned_completed_state_is_cached(p, t):
    calls = []

    @p.task(cache_key_fn=lambda c, a: "returned completed")
    def mine():
        calls.append(1)
        return p.Completed(message="my words")

    @p.flow
    def f():
        mine().wait()
        mine().wait()
        return "told"

    t.run(f)
    t.tell("calls", len(calls))


def the_key_function_gets_context_and_resolved_parameters(p, t):
    seen = []

    def key(context, arguments):
        run = context.task_run
        seen.append([arguments, context.task.name, run.name, run.run_count, p.in_task_context()])

    @p.task
    def one():
        return 1

    @p.task(cache_key_fn=key)
    def mine(x, y=2, *rest, **more):
        return x

    @p.flow
    def f():
        mine(one(), 5, 6, z=7).wait()
        mine([one()]).wait()
        return "told"

    t.run(f)
    t.tell("seen", seen)


def the_key_function_is_asked_once_whatever_the_retries(p, t):
    asked = []

    def key(context, arguments):
        asked.append(1)
        return "asked once"

    @p.task(cache_key_fn=key, retries=2)
    def mine():
        raise ValueError("no")

    @p.flow
    def f():
        mine()
        return "told"

    t.run(f)
    t.tell("asked", len(asked))


def a_not_ready_task_is_not_asked_for_a_key(p, t):
    asked = []

    def key(context, arguments):
        asked.append(1)
        return "not ready"

    @p.task
    def fails():
        raise ValueError("no")

    @p.task(cache_key_fn=key)
    def mine(x):
        return 1

    @p.flow
    def f():
        mine(fails())
        return "told"

    t.run(f)
    t.tell("asked", len(asked))


def the_input_hash_hits_for_equal_inputs(p, t):
    mine = p.task(lambda x: x, cache_key_fn=p.task_input_hash, name="equal inputs")

    @p.flow
    def f():
        return [mine(x).result() for x in (1, 2, 1, [1, {"a": 2}], [1, {"a": 2}], "1", (1, 2), (1, 2))]

    t.run(f)


def the_input_hash_and_a_changed_constant(p, t):
    def one(x):
        return x + 1

    def two(x):
        return x + 2

    two.__qualname__, two.__name__ = one.__qualname__, one.__name__
    for fn in (one, two):
        mine = p.task(fn, cache_key_fn=p.task_input_hash, name="constants")
        _once(p, t, mine)


def the_input_hash_and_another_name_or_other_tags(p, t):
    def one(x):
        return x

    for options in ({"name": "first"}, {"name": "second"}, {"name": "first", "tags": ["a"]}):
        mine = p.task(one, cache_key_fn=p.task_input_hash, **options)
        _once(p, t, mine)


def an_argument_that_cannot_be_hashed_runs_uncached(p, t):
    class Odd:
        def __reduce__(self):
            raise TypeError("not me")

    mine = p.task(lambda x: 1, name="odd")

    class Context:
        task = mine

    t.attempt("key", lambda: p.task_input_hash(Context, {"x": Odd()}))


def identical_calls_at_the_same_time(p, t):
    calls = []

    @p.task(cache_key_fn=lambda c, a: "same time")
    def mine():
        calls.append(1)
        time.sleep(0.5)
        return "value"

    @p.flow
    def f():
        futures = [mine(), mine()]
        return [future.result() for future in futures]

    t.run(f)
    t.tell("calls", len(calls))


def the_input_hash_and_another_function_of_the_same_body(p, t):
    @p.task(cache_key_fn=p.task_input_hash)
    def first(x):
        return x

    @p.task(cache_key_fn=p.task_input_hash)
    def second(x):
        return x

    def third(x):
        return x

    @p.flow
    def f():
        t.tell("the first", first(1).wait().name)
        t.tell("the first again", first(1).wait().name)
        t.tell("another task", second(1).wait().name)
        first.fn = third
        t.tell("another function put into the first", first(1).wait().name)
        return "told"

    p.final_state(f, (), {})
    p.runs(t)


def _counted(p, key, **options):
    calls = []

    def mine(x):
        calls.append(x)
        return f"call {len(calls)}"

    return p.task(mine, cache_key_fn=key, **options), calls


def _once(p, t, mine):
    @p.flow
    def f():
        return mine(1).result()

    t.run(f)


def _twice(p, t, mine):
    @p.flow
    def f():
        return [mine(1).result(), mine(1).result()]

    t.run(f)
