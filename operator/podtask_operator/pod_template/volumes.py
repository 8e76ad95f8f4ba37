"""Volumes, mounts and envFrom of a podTemplate: what Pod Security `restricted` allows, and nothing of ours.

Asked by: `template`. The types are those of `restricted`; hostPath and the like are not among them.
Mount paths are compared after normalisation: a check of the text as written was a CVE elsewhere.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from typing import Any, Final

from podtask_operator.pod_template.checks import ROOT, NotAllowed, listed, member, text

OURS: Final = "podtask-"
"""Start of the names of our own volumes."""
TYPES: Final = (
    "emptyDir",
    "configMap",
    "secret",
    "persistentVolumeClaim",
    "ephemeral",
    "projected",
    "downwardAPI",
    "csi",
)
PROJECTED: Final = ("configMap", "secret", "downwardAPI", "clusterTrustBundle")
"""Sources of a projected volume: no serviceAccountToken and no podCertificate, because pods have no API rights."""
RESERVED: Final = ("/podtask", "/tmp", "/dev", "/proc", "/sys")  # noqa: S108 - paths inside the pod
"""Ours (grants; HOME and TMPDIR), and the runtime's."""
SHARED_MEMORY: Final = "/dev/shm"  # noqa: S108
"""The one exception: its 64 MiB are too few for data loaders, and an emptyDir of medium Memory is the usual cure."""


def volumes(path: str, value: Any) -> tuple[Mapping[str, Any], ...]:
    """`volumes`: a name and exactly one allowed source each."""
    return tuple(_volume(f"{path}[{index}]", entry) for index, entry in enumerate(listed(path, value)))


def _volume(path: str, value: Any) -> Mapping[str, Any]:
    volume = member(path, value, ("name", *TYPES))
    name = text(f"{path}.name", volume.get("name"))
    if name.startswith(OURS):
        raise NotAllowed(f"{path}.name may not start with {OURS}", "Choose another name.")
    sources = [kind for kind in TYPES if kind in volume]
    if len(sources) != 1:
        raise NotAllowed(
            f"{path} must have exactly one of {', '.join(TYPES)}",
            f"Give volume {name[:63]} one source; emptyDir: {{}} is the simplest.",
        )
    source = member(f"{path}.{sources[0]}", volume[sources[0]], None)
    if sources[0] == "projected":
        for index, entry in enumerate(listed(f"{path}.projected.sources", source.get("sources"))):
            member(f"{path}.projected.sources[{index}]", entry, PROJECTED)
    return volume


def mounts(path: str, value: Any) -> tuple[Mapping[str, Any], ...]:
    """`volumeMounts` of the task's container."""
    return tuple(_mount(f"{path}[{index}]", entry) for index, entry in enumerate(listed(path, value)))


def _mount(path: str, value: Any) -> Mapping[str, Any]:
    mount = member(path, value, ("name", "mountPath", "readOnly", "subPath", "subPathExpr"))
    text(f"{path}.name", mount.get("name"))
    return {**mount, "mountPath": _mount_path(f"{path}.mountPath", mount.get("mountPath"))}


def _mount_path(path: str, value: Any) -> str:
    """An absolute path, normalised, that is neither the root nor inside a folder of ours or of the runtime."""
    given = text(path, value)
    if not given.startswith("/") or ":" in given or "\0" in given:
        raise NotAllowed(f"{path} must be an absolute path without a colon, not {given[:100]!r}", f"Correct {path}.")
    # Two slashes at the start survive normpath (POSIX gives them a meaning of their own).
    clean = posixpath.normpath("/" + given.lstrip("/"))
    reserved = clean == "/" or any(clean == folder or clean.startswith(folder + "/") for folder in RESERVED)
    if reserved and clean != SHARED_MEMORY:
        raise NotAllowed(
            f"{path} {given[:100]!r} is reserved; reserved are / and everything under {', '.join(RESERVED)}",
            "Mount it elsewhere, for example under /data.",
        )
    return clean


def check_declared(mounted: Iterable[Mapping[str, Any]], declared: Iterable[Mapping[str, Any]]) -> None:
    """Every mount names a volume of the same template, so ours are mounted once, where we mount them."""
    known = [volume["name"] for volume in declared]
    for index, mount in enumerate(mounted):
        if mount["name"] not in known:
            raise NotAllowed(
                f"{ROOT}.volumeMounts[{index}].name {mount['name'][:63]!r} is none of {ROOT}.volumes",
                f"Declare the volume under {ROOT}.volumes, or correct the name.",
            )


def env_from(path: str, value: Any) -> tuple[Mapping[str, Any], ...]:
    """`envFrom`: whole ConfigMaps and Secrets as environment; variables we set explicitly win over them."""
    return tuple(_env_source(f"{path}[{index}]", entry) for index, entry in enumerate(listed(path, value)))


def _env_source(path: str, value: Any) -> Mapping[str, Any]:
    source = member(path, value, ("prefix", "configMapRef", "secretRef"))
    refs = [kind for kind in ("configMapRef", "secretRef") if kind in source]
    if len(refs) != 1:
        raise NotAllowed(f"{path} must have exactly one of configMapRef, secretRef", f"Correct {path}.")
    ref = member(f"{path}.{refs[0]}", source[refs[0]], ("name", "optional"))
    text(f"{path}.{refs[0]}.name", ref.get("name"))
    return source
