"""What the chart grants: to the operator, to people, to `helm test`; and nothing more."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.chart_kit import EXAMPLES, LEASE_RULES, MINIMAL, OPERATOR_RULES, Render, bound_to, example, rules

from podtask import __version__
from podtask.core.api import names
from podtask_operator import settings
from podtask_operator.process import leader_election as lease
from podtask_operator.process.wiring import release_of
from podtask_operator.settings import Settings

WATCHED: dict[str, list[str]] = {"cluster": [], "namespaced": ["team-a", "team-b"]}


def test_the_operator_may_do_what_the_design_lists_and_nothing_more() -> None:
    held = bound_to(example("cluster"), "podtask")
    assert {name: rules(role) for name, role in held.items()} == {
        "ClusterRole//podtask": OPERATOR_RULES,
        "Role/podtask-system/podtask-lease": LEASE_RULES,
    }


def test_only_the_creation_of_a_lease_is_not_narrowed_to_its_name() -> None:
    lease = example("cluster").one("Role", "podtask-lease")
    assert [(rule["verbs"], rule.get("resourceNames")) for rule in lease["rules"]] == [
        (["create"], None),
        (["get", "update"], ["podtask-operator"]),
        (["get"], ["podtask-system"]),  # its own namespace
    ]


@pytest.mark.parametrize(("name", "kind"), [("cluster", "ClusterRole"), ("namespaced", "Role")])
def test_of_leases_in_served_namespaces_only_the_owners_mark_may_be_read_and_changed(name: str, kind: str) -> None:
    for role in example(name).all(kind):
        if role["metadata"]["name"] == "podtask":
            leases = [rule for rule in role["rules"] if rule["resources"] == ["leases"]]
            assert [(rule["verbs"], rule.get("resourceNames")) for rule in leases] == [
                (["create"], None),
                (["get", "update"], [names.OWNER_LEASE]),
            ]
            break
    else:
        pytest.fail(f"there is no {kind} podtask")


@pytest.mark.parametrize("watched", [[], ["team-a"], ["team-b", "team-a"], ["team-a", "team-b"]])
def test_the_lease_that_may_be_written_is_the_one_that_the_operator_wants(watched: list[str]) -> None:
    render = Render({**MINIMAL, "watchNamespaces": watched})
    narrowed = render.one("Role", "podtask-lease")["rules"][1]["resourceNames"]
    assert narrowed == [lease.name_of(watched)]
    assert render.environment()[settings.LEASE_NAMESPACE] == "podtask-system"
    assert render.environment()[settings.IDENTITY] == {"fieldRef": {"fieldPath": "metadata.name"}}


def test_watched_namespaces_get_a_role_each_and_nothing_is_cluster_wide() -> None:
    render = example("namespaced")
    assert render.all("ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition") == []
    held = bound_to(render, "tasks-operator")
    assert {name: rules(role) for name, role in held.items()} == {
        "Role/team-a/podtask": OPERATOR_RULES,
        "Role/team-b/podtask": OPERATOR_RULES,
        "Role/podtask-system/podtask-lease": LEASE_RULES,
    }
    assert render.environment()[settings.WATCH_NAMESPACES] == "team-a,team-b"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_no_role_has_a_wildcard_or_reads_secrets(path: Path) -> None:
    roles = example(path.stem.removesuffix("-values")).all("Role", "ClusterRole")
    assert roles
    for role in roles:
        for rule in role["rules"]:
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            assert "nonResourceURLs" not in rule
            assert not ({"secrets"} & set(rule["resources"]) and {"get", "list", "watch"} & set(rule["verbs"]))


def test_people_with_view_read_and_people_with_edit_change_what_is_podtasks() -> None:
    render = example("cluster")
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    found = {}
    for role in render.all("ClusterRole"):
        to = {label.removeprefix(prefix) for label in role["metadata"]["labels"] if label.startswith(prefix)}
        if to:
            found[role["metadata"]["name"]] = (to, rules(role))
    reads = {"get", "list", "watch"}
    changes = {"create", "update", "patch", "delete", "deletecollection"}
    assert found == {
        "podtask-view": (
            {"view", "edit", "admin"},
            {_of("taskruns"): reads, _of("flowruns"): reads, _of("warmpools"): reads},
        ),
        "podtask-edit": (
            {"edit", "admin"},
            {
                _of("taskruns"): changes,
                _of("flowruns"): changes,
                _of("warmpools"): changes,
                _of("warmpools/scale"): {"get", "update", "patch"},
                _of("flowruns/status"): {"patch"},
            },
        ),
    }


def _of(resource: str) -> tuple[str, str]:
    return "podtask.dev", resource


@pytest.mark.parametrize(
    ("watched", "asked", "rendered"),
    [([], None, True), ([], False, False), (["team-a"], None, False), (["team-a"], True, True)],
)
def test_roles_for_people_come_with_an_installation_for_all_namespaces(watched, asked, rendered) -> None:
    render = Render({**MINIMAL, "watchNamespaces": watched, "rbac": {"aggregateRoles": asked}})
    assert bool([role for role in render.all("ClusterRole") if role["metadata"]["name"] == "podtask-view"]) == rendered


def test_without_rbac_only_the_test_brings_a_role() -> None:
    render = Render({**MINIMAL, "rbac": {"create": False}})
    kinds = ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
    assert {each["metadata"]["name"] for each in render.all(*kinds)} == {"podtask-test"}


def test_the_smoke_test_may_only_touch_taskruns_of_a_served_namespace() -> None:
    for name, namespace in (("cluster", "podtask-system"), ("namespaced", "team-a")):
        held = bound_to(example(name), "podtask-test")
        assert {key: rules(role) for key, role in held.items()} == {
            f"Role/{namespace}/podtask-test": {
                ("podtask.dev", "taskruns"): {"create", "get", "list", "watch", "delete"},
                ("coordination.k8s.io", "leases"): {"get"},  # the owner's mark
            }
        }
        (pod,) = example(name).all("Pod")
        told = Settings(store="s3://b/p", lease_namespace="podtask-system", namespaces=tuple(WATCHED[name]))
        assert pod["spec"]["containers"][0]["args"] == [
            f"--namespace={namespace}",
            "--timeout-seconds=240",
            f"--owner={release_of(told)}",
        ]
        published = example(name).one("ConfigMap", "podtask-client", "podtask-system")["data"]
        assert published["owner"] == release_of(told)


def test_everything_of_the_smoke_test_is_a_hook() -> None:
    of_the_test = [
        each["metadata"] for each in example("cluster").objects if each["metadata"]["name"] == "podtask-test"
    ]
    assert len(of_the_test) > 2
    for metadata in of_the_test:
        assert metadata["annotations"]["helm.sh/hook"] == "test"
        assert "hook-succeeded" in metadata["annotations"]["helm.sh/hook-delete-policy"]


def test_drivers_handle_taskruns_and_flowruns_of_their_namespace_and_nothing_else() -> None:
    render = Render({**MINIMAL, "driver": {"enabled": True, "namespaces": ["team-a"]}})
    held = bound_to(render, names.DRIVER_ACCOUNT)
    verbs = {"create", "get", "list", "watch", "patch"}
    assert {name: rules(role) for name, role in held.items()} == {
        "Role/team-a/podtask-driver": {
            _of("taskruns"): verbs,
            _of("flowruns"): verbs,
            _of("flowruns/status"): {"patch"},
        }
    }
    assert render.one("ServiceAccount", names.DRIVER_ACCOUNT)["automountServiceAccountToken"] is False
    assert render.environment()[settings.DRIVER_ACCOUNT] == names.DRIVER_ACCOUNT
    assert render.one("ConfigMap", names.CLIENT_CONFIG_MAP)["data"]["driverImage"] == f"podtask/operator:{__version__}"


def test_without_drivers_there_is_no_account_and_no_token() -> None:
    render = Render(MINIMAL)
    assert names.DRIVER_ACCOUNT not in {one["metadata"]["name"] for one in render.all("ServiceAccount", "Role")}
    assert render.environment()[settings.DRIVER_ACCOUNT] == ""
    assert "driverImage" not in render.one("ConfigMap", names.CLIENT_CONFIG_MAP)["data"]
