"""Answers of API servers as sentences. The bodies are real ones, of Kubernetes 1.35."""

from __future__ import annotations

import json
import pickle

import pytest

from podtask.kube.errors import Asked, Busy, ClusterRefused, refused

CREATE = Asked("create", "taskruns", "team", "greet-0123456789abcdef")
USER = 'taskruns.podtask.dev is forbidden: User "{}" cannot create resource "taskruns" in API group "podtask.dev"'

CASES = {
    "no right, a person": (
        403,
        "Forbidden",
        USER.format("eve@example.com") + ' in the namespace "team"',
        "'eve@example.com' may not create taskruns in namespace 'team'. An administrator can allow it: kubectl create "
        "rolebinding podtask-edit --clusterrole=edit --user=eve@example.com --namespace=team",
    ),
    "no right, a service account": (
        403,
        "Forbidden",
        USER.format("system:serviceaccount:ci:runner") + ' in the namespace "team"',
        "'system:serviceaccount:ci:runner' may not create taskruns in namespace 'team'. An administrator can allow it: "
        "kubectl create rolebinding podtask-edit --clusterrole=edit --serviceaccount=ci:runner --namespace=team",
    ),
    "a quota": (
        403,
        "Forbidden",
        'taskruns.podtask.dev "x" is forbidden: exceeded quota: objects, requested: 1, used: 9, limited: 9',
        "The API server answered 403 Forbidden (create taskruns team/greet-0123456789abcdef): "
        'taskruns.podtask.dev "x" is forbidden: exceeded quota: objects, requested: 1, used: 9, limited: 9',
    ),
    "a namespace on its way out": (
        403,
        "Forbidden",
        "unable to create new content in namespace team because it is being terminated",
        "Namespace 'team' is being deleted; set PODTASK_NAMESPACE to another one.",
    ),
    "no namespace": (
        404,
        "NotFound",
        'namespaces "team" not found',
        "There is no namespace 'team': kubectl create namespace team, or set PODTASK_NAMESPACE.",
    ),
    "no CRD": (
        404,
        "NotFound",
        "the server could not find the requested resource",
        "The cluster does not know TaskRuns: the CRD taskruns.podtask.dev is missing. Install podtask: "
        "helm install podtask charts/podtask --namespace podtask-system --create-namespace",
    ),
    "no credentials": (
        401,
        "Unauthorized",
        "Unauthorized",
        "The API server does not know you (create taskruns team/greet-0123456789abcdef: Unauthorized). "
        "Log in again: kubectl auth whoami.",
    ),
    "a bad value": (
        422,
        "Invalid",
        "spec.tags[0]: Too long: may not be more than 63 bytes",
        "The API server refused TaskRun team/greet-0123456789abcdef: "
        "spec.tags[0]: Too long: may not be more than 63 bytes",
    ),
    "an unknown field": (
        400,
        "BadRequest",
        'strict decoding error: unknown field "spec.resources.cpu"',
        "The API server refused TaskRun team/greet-0123456789abcdef: strict decoding error: unknown field "
        "\"spec.resources.cpu\". Correct the task's option; if it is right, the cluster's CRD is older than this "
        "podtask: helm upgrade podtask charts/podtask.",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_it_says_what_happened_to_which_object_and_what_to_do(case: str) -> None:
    status, reason, message, sentence = CASES[case]
    error = refused(CREATE, status, json.dumps({"kind": "Status", "reason": reason, "message": message}).encode())
    assert str(error) == sentence
    assert (error.status, error.reason, error.message) == (status, reason, message)


def test_later_is_another_kind_of_answer() -> None:
    assert isinstance(refused(CREATE, 503, b'{"reason": "ServiceUnavailable"}'), Busy)
    assert not isinstance(refused(CREATE, 409, b'{"reason": "AlreadyExists"}'), Busy)


@pytest.mark.parametrize("body", [b"<html>Bad Gateway</html>", b"", b"[]", b"null"])
def test_a_proxys_page_is_no_surprise(body: bytes) -> None:
    assert str(refused(CREATE, 502, body)).startswith("The API server answered 502")


def test_it_survives_pickling_as_a_late_submission_needs() -> None:
    error = pickle.loads(pickle.dumps(refused(CREATE, 422, b'{"message": "bad"}')))
    assert (type(error), str(error)) == (ClusterRefused, f"The API server refused TaskRun team/{CREATE.name}: bad")


def test_a_missing_taskrun_is_not_a_missing_crd() -> None:
    body = {"reason": "NotFound", "message": f'taskruns.podtask.dev "{CREATE.name}" not found'}
    assert "CRD" not in str(refused(Asked("get", "taskruns", "team", CREATE.name), 404, json.dumps(body).encode()))
