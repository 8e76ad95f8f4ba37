"""docs/reference/python.md: what `import podtask` offers, from its docstrings."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from dev.docs.docstrings import annotations, attributes, first_sentence, prose, signature
from dev.docs.markdown import code, page, table

import podtask
from podtask import context, errors, options, states
from podtask.core.api.status import camel_case
from podtask.core.crd import crd
from podtask.engine import hooks
from podtask.options import FlowOptions

HEAD = """\
`from podtask import flow, task` and so on: everything here is a name of the package `podtask`, unless another module is
named. All of it is typed; mypy and pyright know what `.result()` gives."""

DECORATORS = ("task", "flow")
FUNCTIONS = (
    "tags",
    "get_run_context",
    "get_run_logger",
    "task_input_hash",
    "register_hasher",
    "register_serializer",
    "ref",
    "quote",
    "unmapped",
    "allow_failure",
    "wait",
    "as_completed",
)
CLASSES = (
    "Task",
    "Flow",
    "TaskFuture",
    "AsyncTaskFuture",
    "State",
    "File",
    "ConcurrentTaskRunner",
    "SequentialTaskRunner",
)


def text() -> str:
    """The whole page. Raises `AssertionError` for a public name without a place on it."""
    raised = [name for name in podtask.__all__ if _is_error(getattr(podtask, name))]
    left = set(podtask.__all__) - {*raised, *DECORATORS, *FUNCTIONS, *CLASSES}
    assert not left, f"give these names a place in dev/docs/python_api.py: {', '.join(sorted(left))}"
    return page(
        "Python",
        "the docstrings below sdk/podtask/",
        HEAD,
        "## Decorators",
        *(f"### {name}\n\n{prose(getattr(podtask, name))}" for name in DECORATORS),
        "### Options of tasks\n\nKeywords of `@task(...)` and `.with_options(...)`.\n\n"
        + _options(options.TaskOptions),
        "### Options of flows\n\nKeywords of `@flow(...)` and `.with_options(...)`.\n\n" + _options(FlowOptions),
        f"### Hooks\n\n{prose(hooks).split('Statuses are')[0].split('    run.report')[0].strip()}\n\n{HOOKS}",
        "## Functions",
        *(_function(getattr(podtask, name), name) for name in FUNCTIONS),
        "## Classes",
        *(_class(getattr(podtask, name)) for name in CLASSES),
        "### States made by hand\n\nIn `podtask.states`, to be returned from a task or a flow.",
        *(_function(getattr(states, name), name, level=4) for name in ("Completed", "Failed", "Cancelled")),
        "### Contexts\n\nWhat `get_run_context()` gives.",
        *(_data(kind) for kind in (context.TaskRunContext, context.TaskRunInfo, context.FlowRunContext)),
        _class(context.Checkpoint),
        _errors(),
    )


HOOKS = """\
`hook(task, run, state)` for tasks, `hook(flow, run, state)` for flows; a hook may be async. Hooks of one flow run are
called one after the other. What a hook raises is logged and changes nothing. A driver that re-attaches calls them for
what it learns, so a hook may be called again after a restart."""


def _is_error(thing: Any) -> bool:
    return inspect.isclass(thing) and issubclass(thing, BaseException)


def _function(thing: Any, name: str, level: int = 3) -> str:
    return f"{'#' * level} {name}\n\n```python\n{signature(thing, name)}\n```\n\n{prose(thing)}"


def _class(kind: type) -> str:
    rows = []
    for name, member in _members(kind):
        if isinstance(member, property):
            rows.append((code(f".{name}"), prose(member)))
        else:
            rows.append((code(signature(member, f".{name}").split(" -> ")[0]), prose(member)))
    members = [row for row in rows if row[1]]
    shown = f"\n\n{table(('Member', 'Meaning'), members)}" if members else ""
    return f"### {kind.__name__}\n\n{prose(kind)}{shown}"


def _members(kind: type) -> Iterator[tuple[str, Any]]:
    own = [base for base in kind.__mro__ if base.__module__.startswith("podtask")]
    seen: set[str] = set()
    for base in reversed(own):
        for name, member in vars(base).items():
            public = not name.startswith("_") or name == "__call__"
            if public and name not in seen and (isinstance(member, property) or inspect.isfunction(member)):
                seen.add(name)
                yield name, getattr(kind, name) if not isinstance(member, property) else member


def _options(kind: type) -> str:
    told, kinds = attributes(kind), annotations(kind)
    defaults = vars(kind)
    spec = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    wire = {"service_account": "serviceAccountName"}
    rows = []
    for name, meaning in told.items():
        same = spec.get(wire.get(name, camel_case(name)), {}).get("description", "")
        rows.append((code(name), code(kinds[name]), code(_default(defaults.get(name))), meaning or same))
    return table(("Option", "Type", "Default", "Meaning"), rows)


def _default(value: Any) -> str:
    return "" if value is None or type(value).__name__ in ("Field", "member_descriptor") else repr(value)


def _data(kind: type) -> str:
    told, kinds = attributes(kind), annotations(kind)
    rows = [(code(name), code(kinds[name]), told[name]) for name in told]
    return f"#### {kind.__name__}\n\n{prose(kind)}\n\n{table(('Attribute', 'Type', 'Meaning'), rows)}"


def _errors() -> str:
    tree = prose(errors)
    drawn = "\n".join(line[4:] for line in tree.splitlines() if line.startswith("    "))
    rows = [
        (code(name), first_sentence(getattr(podtask, name)))
        for name in podtask.__all__
        if _is_error(getattr(podtask, name))
    ]
    return (
        "## Exceptions\n\nA task's own exception is raised as itself, never wrapped. What podtask raises on its own "
        "account says what happened, to which object, and what to do. All of it is in `podtask.errors`; the ones in "
        f"the table are also names of `podtask`.\n\n```text\n{drawn}\n```\n\n"
        + table(("Exception", "Raised when"), rows)
    )
