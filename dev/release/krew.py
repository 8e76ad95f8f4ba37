"""`kubectl krew install podtask`: a small script in an archive, and the manifest that names the archive by its digest.

krew copies files and installs no Python. The script runs the podtask on PATH, or this version by uv or pipx.
Try it without a release: kubectl krew install --manifest=krew-podtask.yaml --archive=kubectl-podtask.tar.gz
"""

from __future__ import annotations

import gzip
import io
import tarfile

import yaml
from dev.docs.paths import TOP

ARCHIVE = "kubectl-podtask.tar.gz"
MANIFEST = "krew-podtask.yaml"
SCRIPT = """\
#!/bin/sh
# kubectl podtask, by krew: the podtask on PATH, or podtask {version} by uv or pipx.
if command -v podtask >/dev/null; then exec podtask "$@"; fi
if command -v uvx >/dev/null; then exec uvx --quiet --from 'podtask[cli]=={version}' podtask "$@"; fi
if command -v pipx >/dev/null; then exec pipx run --spec 'podtask[cli]=={version}' podtask "$@"; fi
echo "kubectl podtask: no podtask, uv or pipx is on your PATH. Run: pip install 'podtask[cli]=={version}'" >&2
exit 1
"""


def archive(version: str, epoch: int) -> bytes:
    """The script and the licence, with fixed times and owners."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, mode, data in (
            ("LICENSE", 0o644, (TOP / "LICENSE").read_bytes()),
            ("kubectl-podtask", 0o755, SCRIPT.format(version=version).encode()),
        ):
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(data), mode, epoch
            tar.addfile(member, io.BytesIO(data))
    return gzip.compress(packed.getvalue(), mtime=epoch)


def manifest(version: str, url: str, sha256: str) -> str:
    """The plugin for the krew index."""
    systems = [{"key": "os", "operator": "In", "values": ["darwin", "linux"]}]
    platform = {
        "selector": {"matchExpressions": systems},
        "uri": f"{url}/{ARCHIVE}",
        "sha256": sha256,
        "files": [{"from": "kubectl-podtask", "to": "."}, {"from": "LICENSE", "to": "."}],
        "bin": "kubectl-podtask",
    }
    plugin = {
        "apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
        "kind": "Plugin",
        "metadata": {"name": "podtask"},
        "spec": {
            "version": f"v{version}",
            "shortDescription": "Run Python tasks, one pod per attempt",
            "description": "See, start and steer TaskRuns: list, describe, logs, submit, retry, cancel, doctor.\n",
            "caveats": "Needs Python: podtask on your PATH, or uv, or pipx. The cluster needs the podtask operator.\n",
            "platforms": [platform],
        },
    }
    return yaml.safe_dump(plugin, sort_keys=False)
