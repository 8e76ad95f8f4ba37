"""`python -m dev.release.installed FOLDER [PREVIOUS]`: a release on a cluster without podtask, from its files alone.

Images, chart, `helm test`, the examples by the wheel in a fresh environment, the upgrade from the files of an earlier
release with task runs under way, and the removal. The cluster is that of KUBECONFIG, the bucket from PODTASK_STORE,
PODTASK_S3_ENDPOINT_URL and AWS_*: `eval "$(dev/cluster env)"`. Started by `make verify-dist`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from dev.docs.paths import TOP
from dev.release import images
from dev.release.manifests import NAMESPACE
from dev.release.tools import Failed, helm, run

RELEASE = "podtask"
TEAM = "release-team"
MANIFESTS = ("hello.yaml", "pipeline.yaml", "pod_template.yaml")
UNDER_WAY = "under-way"
BEFORE = "before"
SLOW = "import time\n\ndef main():\n    time.sleep({seconds})\n    return 'undisturbed'\n"


class Installation:
    """One release after the other on one cluster. Each step raises `Failed`."""

    def __init__(self, folder: Path, previous: Path | None, work: Path) -> None:
        self.folder = folder
        self.previous = previous
        self.work = work
        self.python = work / "venv" / "bin" / "python"

    def empty(self) -> None:
        """The cluster has no podtask."""
        if kubectl("get", "customresourcedefinitions", "--output=name").count(".podtask.dev"):
            raise Failed("the cluster has podtask already: a release is tried on a fresh one (dev/cluster down)")
        kubectl("create", "namespace", TEAM)

    def archives(self) -> None:
        """The images load from their archives."""
        for folder in filter(None, (self.previous, self.folder)):
            images.load(folder, version_of(folder))

    def install_previous(self) -> None:
        """The earlier release installs, completes one task run, and has another one under way."""
        assert self.previous is not None
        install(self.previous)
        apply(task_run(BEFORE, SLOW.format(seconds=0)), task_run(UNDER_WAY, SLOW.format(seconds=45), retries=1))
        finished(BEFORE)
        kubectl("wait", f"ptr/{UNDER_WAY}", "--for=jsonpath={.status.state}=Running", "--timeout=60s", where=TEAM)

    def install(self) -> None:
        """The chart installs, or upgrades the earlier release."""
        install(self.folder)
        printed = kubectl("get", "deployments", "--output=jsonpath={..image}", where=NAMESPACE)
        if f"podtask/operator:{version_of(self.folder)}" not in printed:
            raise Failed(f"the cluster runs {printed}, not the operator of {self.folder}")

    def upgraded(self) -> None:
        """What was under way completes in the pod it had, and what had ended is as it was."""
        run_ = finished(UNDER_WAY)
        if run_["status"]["attemptsTotal"] != 1 or run_["status"]["result"]["value"] != '"undisturbed"':
            raise Failed(f"the task run under way was disturbed: {json.dumps(run_['status'])}")
        finished(BEFORE)

    def helm_test(self) -> None:
        """`helm test` passes."""
        run(helm(), "test", RELEASE, "--namespace", NAMESPACE, "--logs", "--timeout", "180s")

    def wheel(self) -> None:
        """The wheel installs into a fresh environment, with the locked requirements."""
        (archive,) = self.folder.glob("*.whl")
        venv.create(self.python.parents[1], with_pip=True)
        pip = (self.python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
        run(*pip, "--require-hashes", "-r", TOP / "requirements" / "operator.txt")
        run(*pip, "--no-deps", "--no-index", archive)

    def doctor(self) -> None:
        """`podtask doctor` finds nothing to mend."""
        run(self.python, "-m", "podtask.cli", "doctor", folder=self.work, env=self.driver())

    def scripts(self) -> None:
        """Every script of examples/ ends well on the cluster."""
        for script in sorted((TOP / "examples").glob("*.py")):
            run(self.python, script, folder=self.work, env=self.driver())

    def manifests(self) -> None:
        """Every manifest of examples/ completes, and install.yaml is accepted."""
        for name in MANIFESTS:
            path = TOP / "examples" / name
            kubectl("apply", "--validate=strict", "-f", str(path), where=TEAM)
            for document in yaml.safe_load_all(path.read_text()):
                finished(document["metadata"]["name"])
        kubectl(
            "apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", str(self.folder / "install.yaml")
        )

    def uninstall(self) -> None:
        """`helm uninstall` leaves the task runs, and after the CRDs are deleted nothing is left."""
        run(helm(), "uninstall", RELEASE, "--namespace", NAMESPACE, "--wait", "--timeout", "120s")
        kubectl("get", "ptr", "hello", where=TEAM)
        kubectl("delete", "-f", str(self.folder / "crds.yaml"), "--timeout=120s")
        kubectl("delete", "namespace", TEAM, NAMESPACE, "--timeout=180s")
        kinds = "clusterroles,clusterrolebindings,customresourcedefinitions"
        left = kubectl("get", kinds, "-l", "app.kubernetes.io/part-of=podtask", "--output=name")
        if left.strip():
            raise Failed(f"the cluster still has {left.split()}")

    def driver(self) -> dict[str, str]:
        """The settings of a person without credentials of the bucket."""
        bare = {name: os.environ[name] for name in ("KUBECONFIG", "PATH") if name in os.environ}
        return {
            **bare,
            "HOME": str(self.work),
            "LANG": "C.UTF-8",
            "PODTASK_BACKEND": "kubernetes",
            "PODTASK_NAMESPACE": TEAM,
            "PODTASK_PROGRESS": "off",
        }

    def steps(self) -> list[Callable[[], None]]:
        """In their order."""
        earlier = [self.install_previous, self.install, self.upgraded] if self.previous else [self.install]
        tried = [self.helm_test, self.wheel, self.doctor, self.scripts, self.manifests, self.uninstall]
        return [self.empty, self.archives, *earlier, *tried]


def version_of(folder: Path) -> str:
    """Of the release in the folder, by its wheel."""
    (archive,) = folder.glob("*.whl")
    return archive.name.split("-")[1]


def install(folder: Path) -> None:
    """Install or upgrade the chart of the folder. Raises `Failed`."""
    bucket, _, prefix = os.environ["PODTASK_STORE"].removeprefix("s3://").partition("/")
    store = {
        "bucket": bucket,
        "prefix": f"{prefix}/release".lstrip("/"),
        "endpoint": os.environ.get("PODTASK_S3_ENDPOINT_URL", ""),
        "accessKeyId": os.environ["AWS_ACCESS_KEY_ID"],
        "secretAccessKey": os.environ["AWS_SECRET_ACCESS_KEY"],
    }
    archive = folder / f"podtask-{version_of(folder)}.tgz"
    with tempfile.NamedTemporaryFile("w", suffix=".json") as values:
        json.dump({"store": store}, values)
        values.flush()
        where = ("--namespace", NAMESPACE, "--create-namespace", "--wait", "--timeout", "180s")
        run(helm(), "upgrade", "--install", RELEASE, archive, *where, "--values", values.name)


def kubectl(*arguments: str, where: str | None = None) -> str:
    """What kubectl prints. Raises `Failed`."""
    return run("kubectl", *(["--namespace", where] if where else []), *arguments)


def task_run(name: str, source: str, **spec: Any) -> dict[str, Any]:
    """A TaskRun with inline source."""
    return {
        "apiVersion": "podtask.dev/v1alpha1",
        "kind": "TaskRun",
        "metadata": {"name": name},
        "spec": {"task": {"source": source}, **spec},
    }


def apply(*objects: dict[str, Any]) -> None:
    """`kubectl apply` them. Raises `Failed`."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump_all(objects, file)
        file.flush()
        kubectl("apply", "--validate=strict", "-f", file.name, where=TEAM)


