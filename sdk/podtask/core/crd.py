"""From the models to the CustomResourceDefinition: a structural schema with CEL rules, small enough to read.

Pydantic speaks JSON Schema; Kubernetes wants a structural schema (no `$ref`, no `anyOf` with null, OpenAPI 3.0
bounds). The transform is `structural`; the rules people meet as sentences are in `_spec_rules` and `_root_rules`.
`python -m podtask.core.crd` prints the YAML that is committed under `crds/` (a test fails on drift).
`podtask.core.crd_flow_run` stands on this module.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import TypeAdapter

from podtask.core.api.names import CATEGORY, GROUP, KIND, NAME_LIMIT, PLURAL, SHORT_NAME, VERSION
from podtask.core.api.spec import MUTABLE, TaskRunSpec
from podtask.core.api.status import ATTEMPTS_KEPT
from podtask.core.lifecycle.rendering import StatusView

Schema = dict[str, Any]

STATUS_LIMITS = {"message": 2048, "value": 8192, "inline": 8192, "traceback": 8192, "cure": 1024}
"""Characters of free text in the status; everything else there is short by nature."""


def crd() -> Schema:
    """The CustomResourceDefinition as a plain dict, ready for YAML."""
    return definition(KIND, PLURAL, SHORT_NAME, _version())


def definition(kind: str, plural: str, short_name: str, version: Schema) -> Schema:
    """What every CustomResourceDefinition of podtask has around its one version."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short_name],
                "categories": [CATEGORY],
            },
            "scope": "Namespaced",
            "versions": [version],
        },
    }


def _version() -> Schema:
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "selectableFields": [{"jsonPath": ".status.state"}],
        "additionalPrinterColumns": [
            column("State", ".status.state", "What it is doing, or how it ended."),
            column("Attempt", ".status.attempt", "User attempt, of how many."),
            column("Cache", ".status.cache.outcome", "Hit, Miss, Waiting or Off."),
            column("Reason", ".status.reason", "Why it is in this state.", wide=True),
            column("Node", ".status.attempts[-1:].node", "Node of the newest pod.", wide=True),
            column("Duration", ".status.duration", "Time from the first attempt to the end.", wide=True),
            column("Task", ".spec.task.name", "Name of the task.", wide=True),
            column("FlowRun", r".metadata.labels.podtask\.dev/flow-run", "Flow run it belongs to.", wide=True),
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        ],
        "schema": {"openAPIV3Schema": _root()},
    }


def column(name: str, path: str, description: str, *, wide: bool = False) -> Schema:
    """A column of `kubectl get`."""
    shown = {"name": name, "type": "string", "jsonPath": path, "description": description}
    return {**shown, "priority": 1} if wide else shown


def _root() -> Schema:
    spec = structural(TaskRunSpec.model_json_schema(by_alias=True))
    status = structural(TypeAdapter(StatusView).json_schema(by_alias=True, mode="validation"))
    _bound_texts(status)
    spec["x-kubernetes-validations"] = _spec_rules(spec)
    spec["properties"]["task"]["x-kubernetes-validations"] = [
        rule(
            "[has(self.source), has(self.entrypoint), has(self.code)].filter(given, given).size() == 1",
            "give exactly one of source, entrypoint and code",
        )
    ]
    payload = rule("has(self.digest) != has(self.inline)", "give exactly one of digest and inline")
    task = spec["properties"]["task"]["properties"]
    for holder in (task["code"], task["bundle"], task["overlay"], spec["properties"]["inputs"]):
        holder["x-kubernetes-validations"] = [payload]
    _one_of(spec["properties"]["onDisruption"])
    list_map(status["properties"]["conditions"], "type")
    list_map(status["properties"]["attempts"], "number")
    status["properties"]["attempts"]["maxItems"] = ATTEMPTS_KEPT
    status["properties"]["attempts"]["items"]["x-kubernetes-validations"] = [
        rule(
            "!has(oldSelf.outcome) || (has(self.outcome) && self.outcome == oldSelf.outcome)",
            "a judged attempt never changes",
        )
    ]
    described = "A TaskRun is one call of a Python task: a pod per attempt, the result in the bucket."
    return resource(described, spec, status, _root_rules())


def resource(description: str, spec: Schema, status: Schema, rules: list[Schema]) -> Schema:
    """The schema of a whole object."""
    return {
        "type": "object",
        "description": description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status,
        },
        "x-kubernetes-validations": rules,
    }


def rule(expression: str, message: str) -> Schema:
    """A CEL rule with the sentence that `kubectl apply` prints."""
    return {"rule": expression, "message": message}


def immutable(kind: str, spec: Schema, mutable: Sequence[str]) -> list[Schema]:
    """Every field is immutable but the few that steer; a plain comparison would miss a field that comes or goes."""
    rules = []
    for name in spec["properties"]:
        if name in mutable:
            continue
        # A map of anything has no type in CEL; its values are compared all the same, and keys that come or go are seen.
        new, old = ("dyn(self)", "dyn(oldSelf)") if _open(spec["properties"][name]) else ("self", "oldSelf")
        same = f"has({new}.{name}) == has({old}.{name}) && (!has({new}.{name}) || {new}.{name} == {old}.{name})"
        rules.append(rule(same, f"spec.{name} is immutable: create a {kind} under another name instead"))
    return rules


