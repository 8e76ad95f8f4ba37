"""`make bench`: every table, one after another."""

from __future__ import annotations

import runpy

BENCHES = (
    "bench_sdk",
    "bench_hashing",
    "bench_travel",
    "bench_map",
    "bench_runner",
    "bench_store",
    "bench_memory",
    "bench_transfer",
    "bench_sdk_submit",
    "bench_cluster",
    "bench_warm",
    "bench_scale",
)

for name in BENCHES:
    runpy.run_module(f"tests.bench.{name}", run_name="__main__")
