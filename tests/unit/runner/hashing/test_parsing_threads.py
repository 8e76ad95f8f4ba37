"""Several threads read source text at once, as the workers of a flow do when they make cache keys."""

from __future__ import annotations

import ast
import gc
import threading
import time
from collections.abc import Iterator

import pytest

from podtask_runner.hashing.sources import file_tree

TEXT = "def f(x):\n    return " + "+".join(f"g({n}, [x, {{'k': (x, {n})}}])" for n in range(60)) + "\n"


@pytest.fixture
def switching() -> Iterator[None]:
    """The garbage collector runs in the middle of parsing, and lets other threads go on, as finalizers may."""

    def let_others(phase: str, _info: object) -> None:
        if phase == "start":
            time.sleep(0)

    before = gc.get_threshold()
    gc.callbacks.append(let_others)
    gc.set_threshold(40)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(let_others)


@pytest.mark.usefixtures("switching")
def test_a_text_has_one_tree_in_whatever_number_of_threads_it_is_read() -> None:
    """Python 3.11 counts how deep the trees of all threads are in one counter, and then raises SystemError."""
    whole = ast.dump(ast.parse(TEXT))
    found: list[object] = []

    def read() -> None:
        for _ in range(25):
            try:
                found.append(ast.dump(file_tree(TEXT)) == whole)
            except Exception as error:  # noqa: BLE001 - shown below
                found.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 100
