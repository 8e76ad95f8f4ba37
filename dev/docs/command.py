"""docs/reference/command.md: the podtask command, asked of the command itself (click)."""

from __future__ import annotations

import re

import click
from dev.docs.markdown import code, page, sentence, table

from podtask.cli import app
from podtask.cli.common.exits import Exit

HEAD = """\
`podtask`, also as `kubectl podtask`. It is installed with `pip install 'podtask[cli]'`. Spellings are those of kubectl.

A name is `NAME` or `ptr/NAME`; `@latest`, or the option `-L`, is the newest TaskRun."""

EVERYWHERE = {"namespace", "context", "kubeconfig", "debug", "help"}
"""Options of every command that talks to a cluster; told once."""


def text() -> str:
    """The whole page."""
    context = click.Context(app.podtask, info_name="podtask", **app.podtask.context_settings)
    groups = []
    for title, commands in app.SECTIONS.items():
        groups.append(f"## {title}")
        for name in commands:
            command = app.podtask.get_command(context, name)
            assert command is not None
            groups.extend(_command(command, name, context, 3))
    return page("The podtask command", "sdk/podtask/cli/", HEAD, _shared(context), _exits(), *groups)


def _command(command: click.Command, name: str, parent: click.Context, level: int) -> list[str]:
    context = click.Context(command, info_name=name, parent=parent)
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    parts = [f"{'#' * level} {context.command_path}", f"```text\n{usage}\n```", _help(command)]
    rows = [_option(o, context) for o in command.params if isinstance(o, click.Option) and o.name not in EVERYWHERE]
    if rows:
        parts.append(table(("Option", "Meaning"), rows))
    if command.epilog:
        parts.append(_plain(command.epilog))
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            assert found is not None
            parts += _command(found, inner, context, level + 1)
    return parts


def _option(option: click.Option, context: click.Context) -> tuple[str, str]:
    names = ", ".join(code(name) for name in (*option.opts, *option.secondary_opts))
    record = option.get_help_record(context)
    told = record[1] if record else ""
    metavar = "" if option.is_flag or option.count else f" `{option.make_metavar(context)}`"
    return names + metavar, sentence(told)


def _help(command: click.Command) -> str:
    return _plain(command.help or "")


def _plain(text: str) -> str:
    """Help as Markdown: what click keeps as it is (after a `\\b`) becomes a block."""
    parts = []
    for part in re.split(r"\n\s*\n", re.sub(r"\n[ \t]+", "\n", text.strip())):
        kept = part.startswith("\b")
        parts.append(f"```text\n{part.lstrip(chr(8)).strip()}\n```" if kept else part)
    return "\n\n".join(parts)


def _shared(parent: click.Context) -> str:
    command = app.podtask.get_command(parent, "list")
    assert command is not None
    context = click.Context(command, info_name="list", parent=parent)
    rows = [_option(o, context) for o in command.params if isinstance(o, click.Option) and o.name in EVERYWHERE]
    return f"## Options of every command\n\n{table(('Option', 'Meaning'), rows)}"


def _exits() -> str:
    rows = [
        (code(status.value), f"of a run: {status.meaning}" if status.of_a_run else status.meaning) for status in Exit
    ]
    return f"## Exit status\n\n{table(('Status', 'Means'), rows)}"
