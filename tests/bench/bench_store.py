"""What the stores cost: one call each, and one signed URL. Prints tables, asserts nothing.

    python tests/bench/bench_store.py [rounds]

S3 takes part when PODTASK_STORE and PODTASK_S3_ENDPOINT_URL are set: eval "$(dev/cluster env)".
"""

from __future__ import annotations

import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import count

import boto3
from botocore.config import Config

from podtask.core.storage import Signer, Store, key_prefix, open_signer, open_store
from podtask.core.storage.memory import MemoryStore

KIB, MIB = b"x" * 1024, b"x" * 1024 * 1024


def per_call(call: Callable[[], object], rounds: int) -> str:
    """Median and 95th percentile in milliseconds."""
    call()  # first use opens connections and fills caches
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e3)
    return f"{statistics.median(times):.3f} / {statistics.quantiles(times, n=20, method='inclusive')[-1]:.3f}"


def store_row(store: Store, base: str, rounds: int) -> list[str]:
    numbers = count()
    listed = f"{base}/listed/"
    for number in range(100):
        store.put(f"{listed}{number}", b"x")
    row = [
        per_call(lambda: store.put(f"{base}/small", KIB), rounds),
        per_call(lambda: store.put(f"{base}/new/{next(numbers)}", KIB, if_absent=True), rounds),
        per_call(lambda: store.get(f"{base}/small"), rounds),
        per_call(lambda: store.head(f"{base}/small"), rounds),
        per_call(lambda: store.put(f"{base}/large", MIB), max(rounds // 5, 2)),
        per_call(lambda: store.get(f"{base}/large"), max(rounds // 5, 2)),
        per_call(lambda: list(store.list(listed)), max(rounds // 5, 2)),
    ]
    for info in list(store.list(f"{base}/")):
        store.delete(info.key)
    return row


def sign_row(signer: Signer, base: str, rounds: int) -> list[str]:
    return [
        per_call(lambda: signer.sign_get(f"{base}/1/result", 3600), rounds),
        per_call(lambda: signer.sign_put(f"{base}/1/result", 3600), rounds),
        per_call(lambda: signer.sign_post(f"{base}/1/log/", 1 << 20, 3600), rounds),
    ]


def presign_row(rounds: int) -> list[str]:
    """The ordinary way, for comparison."""
    s3 = boto3.Session("access", "secret").client(
        "s3", region_name="us-east-1", endpoint_url="http://10.0.0.1:9000", config=Config(signature_version="s3v4")
    )
    read = {"Bucket": "bucket", "Key": "ns/runs/u/1/result"}
    return [
        per_call(lambda: s3.generate_presigned_url("get_object", read), rounds),
        per_call(lambda: s3.generate_presigned_url("put_object", {**read, "IfNoneMatch": "*"}), rounds),
        per_call(lambda: s3.generate_presigned_post("bucket", "ns/runs/u/1/log/${filename}"), rounds),
    ]


def table(title: str, columns: list[str], rows: dict[str, list[str]]) -> None:
    print(f"\n{title}")
    for name, cells in {"": columns, **rows}.items():
        print(f"{name:24}" + "".join(f"{cell:>17}" for cell in cells))


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as folder:
        file_url = f"file://{folder}/store"
        stores: dict[str, tuple[Store, str]] = {"memory": (MemoryStore(), ""), "directory": (open_store(file_url), "")}
        signers: dict[str, tuple[Signer, str]] = {"directory": (open_signer(file_url), "")}
        if url := os.environ.get("PODTASK_STORE"):
            endpoint = os.environ.get("PODTASK_S3_ENDPOINT_URL")
            stores["s3"] = (open_store(url, endpoint), key_prefix(url))
            signers["s3"] = (open_signer(url, endpoint), key_prefix(url))
        else:
            print('S3 is left out: PODTASK_STORE is not set (eval "$(dev/cluster env)")')
        part = f"bench/{secrets.token_hex(4)}"
        table(
            "one call, ms (median / p95)",
            ["put 1 KiB", "put if absent", "get 1 KiB", "head", "put 1 MiB", "get 1 MiB", "list 100"],
            {
                name: store_row(store, f"{prefix}/{part}".lstrip("/"), rounds)
                for name, (store, prefix) in stores.items()
            },
        )
        rows = {
            name: sign_row(signer, f"{prefix}/{part}".lstrip("/"), rounds) for name, (signer, prefix) in signers.items()
        }
        rows["generate_presigned_url"] = presign_row(rounds)
        table("one signature, ms (median / p95)", ["sign_get", "sign_put", "sign_post"], rows)


if __name__ == "__main__":
    main()
