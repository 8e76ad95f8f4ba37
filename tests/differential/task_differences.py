"""The part of the table about tasks, their options, calls and caches; that about states is in `differences`."""

from __future__ import annotations

from tests.differential.table import At, Difference

RUN = r".*\.flows\.\d\.runs\.\d"

TASKS = (
    Difference(
        "Futures inside namedtuples and objects of one's own",
        "Passed as they are: the task gets a raw future.",
        "Resolved. A namedtuple is looked into wherever a list is, also in `wait_for`, in the arguments of subflows "
        "and in what a flow returns. So are attrs classes, frozensets, deques and default dicts. Any other object is "
        "looked into where it is an argument of a task and can be pickled.",
        "A future that reaches a task is of no use there.",
        "§9",
        (
            At(
                r"upstreams\.a_future_in_(a_namedtuple|an_object_of_ones_own)\.flows\.0\..*",
                r"(gives )?a future|-",
                "(gives )?1|one 0",
            ),
            At(
                r"containers\.wait_for_a_failed_task_wherever_it_stands\.told\.namedtuple( in a list)?",
                "Completed",
                "NotReady",
            ),
            At(
                r"containers\.the_argument_of_a_(task|subflow)_in_every_container\.told\..* in namedtuple",
                r"State\(.*|PrefectFuture\(.*|Failed",
                r"1|NotReady|ValueError\('no'\)",
            ),
            At(
                r"containers\.what_a_flow_returns_in_every_container\.told\..*future in namedtuple",
                "Completed, and inside a future",
                "Completed, and inside a state",
            ),
        ),
    ),
    Difference(
        "Reading a result twice",
        "Every reader gets the same object, and sees what others did to it.",
        "Every reader gets a fresh copy.",
        "So it is with pods and subprocesses, and a script should not behave differently there.",
        "§7",
        (At(r"futures\.results_are_read_as_often_as_wanted\.told\.second", r"\[1, 2\]", r"\[1\]"),),
    ),
    Difference(
        "`with_options` and falsy values",
        "0, [] and \"\" are taken for 'not given'.",
        "They reset the option; what is not given stays.",
        "Otherwise retries cannot be switched off.",
        "§9",
        (At(r"task_objects\.with_options_and_falsy_values\.told\..*", r"\{'a'\}|[23]", r"\{\}|0"),),
    ),
    Difference(
        "Callable instances and `functools.partial`",
        "`AttributeError`, since they have no `__name__`.",
        "They are tasks, named by their class or by the inner function.",
        "They are functions to everybody else.",
        "§9",
        (
            At(
                r"task_objects\.callable_instances_and_partials_as_tasks\.told\..*",
                "raises AttributeError: .*",
                "gives .*",
            ),
        ),
    ),
    Difference(
        "Impossible options",
        "Negative retries act as 0; a text as `tags` becomes its letters; `timeout_seconds=0` is no timeout.",
        "`ValueError` and `TypeError` that name the option. In `with_options` a time of 0 resets.",
        "A slip of the pen should be seen where it is made.",
        "§9",
        (
            At(r"task_objects\.negative_retries\.told\.retries", "gives -1", "raises ValueError: retries must be .*"),
            At(
                r"flow_calls\.a_timeout_of_zero\.told\.at the definition",
                "gives None",
                "raises ValueError: timeout_seconds must be .*",
            ),
            At(r"task_objects\.a_text_as_tags\.told\.tags", r"gives \{'a', 'b'\}", "raises TypeError: tags must be .*"),
        ),
    ),
    Difference(
        "Further options and spellings",
        "Unknown: `timeout_seconds`, `retry_condition_fn`, `.submit`, `.map` and others.",
        "Known.",
        "Users of every comparable system ask for them.",
        "§9",
        (
            At(r"task_objects\.an_option_the_beta_does_not_know\.told\.\w+", "raises TypeError: .*", "gives .*"),
            At(r"task_objects\.an_option_the_beta_does_not_know\.told\.(submit|map)", "False", "True"),
        ),
    ),
    Difference(
        "The number of a call",
        "Counts the calls of a `Task` object, across flow runs.",
        "Counts the calls of a task key inside a flow run.",
        "A restarted driver counts alike, and finds the runs that exist already.",
        "§9",
        (At(rf"{RUN}\.name", r"[\w-]+-<key>-[1-9]", r"[\w-]+-<key>-\d"),),
    ),
    Difference(
        "The attempt in a task's own context",
        "`run_count` is 0 in every attempt: the context keeps the run as it was before its start.",
        "`run_count` is the number of the attempt, from 1.",
        "Tasks ask for it to behave differently on a retry.",
        "§4, §5",
        (At(r"retries\.a_task_sees_which_attempt_it_is\.told\.run counts", r"\[0, 0, 0\]", r"\[1, 2, 3\]"),),
    ),
    Difference(
        "Identical cached calls at the same time",
        "All of them run.",
        'One runs, the others wait for it and use its result; `cache_concurrent="run"` switches that off.',
        "The point of a cache is not to compute twice.",
        "§9",
        (
            At(r"caching\.identical_calls_at_the_same_time\.told\.calls", "2", "1"),
            At(
                r"caching\.identical_calls_at_the_same_time\.flows\.0\.runs\.1\.history",
                ".* > Completed",
                "Pending > Cached",
            ),
            At(r"caching\.identical_calls_at_the_same_time\.flows\.0\.runs\.1\.run_count", "1", "0"),
        ),
    ),
    Difference(
        "`task_input_hash` and the name of a task",
        "Name and tags belong to the key.",
        "The key is made of code and inputs alone; the name in the `def` is part of the code.",
        "A task that is renamed by `name=`, or gets a tag, keeps what it computed.",
        "§9",
        (
            At(
                r"caching\.the_input_hash_and_another_name_or_other_tags\.flows\.[12]\.runs\.0\.history",
                ".* > Completed",
                "Pending > Cached",
            ),
            At(r"caching\.the_input_hash_and_another_name_or_other_tags\.flows\.[12]\.runs\.0\.run_count", "1", "0"),
            At(
                r"caching\.the_input_hash_and_another_function_of_the_same_body\.told\.another function put .*",
                "Cached",
                "Completed",
            ),
        ),
    ),
    Difference(
        "Names of classes in texts",
        "`PrefectFuture('…')`.",
        "`TaskFuture('…')`.",
        "It is another product.",
        "Naming",
        (
            At(
                r"futures\.futures_are_hashable_and_named\.told\.repr",
                r"PrefectFuture\('one-<key>-0'\)",
                r"TaskFuture\('one-<key>-0'\)",
            ),
        ),
    ),
)
