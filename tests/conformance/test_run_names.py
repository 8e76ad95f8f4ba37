"""What code inside a run knows of it, and what its log records carry: the same on every backend."""

from __future__ import annotations

import pytest

from podtask import flow, get_run_context, get_run_logger, task
from podtask.context import FlowRunContext

MARKS = ("task_run_id", "task_run_name", "task_name", "flow_run_id", "flow_run_name", "flow_name", "attempt", "mine")


@pytest.mark.usefixtures("backend")
class TestNames:
    @pytest.mark.straight
    def test_a_task_is_called_inside_as_it_is_outside(self) -> None:
        @task
        def plain():
            from podtask import get_run_context

            run = get_run_context().task_run
            return run.name, run.task_name, run.flow_name, run.flow_run_name, run.flow_run_id

        @flow(name="around it")
        def around_it():
            info = get_run_context().flow_run
            futures = [plain(), plain(), plain.with_options(task_run_name="of my own")()]
            outside = [(future.name, "plain", info.flow_name, info.name, info.id) for future in futures]
            return [future.result() for future in futures], outside

        found, outside = around_it.with_options(name="around-it")()
        assert [tuple(names) for names in found] == outside
        assert found[2][0] == "of my own"

    def test_a_name_made_of_a_file_name_that_is_no_utf8_can_be_shown(self) -> None:
        @task(task_run_name="load {path}")
        def load(path):
            return len(path)

        @flow
        def loading():
            future = load("r-\udcff.csv")
            return future.name, future.result()

        assert loading() == (r"load r-\udcff.csv", 7)

    @pytest.mark.straight
    def test_a_log_record_of_a_task_carries_the_names_and_what_the_task_adds(self) -> None:
        @task
        def logging_task():
            from podtask import get_run_logger

            return {name: str(get_run_logger(mine="added").extra[name]) for name in MARKS}

        @flow
        def around():
            future = logging_task()
            info = get_run_context().flow_run
            return future.result(), {
                "task_run_id": future.run_id,
                "task_run_name": future.name,
                "task_name": "logging_task",
                "flow_run_id": info.id,
                "flow_run_name": info.name,
                "flow_name": "around",
                "attempt": "1",
                "mine": "added",
            }

        inside, outside = around()
        assert inside == outside

    def test_a_thread_of_a_task_logs_for_the_run_it_is_handed(self) -> None:
        @task
        def threaded():
            import threading
            from contextvars import copy_context

            from podtask import get_run_context, get_run_logger

            context, found = get_run_context(), []

            def say(*which):
                found.append(get_run_logger(*which).extra["task_run_name"])

            threads = [
                threading.Thread(target=say, args=(context,)),
                threading.Thread(target=copy_context().run, args=(say,)),
            ]
            for thread in threads:
                thread.start()
                thread.join(30)
            return found

        @flow
        def around():
            future = threaded()
            return future.result(), future.name

        found, name = around()
        assert found == [name] * 2

    def test_the_context_of_a_flow_has_its_flow(self) -> None:
        @flow
        def around():
            context = get_run_context()
            assert isinstance(context, FlowRunContext)
            return context.flow.name, type(context.task_runner).__name__, get_run_logger(mine=1).extra["mine"]

        assert around() == ("around", "ConcurrentTaskRunner", 1)
