"""Task semantics §3 and §6: flows called inside flows."""


def a_subflow_takes_futures_as_values(p, t):
    one = p.task(lambda: 1, name="one")

    @p.flow
    def inner(x, items):
        return [x, items]

    @p.flow
    def outer():
        t.tell("inner", p.data(_state(p, inner, one(), [one(), 2])))
        return "told"

    t.run(outer)


def a_failed_upstream_reaches_a_subflow_as_its_exception(p, t):
    def fails():
        raise ValueError("no")

    failing = p.task(fails)

    @p.flow
    def inner(x):
        return f"{type(x).__name__}: {x}"

    @p.flow
    def outer():
        t.tell("inner", p.data(_state(p, inner, failing())))
        return "told"

    t.run(outer)


def a_failed_subflow_fails_a_flow_that_returns_nothing(p, t):
    @p.flow
    def inner():
        raise ValueError("inner")

    @p.flow
    def outer():
        _state(p, inner)

    t.run(outer)


def a_completed_subflow_counts_for_a_flow_that_returns_nothing(p, t):
    one = p.task(lambda: 1, name="one")

    @p.flow
    def inner():
        return one()

    @p.flow
    def outer():
        one()
        _state(p, inner)

    t.run(outer)


def a_subflow_state_can_be_returned(p, t):
    @p.flow
    def inner():
        return 5

    @p.flow
    def outer():
        return _state(p, inner)

    t.run(outer)


def a_subflow_that_fails_and_a_value(p, t):
    @p.flow
    def inner():
        raise ValueError("inner")

    @p.flow
    def outer():
        _state(p, inner)
        return "value"

    t.run(outer)


def the_state_of_a_subflow_as_an_argument(p, t):
    add = p.task(lambda x, y: x + y, name="add")

    @p.flow
    def inner():
        return 5

    @p.flow
    def outer():
        return add(_state(p, inner), 1).result()

    t.run(outer)


def tags_around_a_subflow_reach_its_tasks(p, t):
    one = p.task(lambda: 1, name="one")

    @p.flow
    def inner():
        return one()

    @p.flow
    def outer():
        with p.tags("around"):
            _state(p, inner)
        return "told"

    t.run(outer)


def a_subflow_with_bad_parameters_fails(p, t):
    @p.flow
    def inner(x: int):
        return x

    @p.flow
    def outer():
        t.tell("inner", _state(p, inner, "many").message)
        return "told"

    t.run(outer)


def an_async_subflow_in_an_async_flow(p, t):
    @p.flow
    async def inner(x):
        return x + 1

    @p.flow
    async def outer():
        t.tell("inner", (await _state(p, inner, 1)).name)
        return "told"

    t.run(outer)


def _state(p, flow, *args):
    return p.final_state(flow, args, {})
