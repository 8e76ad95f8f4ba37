"""TaskRuns in YAML or JSON files, read as Kubernetes reads them, and refused where it would mistake them.

YAML 1.1 makes booleans of `yes`, `no`, `on` and `off`, and PyYAML makes dates of dates: a key that is no text is an
error that says "quote it", a date stays the text it is. So does a time of day, which PyYAML takes for a number of base
60; `1e-3`, which it takes for text, is a number, as for kubectl and in JSON. Numbers among the parameters are those
that the API server keeps (`podtask.core.api.json_values`). Asked by: `cli.commands.submit`, `cli.commands.run`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from podtask.cli.common.exits import CommandFailed
from podtask.core.api.json_values import NotKept, as_kept
from podtask.core.api.names import API_VERSION, GROUP, KIND
from podtask.kube.client import Object

NUMBERS = {
    "int": r"[-+]?(0|0b[01_]*[01]|0o?[0-7_]*[0-7]|0x[0-9a-fA-F_]*[0-9a-fA-F]|[1-9][0-9_]*)",
    "float": r"[-+]?(\.[0-9][0-9_]*|[0-9][0-9_]*(\.[0-9_]*|(?=[eE])))([eE][-+]?[0-9]+)?"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
}
"""What a plain scalar has to look like to be one, as for kubectl (go-yaml v2)."""


def read(path: str) -> list[Object]:
    """All TaskRuns of a file (`-`: stdin), in its order. Raises `CommandFailed` for anything else in it."""
    text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    where = "stdin" if path == "-" else path
    found = [item for document in _documents(text, where) for item in _items(document)]
    if not found:
        raise CommandFailed(f"{where} is empty; write a TaskRun into it (examples/hello.yaml is one).")
    return [_checked(item, where) for item in found]


def _documents(text: str, where: str) -> Iterator[Any]:
    import yaml

    class Loader(yaml.SafeLoader):
        """Ours only: resolvers belong to the class."""

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in known if not tag.endswith((":timestamp", ":int", ":float"))]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    for kind, pattern in NUMBERS.items():
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(f"(?:{pattern})$"), list("-+.0123456789"))
    try:
        yield from (each for each in yaml.load_all(text, Loader) if each is not None)
    except yaml.YAMLError as error:
        raise CommandFailed(f"{where} is not YAML: {' '.join(str(error).split())}") from error


def _items(document: Any) -> list[Any]:
    if isinstance(document, dict) and document.get("kind") == "List":
        return list(document.get("items") or ())
    return [document]


def _checked(item: Any, where: str) -> Object:
    if not isinstance(item, dict):
        raise CommandFailed(f"{where} holds no TaskRun but {type(item).__name__}: {str(item)[:60]!r}.")
    kind, version = item.get("kind"), str(item.get("apiVersion", ""))
    if kind != KIND or not version.startswith(f"{GROUP}/"):
        raise CommandFailed(
            f"{where} holds a {kind or 'document without kind'} ({version or 'no apiVersion'}); podtask submits "
            f"{KIND}s of {API_VERSION}. For everything else: kubectl apply -f {where}"
        )
    meta = item.get("metadata")
    if not isinstance(meta, dict) or not (meta.get("name") or meta.get("generateName")):
        raise CommandFailed(f"{where}: a TaskRun without metadata.name or metadata.generateName; give it one.")
    who = f"{where}: TaskRun {meta.get('name') or meta.get('generateName')}"
    _text_keys(item, "", who)
    spec = item.get("spec")
    if isinstance(spec, dict) and isinstance(spec.get("parameters"), dict):
        try:
            return {**item, "spec": {**spec, "parameters": as_kept(spec["parameters"], "spec.parameters")}}
        except NotKept as error:
            raise CommandFailed(f"{who}: {error}") from error
    return item


def _text_keys(value: Any, path: str, where: str) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise CommandFailed(
                    f"{where}: a key under {path or 'the top'} is {key!r} in YAML (yes, no, on, off and numbers are no "
                    f"texts); quote it."
                )
            _text_keys(inner, f"{path}.{key}".lstrip("."), where)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _text_keys(inner, f"{path}[{index}]", where)
