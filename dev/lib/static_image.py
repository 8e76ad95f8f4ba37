"""Writes a container image with one static binary to standard output, as a Docker archive.

Usage: static_image.py BINARY NAME:TAG
"""

import hashlib
import io
import json
import platform
import sys
import tarfile
from pathlib import Path


def add(archive: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    archive.addfile(entry, io.BytesIO(data))


def main(binary: Path, reference: str) -> None:
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        add(archive, binary.name, binary.read_bytes(), 0o755)
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    config = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()],
        "os": "linux",
        "config": {"Entrypoint": [f"/{binary.name}"], "User": "65535:65535"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [reference], "Layers": ["layer.tar"]}]
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as archive:
        add(archive, "config.json", json.dumps(config).encode())
        add(archive, "layer.tar", layer.getvalue())
        add(archive, "manifest.json", json.dumps(manifest).encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
