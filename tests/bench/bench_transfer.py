"""Large data: throughput beside plain boto3, on the SDK's side and on the runner's, and what it takes of memory.

    python -m tests.bench.bench_transfer [MiB]

Throughput needs the bucket: eval "$(dev/cluster env)". Every row is the median of some rounds with its spread, after
one that is not counted. Memory is the peak of a process of its own (`ru_maxrss`), with an array of the same size.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import boto3
from tests.bench.tables import show

from podtask.core.storage import key_prefix, open_signer, open_store
from podtask_runner import protocol
from podtask_runner.storage.client import Store
from podtask_runner.storage.spool import file_digest

ROUNDS = 5
MIB = 1 << 20


def rate(size: int, call: Callable[[], object]) -> str:
    """MiB/s: median, least and most."""
    call()
    rates = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        call()
        rates.append(size / MIB / (time.perf_counter() - started))
    rates.sort()
    return f"{rates[len(rates) // 2]:.0f} ({rates[0]:.0f} - {rates[-1]:.0f})"


class Transfers:
    """One file and one bucket, by three ways."""

    def __init__(self, folder: Path, size: int) -> None:
        url, endpoint = os.environ["PODTASK_STORE"], os.environ.get("PODTASK_S3_ENDPOINT_URL")
        self.store, self.signer = open_store(url, endpoint), open_signer(url, endpoint)
        self.bucket = url.removeprefix("s3://").partition("/")[0]
        self.base = f"{key_prefix(url)}/bench/{secrets.token_hex(4)}".lstrip("/")
        self.plain = boto3.client("s3", endpoint_url=endpoint)
        self.source, self.target, self.size = folder / "source", folder / "target", size
        with self.source.open("wb") as stream:
            for _ in range(size // MIB):
                stream.write(os.urandom(MIB))
        self.digest, self._number = file_digest(self.source), 0

    def key(self) -> str:
        """A new one: the runner writes once."""
        self._number += 1
        return f"{self.base}/{self._number}"

    def rows(self) -> list[tuple[str, str, str]]:
        """Way, up, down."""
        read = f"{self.base}/read"
        self.store.put_file(read, self.source)
        ways: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            "boto3 upload_file, download_file (parts, threads)": (
                lambda: self.plain.upload_file(str(self.source), self.bucket, self.key()),
                lambda: self.plain.download_file(self.bucket, read, str(self.target)),
            ),
            "boto3 put_object, get_object (one stream)": (self.put_object, lambda: self.get_object(read)),
            "SDK: store.put_file, store.download (with sha256)": (
                lambda: self.store.put_file(self.key(), self.source, if_absent=True),
                lambda: self.store.download(read, self.target),
            ),
            "runner: presigned PUT, GET (with sha256)": (self.runner_write, lambda: self.runner_read(read)),
        }
        return [(name, rate(self.size, up), rate(self.size, down)) for name, (up, down) in ways.items()]

    def put_object(self) -> None:
        with self.source.open("rb") as stream:
            self.plain.put_object(Bucket=self.bucket, Key=self.key(), Body=stream)

    def get_object(self, key: str) -> None:
        body = self.plain.get_object(Bucket=self.bucket, Key=key)["Body"]
        with self.target.open("wb") as stream:
            while piece := body.read(MIB):
                stream.write(piece)

    def grants(self, key: str) -> protocol.Grants:
        slot = protocol.Slot(self.signer.sign_put(key, 600), self.signer.sign_get(key, 600))
        blob = protocol.Blob(self.digest, self.size, "file", url=slot.get)
        return protocol.Grants("ns", "run", "uid", 1, protocol.Code(source=""), slot, slot, slot, files=(blob,))

    def runner_write(self) -> None:
        store = Store(self.grants(self.key()))
        store.write(lambda grants: grants.result, self.source, self.digest, "it")
        store.close()

    def runner_read(self, key: str) -> None:
        store = Store(self.grants(key))
        store.read_into(lambda grants: grants.files[0], self.target, "it")
        store.close()

    def clear(self) -> None:
        for info in list(self.store.list(f"{self.base}/")):
            self.store.delete(info.key)


PICKLING = "from podtask_runner.serialization import pickling"
MEMORY = {
    "the array alone": "pass",
    "arguments, in memory (as before)": f"{PICKLING}; data = pickling.dumps(((array,), {{}}))",
    "arguments, by way of a file": f"{PICKLING}; data = pickling.dump_payload(((array,), {{}}))",
    "result, in memory (as before)": f"{PICKLING}; data = pickling.dumps(array); out = data",
    "result, by way of a file": (
        f"{PICKLING}; from podtask_runner.storage.spool import Digesting; "
        "pickling.dump(array, Digesting(open(path, 'wb')))"
    ),
}
LOADING = {
    "read from memory (as before)": "data = bytearray(open(path, 'rb').read()); back = pickling.loads(data)",
    "read from a file": "import pathlib; back = pickling.loads(pathlib.Path(path))",
}


def peak(script: str) -> str:
    """MiB."""
    tail = "; import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)"
    done = subprocess.run([sys.executable, "-c", script + tail], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def memory_rows(folder: Path, size: int) -> list[tuple[str, str]]:
    begin = f"path = {str(folder / 'pickle')!r}; array = __import__('numpy').ones({size // 8}); "
    rows = [(name, peak(begin + script)) for name, script in MEMORY.items()]
    load = f"path = {str(folder / 'pickle')!r}; import numpy; from podtask_runner.serialization import pickling; "
    return rows + [(name, peak(load + script)) for name, script in LOADING.items()]


def main() -> None:
    size = (int(sys.argv[1]) if len(sys.argv) > 1 else 300) * MIB
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "PODTASK_STORE" in os.environ:
            transfers = Transfers(folder, size)
            try:
                show(f"a file of {size // MIB} MiB, MiB/s", ["", "up", "down"], transfers.rows())
            finally:
                transfers.clear()
        else:
            print('Throughput is left out: PODTASK_STORE is not set (eval "$(dev/cluster env)")')
        rows = memory_rows(folder, size)
        show(f"an array of {size // MIB} MiB: peak memory of the process, MiB", ["", "peak"], rows)


if __name__ == "__main__":
    main()
