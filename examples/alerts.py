"""Be told: hooks are called in the driver when a run is retried, completed or has failed for good.

They see the state and the run, and run here on every backend, so they may use what only this machine has.

python examples/alerts.py                                 here and now
PODTASK_BACKEND=kubernetes python examples/alerts.py      the task in pods, the hooks still here
"""

from typing import Any

from podtask import State, flow, task

TOLD: list[str] = []


def tell(_what: Any, run: Any, state: State[Any]) -> None:
    """In real life: a message to the people on call."""
    TOLD.append(f"{run.name.split('-')[0]} {state.name}")


@task(retries=1, on_retry=[tell], on_failure=[tell])
def deliver(address: str) -> str:
    if "@" not in address:
        raise ValueError(f"{address!r} is not an address")
    return f"delivered to {address}"


@flow(on_completion=[tell])
def newsletter(addresses: list[str]) -> int:
    answers = [run.result(raise_on_failure=False) for run in deliver.map(addresses)]  # an exception where one failed
    return sum(isinstance(answer, str) for answer in answers)


if __name__ == "__main__":
    print(newsletter(["ada@example.org", "alan"]), "delivered")
    print(TOLD)
