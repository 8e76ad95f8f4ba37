"""Modules that the image lacks are named before anything is submitted."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from tests.unit.sdk.backends.kubernetes.harness import FakeCluster, run_of

from podtask import Task
from podtask.backends.kubernetes.backend import KubernetesBackend
from podtask.backends.kubernetes.module_check import ImageContents, ModuleMissing
from podtask.core.api.runner_image import MODULES, PUBLISHED
from podtask.payloads.arguments import bind, prepare
from podtask.payloads.module_policy import policy_of

STANDARD = {PUBLISHED: ",".join(MODULES)}


class Asked:
    """What the cluster publishes, and how often it was asked."""

    def __init__(self, data: Mapping[str, str] | None) -> None:
        self.data = data
        self.namespaces: list[str] = []

    def __call__(self, namespace: str) -> Mapping[str, str] | None:
        self.namespaces.append(namespace)
        return self.data if namespace == "podtask-system" else None


def contents(data: Mapping[str, str] | None) -> tuple[ImageContents, Asked]:
    asked = Asked(data)
    return ImageContents("team", asked), asked


def test_what_every_image_has_is_not_asked_for() -> None:
    image, asked = contents(STANDARD)
    image.check("t", {"json", "_thread", "podtask.states", "pydantic.main", "builtins", "__main__"}, {"os.path"}, ())
    assert asked.namespaces == []


def test_a_missing_module_is_named_with_its_cures() -> None:
    image, asked = contents(STANDARD)
    for _ in range(2):
        with pytest.raises(ModuleMissing) as caught:
            image.check("load", {"numpy._core.multiarray", "numpy", "torch"}, (), ())
    for part in ("'load'", "'numpy', 'torch'", "image=", "include=['numpy', 'torch']", "exclude=", "runner.modules"):
        assert part in str(caught.value)
    assert asked.namespaces == ["podtask-system", "team"], "asked once"


@pytest.mark.parametrize(
    ("data", "there"),
    [
        pytest.param({PUBLISHED: "numpy, torch"}, (), id="the cluster's images have it"),
        pytest.param(STANDARD, ("numpy",), id="the user says that the image has it"),
    ],
)
def test_what_is_there_passes(data: dict[str, str], there: tuple[str, ...]) -> None:
    contents(data)[0].check("t", {"numpy.linalg"}, (), there)


def test_an_import_inside_of_a_function_may_be_prepared_for_its_absence(caplog: pytest.LogCaptureFixture) -> None:
    image, _ = contents(STANDARD)
    with caplog.at_level(logging.WARNING, "podtask.backends"):
        image.check("t", (), {"ujson"}, ())
        image.check("t", (), {"ujson"}, ())
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "Task 't' needs the module 'ujson', and the cluster's runner image does not have it"
    ]


@pytest.mark.parametrize("data", [None, {}, {PUBLISHED: ""}], ids=["no ConfigMap", "an older chart", "nobody knows"])
def test_where_nobody_knows_it_is_a_warning(data: dict[str, str] | None, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "podtask.backends"):
        contents(data)[0].check("t", {"numpy"}, (), ())
    assert "yours may" in caplog.text


def size(array: Any) -> int:
    return len(array)


def spread(count: int) -> float:
    return float(np.std(np.arange(count)))


class TestBackend:
    def submit(self, backend: KubernetesBackend, task: Task[..., Any], *args: Any) -> None:
        run = run_of(task, *args, backend=backend)
        run.inputs = prepare(task.name, bind(task.signature, args, {}), lambda _: None, policy_of(task).packing())
        backend.submit(run)

    @pytest.mark.parametrize(
        ("task", "argument"),
        [pytest.param(Task(size), np.arange(3), id="of an argument"), pytest.param(Task(spread), 3, id="of the code")],
    )
    def test_the_module(
        self, backend: KubernetesBackend, cluster: FakeCluster, task: Task[..., Any], argument: Any
    ) -> None:
        cluster.published["podtask-system"] = STANDARD
        with pytest.raises(ModuleMissing, match="'numpy'"):
            self.submit(backend, task, argument)
        assert cluster.posted == []
        self.submit(backend, task.with_options(image="with-numpy:1"), argument)
        assert len(cluster.posted) == 1
