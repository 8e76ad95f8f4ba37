"""The same trivial work for podtask and for Prefect 3, in their own interpreters: `sdk_workload.py podtask|prefect N`.

Prints JSON, in milliseconds: `import`; `call` (a call and its result, one after the other, each); `submit` (per
submission of N at once); `all` (per task until all N are finished). Standard library and the product only.
"""

from __future__ import annotations

import json
import sys
import time

PRODUCT, COUNT = sys.argv[1], int(sys.argv[2])
FOUND: dict[str, list[float] | float] = {}

started = time.perf_counter()
if PRODUCT == "podtask":
    from podtask import flow, task
else:
    from prefect import flow, task
FOUND["import"] = 1000 * (time.perf_counter() - started)


@task
def add(x, y):
    return x + y


def call(number):
    """A call whose result is there afterwards."""
    if PRODUCT == "podtask":
        return add(number, 1).result()
    return add(number, 1)


@flow
def calling():
    took = []
    for number in range(COUNT):
        before = time.perf_counter()
        assert call(number) == number + 1
        took.append(1000 * (time.perf_counter() - before))
    return {"took": took}


@flow
def submitting():
    before = time.perf_counter()
    futures = [add.submit(number, 1) for number in range(COUNT)]
    submitted = time.perf_counter()
    assert sum(future.result() for future in futures) == COUNT * (COUNT + 1) // 2
    done = time.perf_counter()
    return {"submit": 1000 * (submitted - before) / COUNT, "all": 1000 * (done - before) / COUNT}


calling()  # the first flow pays for imports and stores
FOUND["call"] = calling()["took"]
FOUND.update(submitting())
sys.stdout.write("\n" + json.dumps(FOUND) + "\n")
