"""How futures, states and flows look in a notebook: one small table each, every text escaped, states as words.

Used by: the `_repr_html_` of `podtask.futures`, `podtask.states` and `podtask.flows`.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

_LONGEST = 300


def table(title: str, rows: Iterable[tuple[str, object]]) -> str:
    """A heading and a line per row; rows without a value are left out."""
    lines = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th><td style='text-align:left'>{_text(value)}</td></tr>"
        for name, value in rows
        if value not in (None, "", ())
    )
    return f"<table><caption style='text-align:left'><b>{escape(title)}</b></caption>{lines}</table>"


def _text(value: object) -> str:
    text = str(value)
    return escape(text if len(text) <= _LONGEST else text[:_LONGEST] + "…")
