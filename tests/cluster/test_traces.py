"""One trace over three programs: a driver on this machine, the operator, and a pod with spans of the user's own.

The runner image has no OpenTelemetry, as users' own images do. The project of the test therefore fetches the packages
when its module is imported in the pod, which is before the runner looks for them.
"""

from __future__ import annotations

import importlib.metadata
import io
import os
import subprocess
import sys
import tarfile
import textwrap
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.cluster.kit import World, needed
from tests.cluster.operator_process import Operator, without_installed
from tests.cluster.outage import FOREIGN
from tests.support.otlp import receiver

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

PACKAGES = (
    "certifi",
    "charset-normalizer",
    "googleapis-common-protos",
    "idna",
    "opentelemetry-api",
    "opentelemetry-exporter-http-transport",
    "opentelemetry-exporter-otlp-common",
    "opentelemetry-exporter-otlp-proto-common",
    "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry-proto",
    "opentelemetry-sdk",
    "opentelemetry-semantic-conventions",
    "protobuf",
    "requests",
    "typing-extensions",
    "urllib3",
)
MODULE = """
    import importlib, io, os, sys, tarfile, urllib.request

    try:
        trace = importlib.import_module("opentelemetry.trace")
    except ImportError:
        with urllib.request.urlopen(os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] + "/packages.tar", timeout=60) as answer:
            tarfile.open(fileobj=io.BytesIO(answer.read())).extractall("/tmp/packages")
        sys.path.insert(0, "/tmp/packages")
        trace = importlib.import_module("opentelemetry.trace")


    def work():
        with trace.get_tracer("user").start_as_current_span("inside the pod") as span:
            return span.get_span_context().is_valid and os.environ["TRACEPARENT"]
    """
DRIVER = """
    from podtask import flow, task
    from traced import work

    @flow
    def tracing():
        return task(work)().result()

    print(tracing())
    """
TASK = "flow tracing > submit work > task work"
EXPECTED = {
    "flow tracing",
    "flow tracing > submit work",
    TASK,
    f"{TASK} > attempt",
    f"{TASK} > attempt > running",
    f"{TASK} > attempt > inside the pod",
}
"""Beside these, phases that took time: times of the API server and of the kubelet are whole seconds."""


def packages() -> bytes:
    """What a user's image would have installed."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name in PACKAGES:
            for file in importlib.metadata.files(name) or ():
                if ".." not in file.parts and file.suffix != ".pyc":
                    archive.add(str(file.locate()), str(file), recursive=False)
    return content.getvalue()


def test_driver_operator_and_pod_write_one_trace(world: World, tmp_path: Path) -> None:
    if os.environ.get(FOREIGN) == "1":
        pytest.skip("pods of another cluster may not reach a receiver on this machine")
    for name, text in {"traced.py": MODULE, "driver.py": DRIVER}.items():
        (tmp_path / name).write_text(textwrap.dedent(text))
    host = urlsplit(needed("PODTASK_S3_ENDPOINT_URL")).hostname
    assert host is not None
    with receiver(host) as otlp, without_installed():
        otlp.files["/packages.tar"] = packages()
        there = {"OTEL_EXPORTER_OTLP_ENDPOINT": otlp.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
        driver = {"PODTASK_BACKEND": "kubernetes", "PODTASK_NAMESPACE": world.namespace, "PODTASK_PROGRESS": "off"}
        operator = Operator(tmp_path, world.namespace, PODTASK_TASK_OTLP_ENDPOINT=otlp.url, **there)
        try:
            done = subprocess.run(
                [sys.executable, "driver.py"],
                cwd=tmp_path,
                env={**os.environ, **there, **driver, "PODTASK_HOME": str(tmp_path / "home")},
                capture_output=True,
                text=True,
                check=False,
                timeout=300,
            )
            assert done.returncode == 0, done.stderr
            otlp.until(lambda _: set(otlp.tree()) >= EXPECTED)
        finally:
            operator.end()
    services = {span.name: span.service for span in otlp.spans.values()}
    assert services["flow tracing"] == services["submit work"] == "podtask-driver"
    assert services["task work"] == services["attempt"] == "podtask-operator"
    assert services["inside the pod"] == "podtask-task"
    (attempt,) = otlp.named("attempt")
    assert {span.trace for span in otlp.spans.values()} == {attempt.trace}
    assert done.stdout.strip() == f"00-{attempt.trace}-{attempt.id}-01"
    (run,) = world.runs
    assert attempt.attributes["k8s.pod.name"] == f"{run}-1"
    assert attempt.attributes["k8s.namespace.name"] == world.namespace
