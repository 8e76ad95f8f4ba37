"""A flow of dependent calls, as a script that imports nothing but podtask: `python warm_chain.py LINKS KEY=VALUE...`.

Prints the seconds from the first call to the last result. The pairs are the tasks' environment. The script of a bench
would carry the bench's own modules into every pod.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

from podtask import flow, ref, task


def chain(links: int, env: Mapping[str, str]) -> float:
    """Seconds for so many calls, each of which takes the result of the one before."""

    @task(env=env)
    def link(x: int) -> int:
        return x + 1

    @flow
    def chained() -> float:
        began = time.monotonic()
        last = link(0)
        for _ in range(links - 1):
            last = link(ref(last))
        assert last.result() == links
        return time.monotonic() - began

    return chained()


if __name__ == "__main__":
    print(chain(int(sys.argv[1]), dict(pair.split("=", 1) for pair in sys.argv[2:])))
