"""Task semantics §2: what code knows of the run around it, and what its log records carry."""

import logging
from contextlib import contextmanager

MARKS = ("task_run_id", "task_run_name", "task_name", "flow_run_id", "flow_run_name", "flow_name")


@contextmanager
def written(p, kind):
    """The records of runs; both libraries are asked for a run first, so that they have set logging up."""
    p.final_state(p.flow(lambda: 1, name="before"), (), {})
    logger, records = logging.getLogger(f"{p.LOGGERS}.{kind}"), []
    handler = logging.Handler()
    handler.emit = records.append
    level, above = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield records
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = above


def the_logger_of_a_flow_with_extra_marks(p, t):
    @p.flow
    def f():
        p.get_run_logger(mine="flow").info("said")

    with written(p, "flow_runs") as records:
        p.final_state(f, (), {})
    (record,) = [record for record in records if record.getMessage() == "said"]
    t.tell("mine", record.mine)
    t.tell("marks", [name for name in MARKS if getattr(record, name, None)])
    t.tell("flow", record.flow_name)


def the_logger_of_a_task_with_extra_marks(p, t):
    @p.task
    def work():
        p.get_run_logger(mine="task").info("said")

    @p.flow
    def f():
        work()

    with written(p, "task_runs") as records:
        p.final_state(f, (), {})
    p.runs(t)
    (record,) = [record for record in records if record.getMessage() == "said"]
    t.tell("mine", record.mine)
    t.tell("marks", [name for name in MARKS if getattr(record, name, None)])
    t.tell("names", [record.task_run_name, record.task_name, record.flow_name])


def the_logger_of_a_context(p, t):
    seen = []

    @p.flow
    def f():
        seen.append(p.get_run_logger(p.get_run_context()))

    p.final_state(f, (), {})
    t.tell("flow", seen[0].extra["flow_name"])


def the_context_of_a_flow(p, t):
    @p.flow(task_runner=p.SequentialTaskRunner())
    def f(x):
        context = p.get_run_context()
        t.tell("flow", context.flow.name)
        t.tell("task runner", type(context.task_runner).__name__)
        return "told"

    t.run(f, 1)


def the_context_of_a_task(p, t):
    @p.task
    def work(x):
        context = p.get_run_context()
        t.tell("task", context.task.name)
        t.tell("name", context.task_run.name)
        t.tell("dynamic key", context.task_run.dynamic_key)
        t.tell("task key", context.task_run.task_key == context.task.task_key)

    @p.flow
    def f():
        return [work(1).wait().name]

    t.run(f)


def the_type_of_a_run_id(p, t):
    one = p.task(lambda: 1, name="one")

    @p.flow
    def f():
        t.tell("type", type(one().run_id).__name__)
        return "told"

    t.run(f)
