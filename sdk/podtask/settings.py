"""Where settings come from: an argument beats the environment, which beats pyproject.toml, which beats the default.

    PODTASK_BACKEND          backend          local, process or kubernetes          local
    PODTASK_HOME             home             local store and cache                 ~/.podtask
    PODTASK_NAMESPACE        namespace        Kubernetes namespace                  that of the kube context
    PODTASK_STORE            store            s3://bucket/prefix                    what the cluster publishes
    PODTASK_S3_ENDPOINT_URL  s3_endpoint_url                                        what the cluster publishes
    PODTASK_FLOW_RUN_ID      flow_run_id      pins the run, so a restart re-attaches   a new one each time
    PODTASK_REMOTE_LOGS      remote_logs      show what tasks print in pods: on, off   on
    PODTASK_PROGRESS         progress         shown on stderr: auto, plain, off     auto; local backend: off
    PODTASK_INCLUDE          include          packages that travel as files, "a, b"    the project's own
    PODTASK_EXCLUDE          exclude          packages that the image has, "a, b"      none
    PODTASK_DATA             data             files beside modules that travel, too: "shop/rates/*.json"   none

The table `[tool.podtask]` is that of the nearest pyproject.toml upwards from the working directory. It is read with
`tomllib`, which Python has since 3.11; under 3.10 with the package `tomli`, which podtask installs there. Where that is
missing, a file with the table is an error, because a setting that is silently ignored costs an afternoon.
Nothing is read at import.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from podtask.errors import SettingsError

PREFIX = "PODTASK_"
TABLE = "podtask"


@dataclass(frozen=True)
class Settings:
    """What is set, and from where (`sources`: name → "argument", variable, file or "default")."""

    backend: str = "local"
    home: Path = Path("~/.podtask")
    namespace: str | None = None
    store: str | None = None
    s3_endpoint_url: str | None = None
    flow_run_id: str | None = None
    remote_logs: str = "on"
    progress: str = "auto"
    include: str = ""
    exclude: str = ""
    data: str = ""
    sources: Mapping[str, str] | None = None


NAMES = tuple(item.name for item in fields(Settings) if item.name != "sources")


def load(environ: Mapping[str, str] | None = None, start: Path | None = None, **arguments: Any) -> Settings:
    """The settings now. Raises `SettingsError` for an unknown key in the file or a value that is no text."""
    unknown = sorted(set(arguments) - set(NAMES))
    if unknown:
        raise SettingsError(f"there is no setting '{unknown[0]}'; the settings are {', '.join(NAMES)}")
    environ = os.environ if environ is None else environ
    path, table = _from_file(start or Path.cwd())
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name in NAMES:
        variable = PREFIX + name.upper()
        if arguments.get(name) is not None:
            values[name], sources[name] = arguments[name], "argument"
        elif environ.get(variable):
            values[name], sources[name] = environ[variable], variable
        elif name in table:
            values[name], sources[name] = table[name], str(path)
        else:
            sources[name] = "default"
    values["home"] = Path(values.get("home", Settings.home)).expanduser().absolute()
    return Settings(**values, sources=sources)


def _from_file(start: Path) -> tuple[Path | None, Mapping[str, Any]]:
    path = next((found for folder in (start, *start.parents) if (found := folder / "pyproject.toml").is_file()), None)
    if path is None:
        return None, {}
    text = path.read_bytes()
    if b"[tool." + TABLE.encode() not in text:
        return path, {}
    table = _parse(path, text.decode()).get("tool", {}).get(TABLE, {})
    for name, value in table.items():
        if name not in NAMES:
            raise SettingsError(f"{path}: [tool.{TABLE}] has no setting '{name}'; the settings are {', '.join(NAMES)}")
        if not isinstance(value, str):
            raise SettingsError(f"{path}: [tool.{TABLE}] {name} must be text in quotes, not {value!r}")
    return path, table


def _parse(path: Path, text: str) -> Mapping[str, Any]:
    for name in ("tomllib", "tomli"):
        try:
            toml = importlib.import_module(name)
        except ModuleNotFoundError:
            continue
        try:
            return toml.loads(text)  # type: ignore[no-any-return]
        except ValueError as error:
            raise SettingsError(f"{path} is not TOML: {error}") from error
    raise SettingsError(
        f"{path} has a table [tool.{TABLE}], and Python 3.10 cannot read TOML: pip install tomli, or set the "
        f"environment variables {PREFIX}…"
    )
