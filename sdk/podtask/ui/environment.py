"""Templates: everything that they print is made visible and escaped, whoever wrote it.

`finalize` sees every value before autoescape does, so that no template can forget control characters.
Used by: `routes.rendering` for the page, `report` for pictures outside of it.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from podtask.ui.view import graph, states
from podtask.ui.view.log_html import lines_html, visible
from podtask.ui.view.moments import ago, iso, lasted, utc

TEMPLATES = Path(__file__).with_name("templates")


def path(namespace: str, *parts: str) -> str:
    """A path of the page, below a namespace."""
    return "/".join(["/namespaces", *(quote(part, safe="") for part in (namespace, *parts))])


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Jinja's, with our filters."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(path=path, group=states.group, word=states.word, ended=states.ended, lasted=lasted)
    made.globals.update(node_width=graph.WIDTH, node_height=graph.HEIGHT)
    made.filters.update(ago=ago, iso=iso, utc=utc, thousands="{:,}".format, lines_html=lines_html)
    made.filters["per"] = "{:.2f}".format
    return made


def _shown(value: Any) -> Any:
    if isinstance(value, Markup):
        return value
    return visible(value) if isinstance(value, str) else value
