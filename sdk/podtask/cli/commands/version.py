"""`podtask version` and `podtask completion`."""

from __future__ import annotations

import sys
from functools import partial

import click

from podtask import __version__
from podtask.cli.common import output
from podtask.cli.common.exits import CommandFailed
from podtask.cli.common.options import with_session
from podtask.cli.common.session import Session
from podtask.core.api.names import API_VERSION, CLIENT_CONFIG_MAP

HOW = {
    "bash": 'eval "$(podtask completion bash)"      # in ~/.bashrc',
    "zsh": 'eval "$(podtask completion zsh)"       # in ~/.zshrc',
    "fish": "podtask completion fish | source       # in ~/.config/fish/config.fish",
}


@click.command()
@click.option("--client", is_flag=True, help="Only of this command; asks no cluster.")
@with_session
def version(session: Session, *, client: bool) -> None:
    """Print the versions of the command, the CRD and the operator's chart."""
    python = ".".join(map(str, sys.version_info[:3]))
    output.out(f"podtask {__version__} (Python {python}, {API_VERSION})")
    if not client:
        from podtask.kube.client_config import client_config

        found = client_config(session.namespace, partial(session.cluster.api.config_map, name=CLIENT_CONFIG_MAP))
        if found is not None:
            pythons = found.get("pythons", "?")
            output.out(f"operator {found.get('version', '?')} (runs Python {pythons}; {session.cluster.api.server})")
            return
        output.out(
            f"operator: not known, {session.cluster.api.server} publishes no {CLIENT_CONFIG_MAP}; podtask doctor"
        )


@click.command()
@click.argument("shell", type=click.Choice(sorted(HOW)))
@click.pass_context
def completion(ctx: click.Context, *, shell: str) -> None:
    """Print a script that completes podtask's commands in your shell."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise CommandFailed(f"There is no completion for {shell}.")
    script = kind(ctx.find_root().command, {}, "podtask", "_PODTASK_COMPLETE")
    output.out(f"# {HOW[shell]}\n{script.source()}")
