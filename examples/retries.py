"""Retries: a delay that grows, some jitter, and a condition that knows which failures are worth another try.

Every attempt is recorded; on a cluster each one is a pod of its own. The condition and computed delays are asked
where the task runs, so they see the exception itself.

python examples/retries.py                                 here and now
PODTASK_BACKEND=kubernetes python examples/retries.py      a pod per attempt
"""

from podtask import flow, get_run_context, ref, task


class RateLimited(Exception):
    """What a busy service answers, with the seconds after which it wants to be asked again."""


def worth_another_try(error: BaseException, attempt: int) -> bool:
    return isinstance(error, RateLimited) and attempt <= 3


def as_long_as_it_says(error: BaseException, attempt: int) -> float:
    return float(error.args[0]) * attempt


@task(retries=5, retry_delay_seconds=as_long_as_it_says, retry_condition_fn=worth_another_try)
def fetch(page: int) -> str:
    attempt = get_run_context().task_run.run_count
    if attempt <= page:
        raise RateLimited(0.05)
    return f"page {page}, attempt {attempt}"


@task(retries=2, retry_delay_seconds=[0.1, 0.2], retry_jitter_factor=0.5)
def parse(text: str) -> int:
    return len(text)


@flow
def crawl(pages: int = 3) -> list[int]:
    texts = [fetch(page) for page in range(pages)]
    for text in texts:
        print(text.result())
    return [parse(ref(text)).result() for text in texts]


if __name__ == "__main__":
    print(crawl())
