"""Every generated file below docs/ and the text it should have; and files that pages repeat from elsewhere.

A page repeats a file between `<!-- file: examples/hello.py -->` and `<!-- end of file -->`, as a code block, and has a
table between `<!-- made: rules -->` and `<!-- end of made -->`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from dev.docs import chart, command, examples, metrics, picture, python_api, settings, taskrun, troubleshooting, words
from dev.docs.docstrings import first_sentence
from dev.docs.markdown import code, table
from dev.docs.paths import DOCS, TOP

from podtask.core.lifecycle.judge import VERDICTS
from podtask.core.lifecycle.rules import RULES

PAGES: Mapping[str, Callable[[], str]] = {
    "examples.md": examples.text,
    "reference/taskrun.md": taskrun.text,
    "reference/flowrun.md": taskrun.flow_run,
    "reference/warmpool.md": taskrun.warm_pool,
    "reference/states.md": words.text,
    "reference/troubleshooting.md": troubleshooting.text,
    "reference/python.md": python_api.text,
    "reference/settings.md": settings.text,
    "reference/command.md": command.text,
    "reference/metrics.md": metrics.text,
    "reference/chart.md": chart.text,
    "explanation/lifecycle.svg": picture.text,
}

_REPEATED = re.compile(r"<!-- file: (\S+) -->\n.*?<!-- end of file -->", re.DOTALL)
_MADE = re.compile(r"<!-- made: (\w+) -->\n.*?<!-- end of made -->", re.DOTALL)
_LANGUAGES = {
    ".py": "python",
    ".lua": "lua",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".sh": "sh",
    ".toml": "toml",
    ".txt": "console",
}


def stale() -> dict[Path, str]:
    """Path -> the text it should have, where it has another one or does not exist."""
    wanted = {DOCS / path: make() for path, make in PAGES.items()}
    for path in (TOP / "README.md", *sorted(DOCS.rglob("*.md"))):
        if path not in wanted:
            wanted[path] = repeated(path.read_text())
    return {path: text for path, text in wanted.items() if not path.exists() or path.read_text() != text}


def repeated(text: str) -> str:
    """The page with every repeated file as it is now. Raises `FileNotFoundError` for one that is gone."""
    return _MADE.sub(_table, _REPEATED.sub(_block, text))


def _block(match: re.Match[str]) -> str:
    path = TOP / match[1]
    language = _LANGUAGES.get(path.suffix, "text")
    return f"<!-- file: {match[1]} -->\n```{language}\n{path.read_text().rstrip()}\n```\n<!-- end of file -->"


def _table(match: re.Match[str]) -> str:
    functions = {"rules": RULES, "verdicts": VERDICTS}[match[1]]
    rows = [
        (str(number), code(function.__name__), first_sentence(function)) for number, function in enumerate(functions, 1)
    ]
    return f"<!-- made: {match[1]} -->\n{table(('', 'Rule', 'Says'), rows)}\n<!-- end of made -->"
