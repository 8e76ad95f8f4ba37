"""docs/reference/settings.md: what SDK and operator can be told, from the modules that read it."""

from __future__ import annotations

import inspect
import re
from dataclasses import MISSING, fields

from dev.docs.docstrings import attributes
from dev.docs.markdown import code, page, sentence, table

from podtask import settings as sdk
from podtask_operator import settings as operator

HEAD = """\
## Python SDK and command

An argument beats the environment, which beats `[tool.podtask]` in the nearest `pyproject.toml` upwards, which beats the
default. Nothing is read at import. Credentials of the bucket come from boto3's own chain (`AWS_…`, profiles)."""

FILE = """\
In a file, under the names without `PODTASK_`, as text in quotes:

```toml
# pyproject.toml
[tool.podtask]
backend = "process"
home = ".podtask"
```"""

OPERATOR = """\
## Operator

Environment variables of the operator's process. The [chart](chart.md) writes them; you need them only without Helm."""


def text() -> str:
    """The whole page. Raises `AssertionError` where a setting is not described in its module."""
    rows = list(_sdk())
    described = {row[0].strip("`") for row in rows}
    assert described == {sdk.PREFIX + name.upper() for name in sdk.NAMES}, described
    variables = {
        value for name, value in vars(operator).items() if name.isupper() and str(value).startswith("PODTASK_")
    }
    served = list(_operator())
    assert {row[0].strip("`") for row in served} == variables, variables
    return page(
        "Settings",
        "podtask/settings.py and podtask_operator/settings.py",
        HEAD,
        table(("Variable", "Argument and key", "Meaning", "Default"), rows),
        FILE,
        OPERATOR,
        table(("Variable", "Default", "Meaning"), served),
    )


def _sdk() -> list[tuple[str, str, str, str]]:
    rows = []
    for line in (inspect.getdoc(sdk) or "").splitlines():
        parts = re.split(r"\s{2,}", line.strip())
        if parts[0].startswith(sdk.PREFIX) and len(parts) > 2:
            default = parts[3] if len(parts) > 3 else ""
            rows.append((code(parts[0]), code(parts[1]), parts[2], _default(parts[1], default)))
        elif parts[0].startswith(sdk.PREFIX) and len(parts) == 2:
            raise AssertionError(f"podtask/settings.py: the line of {parts[0]} has no meaning")
    return [_with_meaning(row) for row in rows]


def _with_meaning(row: tuple[str, str, str, str]) -> tuple[str, str, str, str]:
    """A line of three columns has its default where others have the meaning."""
    if "S3_ENDPOINT_URL" in row[0] and not row[3]:
        return (row[0], row[1], "URL of the S3 server, as this process sees it", row[2])
    return row


def _default(name: str, told: str) -> str:
    value = getattr(sdk.Settings, name, None)
    return code(value) if value is not None and str(value) == told else told


def _operator() -> list[tuple[str, str, str]]:
    told = attributes(operator.Settings)
    rows = []
    for item in fields(operator.Settings):
        variable = _variable(item.name)
        default = "" if item.default is MISSING or item.default in (None, ()) else code(item.default)
        if item.default is MISSING and item.default_factory is MISSING:
            default = "**required**"
        rows.append((code(variable), default, sentence(told[item.name] or _WORDS.get(item.name, ""))))
    return rows


def _variable(name: str) -> str:
    wanted = {"endpoint_url": "S3_ENDPOINT_URL", "region": "S3_REGION", "namespaces": "WATCH_NAMESPACES"}
    return str(getattr(operator, wanted.get(name, name.upper())))


_WORDS = {
    "region": "Region of the bucket.",
    "image_pull_policy": "Pull policy of the tasks' containers.",
    "concurrency": "TaskRuns that are worked on at the same time.",
    "resync_seconds": "How often what the operator holds is compared with the API server.",
    "health_port": "Port of `/healthz`.",
    "log_format": "`json`, or `text` for people.",
    "log_level": "`DEBUG`, `INFO`, `WARNING` or `ERROR`.",
}
"""For settings whose name says it all in the code."""
