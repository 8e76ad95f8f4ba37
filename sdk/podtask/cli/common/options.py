"""Options that many commands share, in kubectl's spellings, and the `Session` they make.

    @click.command()
    @click.argument(...)
    @with_session                 -n, --context, --kubeconfig, --debug  ──>  first argument `session`

Before: `app`. Next on the road: `session`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

from podtask.cli.common.selection import Meant
from podtask.cli.common.session import Session

F = TypeVar("F", bound=Callable[..., Any])

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def with_session(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command gets a `Session` as its first argument."""

    @click.option("-n", "--namespace", help="Namespace of the TaskRuns; else PODTASK_NAMESPACE or the kube context's.")
    @click.option("--context", help="Context of the kube config; else the current one.")
    @click.option("--kubeconfig", help="Kube config file; else KUBECONFIG or ~/.kube/config.")
    @debug
    @wraps(command)
    def run(*args: Any, namespace: str | None, context: str | None, kubeconfig: str | None, **options: Any) -> Any:
        with Session(namespace, context, kubeconfig) as session:
            return command(session, *args, **options)

    return run


def debug(command: F) -> F:
    """`--debug`, after the command's name as well as before it."""

    def remember(ctx: click.Context, _: click.Parameter, value: object) -> None:
        if value:
            ctx.find_root().obj["debug"] = True

    option = click.option(
        "--debug", is_flag=True, expose_value=False, callback=remember, help="Show the traceback of an error."
    )
    return option(command)


def latest(command: F) -> F:
    """`-L`."""
    return click.option("-L", "--latest", is_flag=True, help="The newest TaskRun; the same as the name @latest.")(
        command
    )


def several(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which TaskRuns: names, -L, -l, --flow-run, --all. The command gets them as `meant`."""

    @wraps(command)
    def run(
        *args: Any,
        names: tuple[str, ...],
        latest: bool,
        selector: str | None,
        flow_run: str | None,
        everything: bool,
        **options: Any,
    ) -> Any:
        return command(*args, meant=Meant(names, latest, selector, flow_run, everything), **options)

    for option in (
        click.option("--all", "everything", is_flag=True, help="All TaskRuns of the namespace."),
        click.option("--flow-run", help="All TaskRuns of a flow run."),
        click.option("-l", "--selector", help="All TaskRuns with these labels, as in kubectl: a=b,c!=d."),
        click.option("-L", "--latest", is_flag=True, help="The newest TaskRun; the same as the name @latest."),
        click.argument("names", nargs=-1, metavar="[NAME]..."),
    ):
        run = option(run)
    return run


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4
    """`30s`, `10m`, `2h`, `1d`, `1w`, or a bare number of seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw]?)", str(value))
        if not found:
            self.fail(f"'{value}' is no duration; write 30s, 10m, 2h or 1d.", param, ctx)
        return float(found[1]) * _SECONDS.get(found[2], 1)


DURATION = Duration()
