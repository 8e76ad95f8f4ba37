"""The second half of the table: what prefect 2.0b5 got wrong, and podtask therefore does not repeat."""

from __future__ import annotations

from tests.differential.table import At, Difference

BETA_BUGS = (
    Difference(
        "A task and its `with_options` in one flow",
        "Both calls are number 0 of one task key: they share a run, and the first future gives the second's result.",
        "Two calls, two runs.",
        "Fixed in 2.0b7.",
        "§8",
        (At(r"calls\.two_objects_of_one_function_in_one_flow\.told\.a run for each", "False", "True"),),
    ),
    Difference(
        "`task_input_hash` and changed code",
        "Sees the bytecode only: `x + 1` and `x + 2` have one key, so a changed task gives stale results.",
        "Sees constants, global names, defaults, closures and local helpers.",
        "A cache must never serve a wrong value.",
        "§8",
        (
            At(
                r"caching\.the_input_hash_and_a_changed_constant\.flows\.1\.(data|result|runs\.0\.outcome)",
                "(gives )?2",
                "(gives )?3",
            ),
            At(
                r"caching\.the_input_hash_and_a_changed_constant\.flows\.1\.runs\.0\.history",
                "Pending > Cached",
                ".* > Completed",
            ),
            At(r"caching\.the_input_hash_and_a_changed_constant\.flows\.1\.runs\.0\.run_count", "0", "1"),
        ),
    ),
    Difference(
        "A generator as an argument",
        "Arrives empty: looking for futures in it consumes it.",
        "Arrives as the list of what it gives, also in a subflow; in `wait_for` all of it is waited for.",
        "The argument is lost.",
        "§8",
        (
            At(r"upstreams\.a_generator_as_an_argument\.flows\.0\..*", r"(gives )?\[\]", r"(gives )?\[0, 1, 4\]"),
            At(
                r"containers\.the_argument_of_a_(task|subflow)_in_every_container\.told\..* in iterator",
                "'?nothing'?|Completed",
                r"1|NotReady|ValueError\('no'\)",
            ),
            At(
                r"containers\.wait_for_a_failed_task_wherever_it_stands\.told\.iterator( in a list)?",
                "Completed",
                "NotReady",
            ),
        ),
    ),
    Difference(
        "A generator function whose body raises",
        "Crashed, without retry: the result is gone through outside of the user's code.",
        "Failed, and retried: it is gone through as part of the call.",
        "The exception is the task's own.",
        "§4",
        (
            At(r"failures\.a_returned_iterator_is_a_list\.flows\.0\.runs\.2\.history", ".* > Crashed", ".* > Failed"),
            At(
                r"failures\.a_returned_iterator_is_a_list\.flows\.0\.runs\.2\.message",
                "Execution was .*",
                "Task run encountered an exception. ValueError: halfway",
            ),
        ),
    ),
    Difference(
        "A flow whose generator calls tasks or raises",
        "The exception comes out of the call, as no state: the generator is gone through outside of the flow.",
        "Gone through as part of the flow: tasks are called, and what it raises fails the flow.",
        "The exception is the flow's own.",
        "§6",
        (
            At(r"flow_calls\.a_returned_generator_that_(calls_tasks|raises)\.flows\.0\..*", podtask=r"\(absent\)"),
            At(r"flow_calls\.a_returned_generator_that_(calls_tasks|raises)\.flows\.0\..*", r"\(absent\)"),
        ),
    ),
    Difference(
        "A flow whose body raises `TimeoutError` or `StopIteration`, and a flow that calls itself",
        "TimedOut after `None seconds`; a `RuntimeError` about coroutines; `The task runner is already started!`",
        "Failed, with the exception; flows may call themselves.",
        "The exception is the flow's own.",
        "§6",
        (
            At(r"flow_calls\.a_flow_that_raises_what_means_something_else\.flows\.\d\.(state|message|data|result)"),
            At(r"flow_calls\.a_flow_that_calls_itself\.flows\.0\.(state|message|data|result)"),
        ),
    ),
    Difference(
        "Retry delays",
        "Cut to whole seconds of what is left: 0.8 s is no delay, and 1 s ends early.",
        "Kept; a retry never starts early.",
        "Delays are asked for to be waited for.",
        "§8",
        (
            At(r"retries\.a_retry_waits_for_its_delay\.told\.waited for a second", "False", "True"),
            At(r"retries\.a_delay_below_a_second\.told\.waited", "False", "True"),
        ),
    ),
    Difference(
        "The count of states that are cancelled or not final",
        "Wrong: `0/2 states are not final.` where one is cancelled, a list of counts where all are pending.",
        "`1/2 states were cancelled.`, `1/1 states are not final.`",
        "Its test for 'all final' is the wrong way round.",
        "§6",
        (
            At(
                r"flow_results\.states_made_by_hand_in_a_list_are_counted\.flows\.1\.message",
                r"0/2 states are not final\.",
                r"1/2 states were cancelled\.",
            ),
            At(
                r"flow_results\.one_future_that_is_not_ready_returned\.flows\.0\.message",
                "Given states: .*",
                r"1/1 states are not final\.",
            ),
        ),
    ),
    Difference(
        "A state without a message as text",
        "`Cached(, type=COMPLETED)`",
        "`Cached(type=COMPLETED)`",
        "The comma separates nothing.",
        "§7",
        (
            At(
                r"futures\.states_as_text\.told\.a name only",
                r"Cached\(, type=COMPLETED\)",
                r"Cached\(type=COMPLETED\)",
            ),
        ),
    ),
)
