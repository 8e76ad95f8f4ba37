"""Task semantics §1: what a task object knows, before anything runs."""

from functools import partial


def a_task_takes_name_and_description_from_its_function(p, t):
    @p.task
    def add(x, y):
        """Add two numbers.

        Slowly.
        """
        return x + y

    t.tell("name", add.name)
    t.tell("description", add.description)
    t.tell("wrapped name", add.__name__)
    t.tell("wrapped doc", add.__doc__.splitlines()[0])


def options_given_to_the_decorator_are_attributes(p, t):
    @p.task(name="The Ultimate Task", description="Mine", tags=["b", "a", "b"], retries=3, retry_delay_seconds=5)
    def mine():
        pass

    for name in ("name", "description", "tags", "retries", "retry_delay_seconds", "cache_key_fn", "cache_expiration"):
        t.tell(name, getattr(mine, name))


def without_options_there_are_no_retries_no_tags_and_no_cache(p, t):
    bare = p.task(lambda: 1)
    for name in ("tags", "retries", "retry_delay_seconds", "cache_key_fn", "cache_expiration", "description"):
        t.tell(name, getattr(bare, name))


def the_decorator_works_bare_and_with_parentheses(p, t):
    def fn():
        return 1

    t.tell("bare", type(p.task(fn)).__name__)
    t.tell("parentheses", type(p.task()(fn)).__name__)
    t.tell("the same key", p.task(fn).task_key == p.task()(fn).task_key)


def options_are_keywords_only(p, t):
    t.attempt("error type", lambda: _type_of(lambda: p.task(lambda: 1, "name")))


def something_that_is_not_callable_is_refused(p, t):
    t.attempt("text", lambda: p.Task(fn=1))


def a_parameter_named_wait_for_is_reserved(p, t):
    def fn(wait_for):
        pass

    try:
        p.task(fn)
    except TypeError as error:
        t.tell("type", type(error).__name__)
        t.tell("text", error)


def the_plain_function_is_kept_and_callable_without_a_flow(p, t):
    @p.task(retries=2)
    def double(x):
        return 2 * x

    t.attempt("fn", lambda: double.fn(21))


def a_task_knows_whether_its_function_is_async(p, t):
    async def one():
        pass

    t.tell("async", p.task(one).isasync)
    t.tell("sync", p.task(lambda: 1).isasync)


def the_task_key_depends_on_name_function_and_tags_and_not_on_retries(p, t):
    def one():
        pass

    def two():
        pass

    key = p.task(one).task_key
    t.tell("again", p.task(one).task_key == key)
    t.tell("retries", p.task(one, retries=3).task_key == key)
    t.tell("description", p.task(one, description="other").task_key == key)
    t.tell("name", p.task(one, name="other").task_key == key)
    t.tell("tags", p.task(one, tags={"a"}).task_key == key)
    t.tell("order of tags", p.task(one, tags=["a", "b"]).task_key == p.task(one, tags=["b", "a"]).task_key)
    t.tell("function", p.task(two, name="one").task_key == key)


def with_options_gives_a_new_task_and_keeps_what_is_not_named(p, t):
    first = p.task(name="first", tags={"a"}, retries=2, retry_delay_seconds=3)(_nothing)
    second = first.with_options(name="second", retries=5)
    for name in ("name", "tags", "retries", "retry_delay_seconds"):
        t.tell(f"old {name}", getattr(first, name))
        t.tell(f"new {name}", getattr(second, name))
    t.tell("same function", first.fn is second.fn)
    t.tell("another object", first is not second)


def with_options_replaces_tags_and_copies_them(p, t):
    first = p.task(tags={"a", "b"})(_nothing)
    t.tell("replaced", first.with_options(tags=["c"]).tags)
    copy = first.with_options(name="copy")
    copy.tags.add("x")
    t.tell("first afterwards", first.tags)


def with_options_and_falsy_values(p, t):
    first = p.task(name="first", tags={"a"}, retries=2, retry_delay_seconds=3, description="d")(_nothing)
    second = first.with_options(tags=[], retries=0, retry_delay_seconds=0)
    for name in ("tags", "retries", "retry_delay_seconds"):
        t.tell(name, getattr(second, name))


def callable_instances_and_partials_as_tasks(p, t):
    class Adder:
        def __call__(self, x):
            return x + 1

    t.attempt("instance", lambda: p.task(Adder()).name)
    t.attempt("partial", lambda: p.task(partial(_nothing)).name)
    t.attempt("named partial", lambda: p.task(partial(_nothing), name="mine").name)


def negative_retries(p, t):
    t.attempt("retries", lambda: p.task(_nothing, retries=-1).retries)


def a_text_as_tags(p, t):
    t.attempt("tags", lambda: p.task(_nothing, tags="ab").tags)


def an_option_the_beta_does_not_know(p, t):
    t.attempt("timeout_seconds", lambda: p.task(_nothing, timeout_seconds=3).name)
    t.attempt("retry_condition_fn", lambda: p.task(_nothing, retry_condition_fn=lambda error, attempt: True).name)
    t.tell("submit", hasattr(p.task(_nothing), "submit"))
    t.tell("map", hasattr(p.task(_nothing), "map"))


def the_dynamic_key_counts_from_zero_for_each_object(p, t):
    first, second = p.task(_nothing), p.task(_nothing)
    t.tell("first", [first.get_and_update_dynamic_key() for _ in range(3)])
    t.tell("second", second.get_and_update_dynamic_key())


def _nothing():
    pass


def _type_of(call):
    try:
        call()
    except Exception as error:  # noqa: BLE001 - the type is what is asked for
        return type(error).__name__
    return None
