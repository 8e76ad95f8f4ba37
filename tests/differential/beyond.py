"""Deliberate differences that no trace of one script shows: each names the test that holds podtask to it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Beyond:
    """One such difference. `tests`: `path::name`, below tests/."""

    name: str
    beta: str
    podtask: str
    why: str
    tests: tuple[str, ...]


BEYOND = (
    Beyond(
        "Where a cache entry counts",
        "Everywhere on the server.",
        "In the namespace on a cluster, in the store directory on a laptop; there across tasks, flows and runs.",
        "Who may write a namespace's entries can poison that namespace, and should not reach others.",
        ("unit/sdk/backends/test_process.py::test_a_cache_entry_counts_in_its_own_store_directory_only",),
    ),
    Beyond(
        "When a run is retried, and how long after",
        "On exceptions, after a fixed delay.",
        "Also on timeouts; the delay may be a list or a function, with jitter; `retry_condition_fn` may say no.",
        "Not every error goes away by waiting, and not every wait is the same.",
        (
            "conformance/test_ends.py::test_a_list_of_delays_repeats_its_last_one",
            "conformance/test_ends.py::test_a_retry_condition_that_says_no_ends_the_run_at_once",
            "conformance/test_ends.py::test_a_retry_after_a_timeout_may_succeed",
            "conformance/test_failures.py::test_a_callable_delay_sees_the_exception_and_the_attempt",
        ),
    ),
    Beyond(
        "The state of a subflow in an argument",
        "Stands in `task_inputs`, by the id of the task run that represents the subflow.",
        "Stands nowhere: `task_inputs` has the ids of task runs.",
        "A subflow has no task run.",
        ("conformance/test_upstreams.py::test_the_state_of_a_subflow_is_no_upstream_and_keeps_a_task_from_running",),
    ),
    Beyond(
        "What is never retried",
        "A crash, whatever made it.",
        "A crash made by the task's own code. A lost pod or node is a disruption: made good for nothing, up to "
        "`max_disruptions` times.",
        "The task is not to blame for its node.",
        (
            "conformance/test_ends.py::test_a_crash_uses_no_retry_a_failure_uses_them_all",
            "cluster/test_faults.py::test_a_pod_deleted_by_a_user_is_a_disruption_and_no_retry",
        ),
    ),
    Beyond(
        "A task over its time",
        "There is no timeout of tasks.",
        "`timeout_seconds`, per attempt. In this process it cannot stop sync code: the run is TimedOut with a warning, "
        "and the flow does not wait for that thread.",
        "Something that hangs should not hang everything.",
        (
            "conformance/test_failures.py::test_an_attempt_over_its_timeout_is_timed_out",
            "unit/sdk/backends/test_local.py::test_a_timed_out_thread_is_left_behind_with_a_warning_and_its_late_result_dropped",
        ),
    ),
    Beyond(
        "The sequential task runner",
        "Runs the tasks itself.",
        "Waits for each call before the next, on every backend.",
        "Where tasks run is the backend's business.",
        ("conformance/test_calls.py::test_a_sequential_flow_finishes_each_call_before_the_next",),
    ),
    Beyond(
        "What type checkers infer",
        "`PrefectFuture[T, Sync]` and `PrefectFuture[T, Async]`.",
        "Overloads that mypy and pyright both infer; an async task gives an awaitable future.",
        "A wrong argument should be seen in the editor.",
        ("typing/test_typing.py::test_type_checkers_infer_what_the_files_say_and_refuse_what_they_mark",),
    ),
)
