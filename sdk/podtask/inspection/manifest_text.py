"""An object of the API server as a person reads it: without managedFields, as YAML in block style. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podtask.core.api.names import API_VERSION, KIND


def manifest(obj: Mapping[str, Any]) -> dict[str, Any]:
    """The object as it is, without managedFields; an item of a list gets the kind that lists leave out."""
    meta = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
    rest = {name: value for name, value in obj.items() if name not in ("apiVersion", "kind", "metadata")}
    kind = obj.get("kind") or KIND
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": meta, **rest}


def yaml_text(document: Any, *, unicode: bool = True) -> str:
    """Block style, keys in their order, texts of several lines as blocks."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Ours only: a representer is registered per class."""

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Dumper.add_representer(str, text)
    return yaml.dump(document, Dumper=Dumper, sort_keys=False, allow_unicode=unicode, width=120).rstrip("\n")
