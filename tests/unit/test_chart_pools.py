"""WarmPools by the chart's values: none by default, else what the CRD takes, made after the CRD."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from tests.unit.chart_kit import CHART, MINIMAL, Render, template_notes

from podtask.core.api.warm_pool import PRELOAD_LIMIT, SIZE_LIMIT, WarmPoolSpec


def pools(values: dict[str, Any]) -> list[dict[str, Any]]:
    return Render({**MINIMAL, **values}).all("WarmPool")


def test_there_is_none_by_default() -> None:
    assert pools({}) == []
    assert "pods wait" not in template_notes(MINIMAL)


def test_each_namespace_gets_one_after_the_crd() -> None:
    made = pools({"warmPool": {"namespaces": ["team-a", "team-b", "team-a"]}})
    assert [(each["metadata"]["namespace"], each["metadata"]["name"]) for each in made] == [
        ("team-a", "default"),
        ("team-b", "default"),
    ]
    for each in made:
        assert each["spec"] == {"size": 2}
        hooks = each["metadata"]["annotations"]
        assert hooks["helm.sh/hook"] == "post-install,post-upgrade"
        assert hooks["helm.sh/hook-delete-policy"] == "before-hook-creation", "the spec of a pool never changes"


@pytest.mark.parametrize(
    "given",
    [
        {"size": 0},
        {"size": SIZE_LIMIT, "python": "3.12"},
        {"resources": {"requests": {"cpu": "500m"}, "limits": {"memory": "1Gi"}}, "preload": ["numpy", "pandas.api"]},
    ],
    ids=str,
)
def test_what_is_given_is_what_the_pool_says(given: dict[str, Any]) -> None:
    (made,) = pools({"warmPool": {"namespaces": ["team-a"], **given}})
    assert made["spec"] == {"size": 2, **given}
    assert WarmPoolSpec.model_validate(made["spec"]).preload == given.get("preload", [])


def test_the_schema_of_the_values_has_the_bounds_of_the_crd() -> None:
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())["properties"]["warmPool"]["properties"]
    ours = WarmPoolSpec.model_json_schema(by_alias=True)["properties"]
    assert schema["size"]["maximum"] == SIZE_LIMIT
    assert schema["preload"]["maxItems"] == PRELOAD_LIMIT
    assert schema["preload"]["items"]["pattern"] == ours["preload"]["items"]["pattern"]


def test_the_notes_say_what_they_need_and_how_to_look() -> None:
    said = template_notes({**MINIMAL, "warmPool": {"namespaces": ["team-a", "team-b"], "size": 3}})
    assert "3 pods wait for attempts in each of: team-a, team-b. They need quota for 3 pods more" in said
    assert "kubectl get pwp default -n team-a" in said
