"""`podtask ui`: flow runs and task runs in a browser, with the rights of whoever types it; or those of this machine.

Next on the road: `podtask.ui.server`.
"""

from __future__ import annotations

import webbrowser

import click

from podtask.cli.common import output
from podtask.cli.common.exits import CommandFailed
from podtask.cli.common.options import with_session
from podtask.cli.common.session import Session
from podtask.cli.flows import local


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="Port; 0 is any free one.")
@click.option("--browser/--no-browser", default=False, help="Open the link in the default browser.")
@click.option("--local", "here", is_flag=True, help="Flow runs of this machine's backends local and process.")
@with_session
def ui(session: Session, *, port: int, browser: bool, here: bool) -> None:
    """Show flow runs and task runs in a browser, on this machine, with your own rights."""
    try:
        from podtask.ui.access.cluster_viewer import ClusterViewer
        from podtask.ui.access.local_viewer import LocalViewer
        from podtask.ui.access.viewer import Viewer
        from podtask.ui.server import PageServer
    except ModuleNotFoundError as missing:
        raise CommandFailed(f"The package '{missing.name}' is missing: pip install 'podtask[ui]'") from missing
    first = True

    def announce(link: str) -> None:
        nonlocal first
        output.out(f"Open {link}" if first else f"For another browser: {link}")
        if first and browser:
            webbrowser.open(link)
        first = False

    with local.named("podtask ui --local"):
        viewer: Viewer = (
            LocalViewer(session.settings.home)
            if here
            else ClusterViewer(session.cluster, session.bucket, session.context_name, session.cluster_options)
        )
    PageServer(viewer, port, announce, debug=click.get_current_context().find_root().obj["debug"]).serve()
