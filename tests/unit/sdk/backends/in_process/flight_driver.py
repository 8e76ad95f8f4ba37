"""A driver process for test_single_flight: one call of a cached task that says when it runs and waits for its orders.

python flight_driver.py <folder with pipes> <who> <backend> <wait or run>
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from podtask import flow, task

FOLDER, WHO, BACKEND, CONCURRENT = sys.argv[1:]


@task(cache_key_fn=lambda context, arguments: "one key", cache_concurrent=CONCURRENT)
def work(folder, who):
    (Path(folder) / "started").write_text(f"{who}\n")
    if (Path(folder) / f"order-{who}").read_text() == "fail":
        raise ValueError("as ordered")
    return who


@flow(backend=BACKEND)
def driver():
    state = work(FOLDER, WHO).wait()
    return f"{state.name} {state.result if state.is_completed() else None}"


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
    logging.getLogger("podtask").setLevel(logging.ERROR)
    logging.getLogger("podtask.cache").setLevel(logging.INFO)
    print("end:", driver(), flush=True)
