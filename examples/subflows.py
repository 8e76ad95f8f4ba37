"""Flows in flows: a flow is a function, so a larger one is made of smaller ones.

A subflow's tasks belong to a flow run of their own, named after it. Its result is a value, and its exception is
one, too: the flow around it can go on without it.

python examples/subflows.py                                 here and now
PODTASK_BACKEND=kubernetes python examples/subflows.py      a pod per task
"""

from podtask import flow, ref, tags, task

SHOPS = {"berlin": [12, 30, 7], "oslo": [5, 9], "atlantis": []}


@task
def read(shop: str) -> list[int]:
    return SHOPS[shop]


@task
def average(sales: list[int]) -> float:
    return sum(sales) / len(sales)


@flow
def of_shop(shop: str) -> float:
    with tags(shop):
        return average(ref(read(shop))).result()


@flow
def report() -> dict[str, float | str]:
    averages: dict[str, float | str] = {}
    for shop in SHOPS:
        try:
            averages[shop] = round(of_shop(shop), 2)
        except ZeroDivisionError:
            averages[shop] = "no sales"
    return averages


if __name__ == "__main__":
    print(report())
