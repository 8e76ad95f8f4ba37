"""Caching by inputs: what was computed once is not computed again, by any flow, not even after a restart.

`task_input_hash` counts the code (constants, globals and helpers included) and every argument. The results lie
below PODTASK_HOME here, in the bucket on a cluster. Run it twice: the second time everything is Cached.

python examples/caching.py                                 here and now
PODTASK_BACKEND=kubernetes python examples/caching.py      twice: no pod the second time
"""

from datetime import timedelta

from podtask import flow, ref, task, task_input_hash


@task(cache_key_fn=task_input_hash, cache_expiration=timedelta(days=1))
def squares(limit: int) -> list[int]:
    print(f"computing {limit} squares")
    return [n * n for n in range(limit)]


@task(cache_key_fn=task_input_hash)
def total(numbers: list[int]) -> int:
    print("adding up")
    return sum(numbers)


@flow
def report(limit: int = 1000) -> int:
    numbers = squares(limit)
    result = total(ref(numbers))  # `ref` tells type checkers that a future stands for its result
    print(numbers.wait(), result.wait())
    return result.result()


if __name__ == "__main__":
    print(report())