def _spec_rules(spec: Schema) -> list[Schema]:
    rules = immutable(KIND, spec, MUTABLE)
    rules.append(rule("!oldSelf.cancel || self.cancel", "spec.cancel is one way: a cancelled run stays cancelled"))
    return rules


def _one_of(node: Schema) -> None:
    """The object and the objects in it say something."""
    given = " || ".join(f"has(self.{name})" for name in node["properties"])
    node["x-kubernetes-validations"] = [rule(given, f"give at least one of {_listed(node['properties'])}")]
    for child in node["properties"].values():
        if "properties" in child:
            _one_of(child)


def _listed(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}"


def _open(node: Schema) -> bool:
    return bool((node.get("additionalProperties") or {}).get("x-kubernetes-preserve-unknown-fields"))


def _root_rules() -> list[Schema]:
    """At the root, because a rule on `status` alone is bypassed by setting status to null."""
    ended = "has(oldSelf.status) && has(oldSelf.status.finishedAt)"
    keep = " && ".join(
        [
            "has(self.status)",
            "has(self.status.finishedAt) && self.status.finishedAt == oldSelf.status.finishedAt",
            "self.status.state == oldSelf.status.state",
            "has(self.status.result) == has(oldSelf.status.result)",
            "(!has(self.status.result) || self.status.result.digest == oldSelf.status.result.digest)",
        ]
    )
    counted = "has(oldSelf.status) && has(oldSelf.status.attemptsTotal)"
    grows = " && ".join(
        [
            "has(self.status) && has(self.status.attemptsTotal)",
            "self.status.attemptsTotal >= oldSelf.status.attemptsTotal",
        ]
    )
    listed = "has(oldSelf.status) && has(oldSelf.status.attempts)"
    stays = " && ".join(
        [
            "has(self.status) && has(self.status.attempts) && has(self.status.attemptsTotal)",
            f"oldSelf.status.attempts.all(old, old.number <= self.status.attemptsTotal - {ATTEMPTS_KEPT}"
            " || self.status.attempts.exists(new, new.number == old.number))",
        ]
    )
    return [
        rule(
            f"self.metadata.name.size() <= {NAME_LIMIT}",
            f"metadata.name may have at most {NAME_LIMIT} characters, because pods are named <name>-<attempt>",
        ),
        rule(f"!({ended}) || ({keep})", "a finished TaskRun never changes its end"),
        rule(f"!({counted}) || ({grows})", "attempts are appended, never removed"),
        rule(f"!({listed}) || ({stays})", "attempts are appended, never removed"),
    ]


def structural(schema: Schema) -> Schema:
    """A JSON Schema of pydantic as a Kubernetes structural schema. Raises `ValueError` for what cannot be one."""
    return _convert(schema, schema.get("$defs", {}), ())


_DROPPED = {"title", "$defs", "additionalProperties", "discriminator", "examples", "default"}
_RENAMED = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}


def _convert(node: Schema, defs: Schema, seen: tuple[str, ...]) -> Schema:
    if "$ref" in node:
        name = node["$ref"].rsplit("/", 1)[-1]
        if name in seen:
            raise ValueError(f"recursive model {name}: a structural schema has no references")
        beside = {key: node[key] for key in ("description", "default") if node.get(key) not in (None, {}, [])}
        return {**_convert(defs[name], defs, (*seen, name)), **beside}
    if node.get("x-kubernetes-int-or-string"):
        described = {"description": node["description"]} if "description" in node else {}
        return {**described, "x-kubernetes-int-or-string": True}
    if "anyOf" in node:
        options = [option for option in node["anyOf"] if option.get("type") != "null"]
        if len(options) != 1:
            raise ValueError(f"a union is not structural: {json.dumps(node)[:200]}")
        merged = {**options[0], **{key: value for key, value in node.items() if key != "anyOf"}}
        return _convert(merged, defs, seen)
    return _plain(node, defs, seen)


def _plain(node: Schema, defs: Schema, seen: tuple[str, ...]) -> Schema:
    out: Schema = {}
    for key, value in node.items():
        if key in _RENAMED:
            out[_RENAMED[key]], out[key] = value, True
        elif key == "const":
            out["enum"] = [value]
        elif key == "properties":
            out[key] = {name: _convert(child, defs, seen) for name, child in value.items()}
        elif key == "items":
            out[key] = _convert(value, defs, seen)
        elif key not in _DROPPED:
            out[key] = value
    more = node.get("additionalProperties")
    if isinstance(more, dict):
        out["additionalProperties"] = _convert(more, defs, seen)
    default = node.get("default")
    if default not in (None, [], {}, ""):
        out["default"] = default
    return out


def _bound_texts(node: Schema) -> None:
    for name, child in node.get("properties", {}).items():
        if child.get("type") == "string" and "enum" not in child and child.get("format") is None:
            child.setdefault("maxLength", STATUS_LIMITS.get(name, 1024))
        _bound_texts(child)
        if "items" in child:
            child["maxItems"] = 1000
            _bound_texts(child["items"])
    for text in (node.get("properties") or {}).values():
        text.pop("default", None)  # a default would appear in every status and cost bytes


def list_map(node: Schema, key: str) -> None:
    """Entries of a list are found by `key`."""
    node["x-kubernetes-list-type"] = "map"
    node["x-kubernetes-list-map-keys"] = [key]


if __name__ == "__main__":
    import yaml

    yaml.safe_dump(crd(), sys.stdout, sort_keys=False, width=120, allow_unicode=True)
