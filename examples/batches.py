"""Many small calls in few pods: each call has its future, its result and its exception, each batch one pod.

The third page fails at first. The retry of its batch repeats this page only.

python examples/batches.py                                 here and now
PODTASK_BACKEND=kubernetes python examples/batches.py      three pods for 300 calls, and one for the retry
"""

from podtask import flow, get_run_context, ref, task


@task(retries=1)
def count_digits(page: int) -> int:
    attempt = get_run_context().task_run.run_count
    if page == 3 and attempt == 1:
        raise ConnectionError("the page is not there yet")
    if attempt > 1:
        print(f"attempt {attempt} reads page {page}")
    return len(str(page))


@task
def total(digits: list[int]) -> int:
    return sum(digits)


@flow
def book(pages: int = 300) -> int:
    digits = count_digits.map(range(1, pages + 1), batch_size=100)
    return total([ref(each) for each in digits]).result()


if __name__ == "__main__":
    print(f"{book()} digits")
