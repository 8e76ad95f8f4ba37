"""What a cache key costs: `content_hash` beside `joblib.hash` and dask's `tokenize`, in this process.

    python -m tests.bench.bench_hashing [rounds]

The three do not promise the same: joblib's hash depends on object identity and on set order in frozensets, dask's on
the interpreter (research: ecosystem-anchors, 2.3); ours is the same everywhere.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import pandas as pd
from dask.tokenize import tokenize
from tests.bench.tables import show, spread

from podtask_runner.hashing.content_hash import code_identity, content_hash

HASHERS: dict[str, Callable[[Any], object]] = {"podtask": content_hash, "joblib": joblib.hash, "dask": tokenize}


def values() -> dict[str, Any]:
    numbers = np.random.default_rng(0)
    return {
        "80 MB float array": numbers.random(10_000_000),
        "1 M ints in a list": list(range(1_000_000)),
        "1 M floats in a list": numbers.random(1_000_000).tolist(),
        "1 M strings in a list": [f"item {n}" for n in range(1_000_000)],
        "1 M mixed scalars in a list": [n if n % 2 else str(n) for n in range(1_000_000)],
        "10 k dicts": [{"id": n, "name": f"n{n}", "tags": ["a", "b"], "score": n / 7} for n in range(10_000)],
        "100 k rows, number and text": pd.DataFrame({"n": range(100_000), "s": [f"s{n}" for n in range(100_000)]}),
    }


def seconds(call: Callable[[], object], rounds: int) -> list[float]:
    times = []
    for _ in range(rounds):
        gc.collect()
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times


def main(rounds: int = 5) -> None:
    rows = []
    for name, value in values().items():
        found = [spread(seconds(lambda f=hasher, v=value: f(v), rounds)) for hasher in HASHERS.values()]
        rows.append((name, *found))
    show(f"Hashing one value, s: median (least - most) of {rounds}", ("value", *HASHERS), rows)
    code = [1e3 * second for second in seconds(lambda: code_identity(main), rounds)]
    show(
        f"Identity of one function and all it uses, ms, {rounds} times",
        ("function", "podtask"),
        [("main", spread(code))],
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
