"""`podtask describe flow/NAME -o svg|mermaid`: timeline and graph of a flow run, for a report.

Next on the road: `podtask.ui.report`, which draws with the templates of the page.
"""

from __future__ import annotations

from datetime import datetime

from podtask.cli.common.exits import CommandFailed
from podtask.cli.flows.tree import Tree

FORMS = ("svg", "mermaid")


def text(tree: Tree, now: datetime, form: str) -> str:
    """The picture of the flow run and of everything in it. Raises `CommandFailed` without the extra `ui`."""
    try:
        from podtask.ui import report
    except ModuleNotFoundError as missing:
        raise CommandFailed(f"The package '{missing.name}' is missing: pip install 'podtask[ui]'") from missing
    drawn = report.Report(tree.top.obj, [run.obj for run in tree.runs], now.timestamp())
    return (report.svg(drawn) if form == "svg" else report.mermaid(drawn)).rstrip("\n")
