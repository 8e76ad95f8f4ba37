"""Async flows: async tasks share the flow's event loop here, and are pods like any other on a cluster.

Sync and async tasks mix freely; their futures can be passed to each other.

python examples/async_flow.py                                 here and now
PODTASK_BACKEND=kubernetes python examples/async_flow.py      the tasks in pods, the flow still on its own loop
"""

import asyncio

from podtask import flow, task


@task
async def greet(name: str) -> str:
    await asyncio.sleep(0.01)
    return f"hello {name}"


@task
def shout(text: str) -> str:
    return text.upper()


@flow
async def party(names: list[str]) -> list[str]:
    greetings = await asyncio.gather(*(greet(name) for name in names))
    loud = shout.map(greetings)
    return [await future for future in loud]


if __name__ == "__main__":
    print(asyncio.run(party(["ada", "alan"])))
