"""A hyperparameter sweep: one run per setting, those that diverge fail alone, the best of the others wins.

Each result is cached, so a sweep with one more setting trains only that one.

python examples/sweep.py                                 here and now
PODTASK_BACKEND=kubernetes python examples/sweep.py      a pod per setting
"""

from podtask import flow, task, task_input_hash

POINTS = [(x / 10, 3 * x / 10 + 1) for x in range(20)]


@task(cache_key_fn=task_input_hash)
def train(rate: float, steps: int) -> tuple[float, float]:
    """Fit y = slope * x + 1 by gradient descent; the loss and the slope."""
    slope = 0.0
    for _ in range(steps):
        gradient = sum(2 * (slope * x + 1 - y) * x for x, y in POINTS) / len(POINTS)
        slope -= rate * gradient
        if abs(slope) > 1e6:
            raise ArithmeticError(f"rate {rate} diverges")
    return sum((slope * x + 1 - y) ** 2 for x, y in POINTS), slope


@flow
def sweep(steps: int = 50) -> str:
    rates = [0.001, 0.01, 0.1, 1.0, 10.0]
    runs = {rate: train(rate, steps) for rate in rates}
    states = {rate: run.wait() for rate, run in runs.items()}
    trained = {rate: state.result for rate, state in states.items() if state and state.is_completed()}
    best = min(trained, key=lambda rate: trained[rate][0])
    return f"{len(trained)} of {len(rates)} converged; best is rate {best} with slope {trained[best][1]:.3f}"


if __name__ == "__main__":
    print(sweep())
