"""The backends of the conformance suite. One line more, and every case runs there too.

A backend that needs a cluster carries `marks=pytest.mark.cluster`.
"""

from __future__ import annotations

import pytest

LOCAL = pytest.param("local")
PROCESS = pytest.param("process")
KUBERNETES = pytest.param("kubernetes", marks=[pytest.mark.cluster, pytest.mark.timeout(700)])

BACKENDS = [LOCAL, PROCESS, KUBERNETES]
REMOTE = [PROCESS, KUBERNETES]
"""Those that run a task in a process of its own."""
EVERY_STATE = [LOCAL, PROCESS]
"""Those that report even the shortest state; a cluster reports what lasts."""
STRAIGHT = frozenset(
    {
        "test_a_call_gives_a_future_of_the_result",
        "test_defaults_positional_and_keyword_arguments_arrive_as_they_would_without_podtask",
        "test_an_argument_that_cannot_be_pickled_is_named_at_the_call",
        "test_map_makes_one_run_per_element_and_leaves_unmapped_and_plain_values_alone",
        "test_run_names_and_ids_count_the_calls_of_one_task_in_one_flow_run",
        "test_a_template_of_the_parameters_names_the_runs",
        "test_a_flow_that_is_a_method_gets_its_object_as_first_argument",
        "test_the_upstreams_of_a_call_are_recorded_by_parameter_and_wait_for_only_where_it_was_given",
        "test_after_an_upstream_that_did_not_complete_a_task_is_not_ready_and_says_which_it_was",
        "test_a_failure_that_is_allowed_is_given_as_its_exception",
        "test_a_task_that_waits_for_it_runs_after_any_end",
        "test_the_end_of_a_task_has_its_type_its_name_and_its_words",
        "test_futures_in_containers_are_replaced_by_results_keys_too",
        "test_one_upstream_used_twice_is_one_object_for_the_task",
        "test_a_final_state_stands_for_its_result",
        "test_slots_enums_and_tuples_come_back_as_what_they_are",
        "test_wait_for_orders_without_passing_data",
        "test_a_state_that_belongs_to_no_task_run_counts_by_what_it_is",
        "test_a_task_is_called_inside_as_it_is_outside",
        "test_a_log_record_of_a_task_carries_the_names_and_what_the_task_adds",
        "test_a_task_sees_its_run_its_flow_run_and_its_tags",
        "test_a_task_inside_a_task_fails_with_the_cure",
        "test_the_tasks_own_exception_is_raised_by_result_and_by_state_result",
        "test_causes_of_an_exception_travel_with_it",
        "test_a_returned_failed_state_is_a_failure_and_a_returned_completed_state_a_success",
        "test_after_the_last_retry_the_run_is_failed",
        "test_a_retry_waits_for_its_delay_and_never_starts_early",
        "test_the_retry_condition_decides_with_the_exception_and_the_attempt",
        "test_an_unpicklable_result_is_crashed_and_not_retried",
        "test_a_task_that_ends_its_process_is_crashed_and_the_flow_goes_on",
        "test_a_dead_interpreter_is_crashed",
        "test_an_attempt_over_its_timeout_is_timed_out",
        "test_a_failed_upstream_makes_a_chain_not_ready_and_nothing_of_it_runs",
        "test_the_same_inputs_are_computed_once_and_the_second_run_is_cached",
        "test_a_key_of_the_users_own_is_shared_by_different_tasks_and_flows",
        "test_a_key_function_that_raises_crashes_the_run_before_any_attempt",
        "test_identical_runs_at_the_same_time_are_computed_once",
        "test_async_task_in_async_flow_gives_an_async_future",
        "test_calls_may_be_gathered",
        "test_nothing_returned_means_all_tasks_count",
        "test_returned_futures_count_and_their_results_are_the_value",
        "test_a_subflow_gives_its_value_and_its_futures_can_be_passed_on",
        "test_a_failed_upstream_reaches_a_subflow_as_its_exception",
        "test_completion_is_told_once_after_every_retry",
        "test_a_flow_tells_its_end_after_its_tasks",
        "test_a_method_gets_its_object_as_first_argument",
        "test_class_methods_get_the_class_and_static_methods_nothing_in_either_order_of_decorators",
        "test_enforce_ordering_between_tasks_that_do_not_exchange_data",
        "test_define_a_task_that_retries_3_times_with_a_5_second_delay_between_attempts",
        "test_the_next_attempt_goes_on_where_the_last_one_was",
        "test_a_retry_of_a_batch_repeats_what_failed",
        "test_the_result_of_an_item_goes_on_to_the_next_task",
        "test_define_a_task_that_is_cached_for_a_day_based_on_its_inputs",
    }
)
"""Cases for every run on a cluster: one for each thing that can happen. The others are `long` there. No two of them
may share a cache key, and none may need a fixture but `backend`: they run at the same time, see `cluster.Together`."""
