"""A CycloneDX bill of materials per image, from its locked requirements: no network, and the same bytes each time."""

from __future__ import annotations

import re
import uuid
from datetime import datetime, timezone
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.dependency import Dependency
from cyclonedx.output.json import JsonV1Dot6
from dev.docs.paths import TOP
from packageurl import PackageURL

_NAMESPACE = uuid.UUID("6b7d6f0e-4b0a-5d8e-9c53-0f3c1a7f4c11")
_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def locked(requirements: Path) -> list[tuple[str, str]]:
    """Name and version of each requirement. Raises `ValueError` for a file without one."""
    found = _REQUIREMENT.findall(requirements.read_text())
    if not found:
        raise ValueError(f"{requirements} locks no requirement")
    return sorted(found)


def text(image: str, version: str, wheel_sha256: str, epoch: int) -> str:
    """The bill of `operator` or `runner`. It has requirements of other platforms and Pythons, as the lock file."""
    bom = Bom(serial_number=uuid.uuid5(_NAMESPACE, f"{image} {version} {wheel_sha256}"))
    bom.metadata.timestamp = datetime.fromtimestamp(epoch, timezone.utc)
    root = _component(f"podtask-{image}", version, ComponentType.CONTAINER)
    bom.metadata.component = root
    package = _component("podtask", version, ComponentType.LIBRARY, pypi=True)
    package.hashes.add(HashType(alg=HashAlgorithm.SHA_256, content=wheel_sha256))
    others = [
        _component(name, number, ComponentType.LIBRARY, pypi=True)
        for name, number in locked(TOP / "requirements" / f"{image}.txt")
    ]
    bom.components.update([package, *others])
    bom.dependencies.add(Dependency(root.bom_ref, [Dependency(each.bom_ref) for each in (package, *others)]))
    bom.dependencies.update(Dependency(each.bom_ref) for each in (package, *others))
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def _component(name: str, version: str, kind: ComponentType, *, pypi: bool = False) -> Component:
    url = PackageURL("pypi", name=name, version=version) if pypi else None
    return Component(name=name, version=version, type=kind, purl=url, bom_ref=str(url or f"{name}@{version}"))
