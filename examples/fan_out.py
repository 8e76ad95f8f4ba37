"""Fan out, fan in: one run per shard, all at once, and one run that waits for them all.

The driver passes futures on and downloads nothing in between; on a cluster every run is a pod with the resources
it asks for.

python examples/fan_out.py                                 here and now
PODTASK_BACKEND=kubernetes python examples/fan_out.py      a pod per shard
"""

import random

from podtask import flow, ref, tags, task, unmapped


@task(resources={"requests": {"cpu": "250m", "memory": "64Mi"}})
def throw_darts(seed: int, darts: int) -> int:
    source = random.Random(seed)
    return sum(source.random() ** 2 + source.random() ** 2 < 1 for _ in range(darts))


@task
def estimate(hits: list[int], darts: int) -> float:
    return 4 * sum(hits) / (darts * len(hits))


@flow
def pi(shards: int = 8, darts: int = 20_000) -> float:
    with tags("monte-carlo"):
        hits = throw_darts.map(range(shards), unmapped(darts))
    return estimate([ref(hit) for hit in hits], darts).result()


if __name__ == "__main__":
    print(f"pi is about {pi():.2f}")
