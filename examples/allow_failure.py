"""Going on after a failure: a report about what came and what did not, and a task that tidies up in any case.

The report gets the exceptions of the tasks that failed. Without `allow_failure` both tasks would be NotReady.

python examples/allow_failure.py                                 here and now
PODTASK_BACKEND=kubernetes python examples/allow_failure.py      a pod per attempt
"""

from typing import Any

from podtask import allow_failure, flow, task


@task
def sales(shop: str) -> int:
    if shop == "atlantis":
        raise LookupError(f"no till in {shop}")
    return 100 * len(shop)


@task
def report(found: Any) -> str:
    failed = [str(one) for one in found if isinstance(one, Exception)]
    total = sum(one for one in found if not isinstance(one, Exception))
    return f"{total}, but {', '.join(failed)}"


@task
def tidy_up() -> str:
    return "tidied up"


@flow
def closing_time(shops: tuple[str, ...] = ("berlin", "atlantis", "oslo")) -> list[str]:
    found = sales.map(shops)
    summary = report(allow_failure(found))
    tidied = tidy_up(wait_for=[allow_failure(found)])
    return [summary.result(), tidied.result()]


if __name__ == "__main__":
    print(closing_time())
