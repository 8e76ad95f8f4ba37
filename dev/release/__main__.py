"""`python -m dev.release FOLDER [--images]`: every file of a release. `make dist`.

The same bytes from the same commit, but for the images: their layers hold the times of their build.

    podtask-V-py3-none-any.whl, podtask-V.tar.gz   wheel and sdist          dev/release/packages.py
    podtask-V.tgz, crds.yaml, install.yaml         chart, CRD, all in one   dev/release/manifests.py
    podtask-{operator,runner}.cdx.json             bills of materials       dev/release/sbom.py
    podtask-{operator,runner}-V….oci.tar           images, by --images      dev/release/images.py
    kubectl-podtask.tar.gz, krew-podtask.yaml      kubectl plugin           dev/release/krew.py
    RELEASE-NOTES.md, SHA256SUMS                   from the changelog; of all the others

SOURCE_DATE_EPOCH is the time in the archives (default: that of the commit), RELEASE_URL the address they will have.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path

from dev.release import images, krew, manifests, packages, sbom
from dev.release.tools import Failed, run
from dev.release.version import CHANGELOG, notes, version

SUMS = "SHA256SUMS"
URL = "https://example.org/podtask/v{version}"
"""Stands in the krew manifest where RELEASE_URL names no other address."""


def build(folder: Path, epoch: int, url: str | None = None, *, with_images: bool = False) -> None:
    """Build all of them into the folder, which is made anew. Raises `Failed`, `ValueError`."""
    number = version()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    packages.build(folder, epoch)
    manifests.package(folder, epoch)
    (wheel,) = folder.glob("*.whl")
    plugin = krew.archive(number, epoch)
    (folder / krew.ARCHIVE).write_bytes(plugin)
    texts = {
        "crds.yaml": manifests.crds(),
        "install.yaml": manifests.install(number),
        krew.MANIFEST: krew.manifest(number, url or URL.format(version=number), hashlib.sha256(plugin).hexdigest()),
        "RELEASE-NOTES.md": notes(CHANGELOG.read_text(), number),
        **{
            f"podtask-{image}.cdx.json": sbom.text(image, number, sha256(wheel), epoch)
            for image in ("operator", "runner")
        },
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    if with_images:
        images.export(folder, number)
    (folder / SUMS).write_text("".join(f"{sha256(path)}  {path.name}\n" for path in sorted(folder.iterdir())))


def sha256(path: Path) -> str:
    """As sha256sum prints it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def epoch_of_commit() -> int:
    """SOURCE_DATE_EPOCH, else the time of the commit. Raises `Failed` where neither is there."""
    if seconds := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(seconds)
    try:
        return int(run("git", "log", "-1", "--format=%ct"))
    except (Failed, OSError) as error:
        raise Failed("no commit names a time here: set SOURCE_DATE_EPOCH to seconds since 1970") from error


def main(arguments: list[str]) -> int:
    """Exit code 0: all files are there."""
    places = [argument for argument in arguments if argument != "--images"]
    folder = Path(places[0] if places else "dist").resolve()
    try:
        build(folder, epoch_of_commit(), os.environ.get("RELEASE_URL"), with_images="--images" in arguments)
    except (Failed, ValueError) as error:
        print(f"dev.release: {error}", file=sys.stderr)
        return 1
    for path in sorted(folder.iterdir()):
        print(f"{path.stat().st_size:>10}  {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
