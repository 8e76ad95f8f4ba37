"""A fan-in whose grants fit into no Secret, on a real cluster: 400 results of 2 KB that cannot be compressed much."""

from __future__ import annotations

import hashlib
import json
import random
from functools import partial

import pytest
from tests.cluster.kit import World, task_run, together

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

COUNT = 400
NOISE = random.Random(7)
TOTAL = "def main(**parts):\n    return sum(len(part) for part in parts.values())\n"


def ended(value: str) -> str:
    """The status of a run that ended with this text, as a patch."""
    stored = json.dumps(value)
    digest = hashlib.sha256(stored.encode()).hexdigest()
    result = {"digest": digest, "size": len(stored), "serializer": "json", "value": stored, "attempt": 1}
    status = {"state": "Completed", "reason": "Completed", "attemptsTotal": 1, "finishedAt": "2026-01-02T03:04:05Z"}
    return json.dumps({"status": {**status, "result": result}})


@pytest.mark.long  # a minute; the unit tests go through the real builder and reader
def test_four_hundred_results_reach_one_pod(served: World) -> None:
    values = {f"part{n}": NOISE.randbytes(1000).hex() for n in range(COUNT)}
    served.apply(*(task_run(name, "def main(): pass", suspend=True) for name in values))
    # Their ends are written by hand, because 400 pods would prove nothing more.
    patch = ("patch", "--subresource=status", "--type=merge", "ptr")
    together({name: partial(served.kubectl, *patch, name, "-p", ended(value)) for name, value in values.items()})
    upstream = [{"taskRun": name, "parameter": name} for name in values]
    served.apply(task_run("total", TOTAL, upstream=upstream))
    status = served.finished("total", 300)["status"]
    assert (status["state"], status["result"]["value"]) == ("Completed", str(COUNT * 2000))
    assert (status["attemptsTotal"], len(status["inputs"])) == (1, COUNT)
