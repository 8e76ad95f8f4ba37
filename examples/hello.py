"""The first ten minutes: a task per name, retried when it fails.

python examples/hello.py                                  here and now
PODTASK_BACKEND=kubernetes python examples/hello.py       a pod per attempt
"""

from podtask import flow, task


@task(retries=3, retry_delay_seconds=5)
def greet(name: str) -> str:
    return f"hello {name}"


@flow
def hello(names: list[str]) -> list[str]:
    return [f.result() for f in [greet(n) for n in names]]


if __name__ == "__main__":
    print(hello(["ada", "alan"]))
