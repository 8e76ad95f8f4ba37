"""What kopf holds of objects that its watch has shown: nothing. A real kopf, against a server of this process."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

from tests.bench.bench_memory import against
from tests.support.builders import run_object

SEEN = 40
PROGRAM = """
import asyncio, gc, os, sys
from kopf._core.reactor.inventory import ResourceMemory
from podtask_operator.controller.cluster_cache import ClusterCache
from podtask_operator.events import kopf_source
from podtask_operator.events.intake import Intake
from podtask_operator.settings import Settings

async def main():
    cluster, shown = ClusterCache(), asyncio.Event()
    def woken(key):
        if len(cluster.runs) == int(sys.argv[1]):
            shown.set()
    told = Settings(store="s3://b/p", namespaces=("team",))
    serving = asyncio.create_task(kopf_source.serve(told, Intake(cluster, woken), asyncio.Event(), lambda path: None))
    await asyncio.wait([asyncio.create_task(shown.wait()), serving], timeout=60, return_when="FIRST_COMPLETED")
    for _ in range(200):  # what kopf has for an event ends with its worker
        held = sum(isinstance(each, ResourceMemory) for each in gc.get_objects())
        if not held:
            break
        await asyncio.sleep(0.05)
    print(len(cluster.runs), held, flush=True)
    os._exit(0)

asyncio.run(main())
"""


def test_kopf_keeps_no_record_of_the_objects_that_it_has_shown() -> None:
    texts = [
        json.dumps(run_object(name=f"run{n}", metadata={"uid": f"uid-{n}"}), separators=(",", ":")).encode()
        for n in range(SEEN)
    ]

    def seen(kubeconfig: str) -> dict[str, int]:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(SEEN)],
            env={**os.environ, "KUBECONFIG": kubeconfig},
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()[-2000:]
        runs, memories = map(int, done.stdout.split())
        return {"runs": runs, "memories": memories}

    assert asyncio.run(against(texts, seen)) == {"runs": SEEN, "memories": 0}
