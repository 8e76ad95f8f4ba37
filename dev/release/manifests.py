"""What is applied to a cluster: the packaged chart, the CRD alone, and one file for people without Helm."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from dev.docs.paths import TOP
from dev.release.tools import CHART, helm, run

NAMESPACE = "podtask-system"
INSTALL_VALUES = {
    "store.bucket": "my-bucket",
    "store.endpoint": "https://s3.example.com",
    "store.region": "us-east-1",
    "store.existingSecret": "podtask-store",
}
"""All other values are the chart's defaults."""

INSTALL_HEAD = """\
# podtask {version} for people without Helm, made by 'helm template' with the chart's defaults. Before you apply it:
#   sed -i 's|my-bucket|NAME|; s|https://s3.example.com|ADDRESS|; s|us-east-1|REGION|' install.yaml
#   kubectl create namespace {namespace}
#   kubectl --namespace {namespace} create secret generic podtask-store \\
#     --from-literal=AWS_ACCESS_KEY_ID=... --from-literal=AWS_SECRET_ACCESS_KEY=...
# Then:
#   kubectl apply --server-side -f install.yaml
# The address of Amazon S3 is https://s3.REGION.amazonaws.com.
"""


def package(folder: Path, epoch: int) -> None:
    """The chart as .tgz. Helm takes the times of the files into the archive, so a copy gets one time."""
    with tempfile.TemporaryDirectory() as work:
        copy = Path(work) / CHART.name
        shutil.copytree(CHART, copy)
        for path in copy.rglob("*"):
            os.utime(path, (epoch, epoch))
        run(helm(), "package", copy, "--destination", folder)


def crds() -> str:
    """Every CRD, as documents of one file."""
    return "---\n".join(path.read_text() for path in sorted((TOP / "crds").glob("*.yaml")))


def install(version: str) -> str:
    """The whole installation as one file."""
    settings = [part for name, value in INSTALL_VALUES.items() for part in ("--set", f"{name}={value}")]
    text = run(helm(), "template", "podtask", CHART, "--namespace", NAMESPACE, "--skip-tests", *settings)
    return INSTALL_HEAD.format(version=version, namespace=NAMESPACE) + text
