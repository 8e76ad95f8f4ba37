"""The list of all commands, and the way from the command line to one of them and to an exit status.

A command's module is imported when the command is asked for: `podtask --help` loads none of them and no client.
Next on the road: `options`, then the command's own module.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from podtask.cli.common.exits import CommandEnded, Exit, left, told

SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "See": {
        "list": ("commands.list:list_runs", "List TaskRuns, newest first."),
        "flows": ("flows.list_flows:list_flows", "List flow runs, newest first."),
        "describe": (
            "commands.describe:describe",
            "Tell everything about one TaskRun or flow run, and what to do next.",
        ),
        "logs": ("commands.logs:logs", "Print what a task printed, also after its pod is gone."),
        "result": ("commands.result:result", "Print the result of a TaskRun as JSON, or store it in a file."),
        "error": ("commands.result:error", "Print the traceback of a TaskRun that failed."),
        "watch": ("commands.watch:watch", "Watch TaskRuns until they have ended; the exit status is their outcome."),
        "wait": ("commands.wait:wait", "Wait for the end of TaskRuns; the exit status is their outcome."),
        "ui": ("commands.ui:ui", "Show flow runs and task runs in a browser, on this machine, with your own rights."),
    },
    "Start": {
        "run": ("commands.run:run", "Run a flow of a Python file, or the TaskRuns of a YAML file on this machine."),
        "submit": ("commands.submit:submit", "Create the TaskRuns of a YAML file."),
    },
    "Steer": {
        "retry": (
            "commands.retry:retry",
            "Run finished TaskRuns again under new names; of many, those that did not succeed.",
        ),
        "cancel": ("commands.control:cancel", "End TaskRuns: stop the pod, start nothing more."),
        "suspend": ("commands.control:suspend", "Start no more pods for TaskRuns; what runs, runs on."),
        "resume": ("commands.control:resume", "Let suspended TaskRuns go on."),
        "delete": ("commands.control:delete", "Delete TaskRuns together with their pods."),
    },
    "More": {
        "cache": ("commands.cache:cache", "List the results that are reused, tell why one was not, forget some."),
        "gc": ("bucket.gc:gc", "Remove objects from the bucket that no TaskRun and no cache entry needs."),
        "bucket": ("bucket.adopt:bucket", "Say which namespace a folder of the bucket belongs to."),
        "doctor": ("doctor.command:doctor", "Check everything between here and a TaskRun's pod, each with a cure."),
        "version": ("commands.version:version", "Print the versions of the command, the CRD and the operator's chart."),
        "completion": (
            "commands.version:completion",
            "Print a script that completes podtask's commands in your shell.",
        ),
    },
}
"""Section -> command -> module and function in this package, and the sentence for `--help`."""
COMMANDS = {name: told for section in SECTIONS.values() for name, told in section.items()}


class Commands(click.Group):
    """Knows its commands by name, and imports the one that is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, _, function = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(f"podtask.cli.{module}"), function)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """A user's file that leaves by `sys.exit` keeps its exit status; click's own exits happen outside of this."""
        try:
            return super().invoke(ctx)
        except SystemExit as ended:
            raise CommandEnded(left(ended)) from ended

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, text) for name, (_, text) in commands.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else " 'podtask --help' lists them."
            ctx.fail(f"There is no command '{args[0]}'.{hint}")
        return super().resolve_command(ctx, args)


def _listed(*, of_a_run: bool) -> str:
    shown = (status for status in Exit if status is not Exit.INTERRUPTED and status.of_a_run is of_a_run)
    return ", ".join(f"{status.value} {status.meaning}" for status in shown)


EPILOG = f"""\b
Names: NAME, ptr/NAME, or @latest (the same as -L) for the newest TaskRun; flow/NAME, flow/@latest for a flow run.
Exit status: {_listed(of_a_run=False)}; of a run:
{_listed(of_a_run=True)}.
"""


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=EPILOG,
    no_args_is_help=True,
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def podtask(ctx: click.Context, *, debug: bool) -> None:
    """See and steer TaskRuns: Python tasks on Kubernetes, one pod per attempt."""
    if debug:
        ctx.find_root().obj["debug"] = True


def _sooner(wrong: click.ClickException) -> click.ClickException:
    """The same, or why there is no such option: `--local` is looked for wherever flow/NAME is taken."""
    if not isinstance(wrong, click.NoSuchOption) or wrong.option_name != "--local":
        return wrong
    text = (
        "There is no --local here: a flow run of this machine runs in its own process, which prints its log and ends "
        "by Ctrl-C. 'podtask flows --local', 'podtask describe flow/NAME --local' and 'podtask ui --local' show it."
    )
    return click.UsageError(text, wrong.ctx)


def main(arguments: list[str], program: str = "podtask") -> int:
    """Run one command line; its exit status. Never raises."""
    shared: dict[str, Any] = {"debug": False}
    name = "kubectl podtask" if Path(program).name.startswith("kubectl-") else "podtask"
    try:
        podtask.main(arguments, prog_name=name, standalone_mode=False, obj=shared)
        sys.stdout.flush()
    except click.ClickException as wrong:
        _sooner(wrong).show()
        return wrong.exit_code
    except click.exceptions.Exit as done:  # --help in a subcommand
        return done.exit_code
    except click.Abort:
        return told(KeyboardInterrupt(), debug=False)
    except (BrokenPipeError, SystemExit) as ended:
        if not isinstance(ended, SystemExit) or ended.code:  # `podtask logs x | head` has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE  # click exits by itself after a broken pipe, and after answering a shell's completion
    except BaseException as error:  # noqa: BLE001 - every error ends here, as a sentence
        return told(error, debug=shared["debug"])
    return Exit.DONE
