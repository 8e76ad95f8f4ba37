"""`make verify-dist`, `python -m dev.release.verify FOLDER`: tries exactly the files of a release.

What needs no cluster: digests, the wheel in a fresh environment with the locked requirements, both local backends, the
chart. pip may read its index for the locked requirements, or $PIP_FIND_LINKS with PIP_NO_INDEX=1.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tarfile
import tempfile
import venv
from collections.abc import Callable
from pathlib import Path

import yaml
from dev.docs.paths import TOP
from dev.release import krew, manifests
from dev.release.__main__ import SUMS
from dev.release.tools import CHART, Failed, helm, run
from dev.release.version import version

from podtask.core.crd import crd
from podtask.core.crd_flow_run import flow_run_crd
from podtask.core.crd_warm_pool import warm_pool_crd

CRDS = (crd(), flow_run_crd(), warm_pool_crd())
SAID = "['hello ada', 'hello alan']\n"


def sums(folder: Path) -> None:
    """SHA256SUMS names every file, with its digest."""
    listed = dict(reversed(line.split("  ", 1)) for line in (folder / SUMS).read_text().splitlines())
    there = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.name != SUMS}
    for name in sorted({*listed, *there}):
        if listed.get(name) != there.get(name):
            raise Failed(
                f"{name}: {SUMS} says {listed.get(name, 'nothing')}, the file has {there.get(name, 'no bytes')}"
            )


def wheel(folder: Path) -> None:
    """A fresh environment with the locked requirements and this wheel runs a flow on both local backends."""
    (archive,) = folder.glob("*.whl")
    with tempfile.TemporaryDirectory() as work:
        python = Path(work) / "venv" / "bin" / "python"
        venv.create(python.parents[1], with_pip=True)
        pip = (python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
        run(*pip, "--require-hashes", "-r", TOP / "requirements" / "runner.txt")
        run(*pip, "--no-deps", "--no-index", archive)
        run(python, "-m", "pip", "check")
        shutil.copy(TOP / "examples" / "hello.py", work)
        bare = {"PATH": os.defpath, "HOME": work, "LANG": "C.UTF-8", "PODTASK_PROGRESS": "off"}
        where = "import podtask; print(podtask.__version__, podtask.__file__)"
        number, _, file = run(python, "-I", "-c", where, folder=Path(work), env=bare).strip().partition(" ")
        if number != version() or not Path(file).resolve().is_relative_to(Path(work).resolve()):
            raise Failed(f"the environment has podtask {number} of {file}, not {version()} of {archive.name}")
        for backend in ("local", "process"):
            printed = run(python, "hello.py", folder=Path(work), env={**bare, "PODTASK_BACKEND": backend})
            if printed != SAID:
                raise Failed(f"examples/hello.py on {backend} prints {printed!r}, not {SAID!r}")


def chart(folder: Path) -> None:
    """The packaged chart passes lint and renders as the one of the repository."""
    archive = folder / f"podtask-{version()}.tgz"
    for values in sorted((CHART / "ci").glob("*-values.yaml")):
        run(helm(), "lint", "--strict", archive, "--values", values)
        rendered = [
            run(helm(), "template", "podtask", source, "--namespace", manifests.NAMESPACE, "--values", values)
            for source in (archive, CHART)
        ]
        if rendered[0] != rendered[1]:
            raise Failed(f"{archive.name} renders {values.name} otherwise than charts/podtask does")


def documents(folder: Path) -> None:
    """crds.yaml is the CRDs of this code; install.yaml has CRDs and operator, of this version."""
    written = {
        each["metadata"]["name"]: each for each in yaml.safe_load_all((folder / "crds.yaml").read_text()) if each
    }
    if written != {each["metadata"]["name"]: each for each in CRDS}:
        raise Failed("crds.yaml is not the CRDs of podtask.core (crd*.py): run 'make generate', then 'make dist'")
    objects = [each for each in yaml.safe_load_all((folder / "install.yaml").read_text()) if each]
    definitions = {
        each["metadata"]["name"]: each["spec"] for each in objects if each["kind"] == "CustomResourceDefinition"
    }
    (operator,) = [each for each in objects if each["kind"] == "Deployment"]
    if definitions != {each["metadata"]["name"]: each["spec"] for each in CRDS}:
        raise Failed("the CRDs in install.yaml are not those of podtask.core (crd*.py)")
    image = operator["spec"]["template"]["spec"]["containers"][0]["image"]
    if image != f"podtask/operator:{version()}":
        raise Failed(f"install.yaml runs {image}, not podtask/operator:{version()}")


def bills(folder: Path) -> None:
    """Each bill of materials names every locked requirement of its image."""
    for image in ("operator", "runner"):
        bill = json.loads((folder / f"podtask-{image}.cdx.json").read_text())
        named = {f"{each['name']}=={each['version']}" for each in bill["components"]}
        lines = (TOP / "requirements" / f"{image}.txt").read_text().splitlines()
        locked = {line.split()[0].rstrip(";") for line in lines if line[:1].isalnum()}
        if absent := locked - named:
            raise Failed(f"podtask-{image}.cdx.json lacks {', '.join(sorted(absent))}")


def plugin(folder: Path) -> None:
    """The krew manifest names the archive by its digest, and the archive has what the manifest takes out of it."""
    (platform,) = yaml.safe_load((folder / krew.MANIFEST).read_text())["spec"]["platforms"]
    archive = folder / krew.ARCHIVE
    if platform["sha256"] != hashlib.sha256(archive.read_bytes()).hexdigest():
        raise Failed(f"{krew.MANIFEST} has another digest than {krew.ARCHIVE}")
    with tarfile.open(archive) as tar:
        absent = {each["from"] for each in platform["files"]} - set(tar.getnames())
    if absent:
        raise Failed(f"{krew.ARCHIVE} lacks {', '.join(sorted(absent))}")


CHECKS: tuple[Callable[[Path], None], ...] = (sums, documents, bills, plugin, chart, wheel)


def main(arguments: list[str]) -> int:
    """Exit code 0: every check holds."""
    folder = Path(arguments[0] if arguments else "dist").resolve()
    if not (folder / SUMS).exists():
        print(f"dev.release.verify: {folder} holds no release: run 'make dist'", file=sys.stderr)
        return 2
    failed = False
    for check in CHECKS:
        try:
            check(folder)
        except (Failed, ValueError, OSError) as error:
            failed = True
            print(f"FAILED  {check.__doc__}\n        {error}", file=sys.stderr)
        else:
            print(f"ok      {check.__doc__}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
