"""The CustomResourceDefinition of the WarmPool, from `podtask.core.api.warm_pool`, with the scale subresource."""

from __future__ import annotations

import sys

from podtask.core.api.names import (
    CONDITION_PRELOADED,
    CONDITION_READY,
    VERSION,
    WARM_POOL_KIND,
    WARM_POOL_NAME_LIMIT,
    WARM_POOL_PLURAL,
    WARM_POOL_SHORT_NAME,
)
from podtask.core.api.warm_pool import MUTABLE, WarmPoolSpec, WarmPoolStatus
from podtask.core.crd import Schema, column, definition, immutable, list_map, resource, rule, structural


def warm_pool_crd() -> Schema:
    """The CustomResourceDefinition as a plain dict, ready for YAML."""
    return definition(WARM_POOL_KIND, WARM_POOL_PLURAL, WARM_POOL_SHORT_NAME, _version())


def _version() -> Schema:
    reason = f'.status.conditions[?(@.type=="{CONDITION_READY}")].reason'
    preloaded = f'.status.conditions[?(@.type=="{CONDITION_PRELOADED}")].status'
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.size",
                "statusReplicasPath": ".status.ready",
                "labelSelectorPath": ".status.selector",
            },
        },
        "additionalPrinterColumns": [
            _number("Size", ".spec.size", "Idle pods to keep."),
            _number("Ready", ".status.ready", "Pods that wait and can be claimed at once."),
            _number("Claimed", ".status.claimed", "Attempts that the pool has served."),
            _number("Missed", ".status.missed", "Attempts that fitted and found no idle pod."),
            column("Reason", reason, "Why not all pods wait."),
            column("Preloaded", preloaded, "Whether the modules of preload could be imported.", wide=True),
            column("Image", ".spec.image", "Image, where it is not the runner image.", wide=True),
            column("Python", ".spec.python", "Python minor of the runner image.", wide=True),
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        ],
        "schema": {"openAPIV3Schema": _root()},
    }


def _number(name: str, path: str, description: str) -> Schema:
    return {**column(name, path, description), "type": "integer"}


def _root() -> Schema:
    spec = structural(WarmPoolSpec.model_json_schema(by_alias=True))
    status = structural(WarmPoolStatus.model_json_schema(by_alias=True))
    spec["x-kubernetes-validations"] = [
        *immutable(WARM_POOL_KIND, spec, MUTABLE),
        rule("!(has(self.python) && has(self.image))", "give python or image, not both: an image has its own Python"),
        rule(
            r"!has(self.image) || self.image.matches('.+@sha256:[0-9a-f]{64}$')",
            "spec.image must be pinned by a digest (name@sha256:…): idle pods outlive what a tag stands for",
        ),
    ]
    list_map(status["properties"]["conditions"], "type")
    list_map(status["properties"]["pods"], "uid")
    named = rule(
        f"self.metadata.name.size() <= {WARM_POOL_NAME_LIMIT}",
        f"metadata.name may have at most {WARM_POOL_NAME_LIMIT} characters, because pods are named after it",
    )
    return resource(
        "A WarmPool keeps idle pods, each of which serves one attempt of a TaskRun that fits.", spec, status, [named]
    )


if __name__ == "__main__":
    import yaml

    yaml.safe_dump(warm_pool_crd(), sys.stdout, sort_keys=False, width=120, allow_unicode=True)