def finished(name: str) -> dict[str, Any]:
    """The TaskRun once it has ended. Raises `Failed` unless it was Completed."""
    kubectl("wait", "--for=condition=Finished", f"ptr/{name}", "--timeout=180s", where=TEAM)
    found: dict[str, Any] = json.loads(kubectl("get", "ptr", name, "--output=json", where=TEAM))
    if found["status"]["state"] not in ("Completed", "Cached"):
        raise Failed(f"ptr/{name} ended as {found['status']['state']}: {json.dumps(found['status'])}")
    return found


def main(arguments: list[str]) -> int:
    """Exit code 0: every step holds. The first one that fails is the last."""
    folder = Path(arguments[0]).resolve()
    previous = Path(arguments[1]).resolve() if arguments[1:] and arguments[1] else None
    if previous is None:
        print("-- no earlier release is given (PREVIOUS=FOLDER): the upgrade is not tried")
    with tempfile.TemporaryDirectory() as work:
        for step in Installation(folder, previous, Path(work)).steps():
            began = time.monotonic()
            try:
                step()
            except (Failed, OSError) as error:
                print(f"FAILED  {step.__doc__}\n        {error}", file=sys.stderr)
                return 1
            print(f"ok      {time.monotonic() - began:5.0f} s  {step.__doc__}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
