"""`podtask.File` and values of many megabytes, the same on every backend."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from podtask import File, flow, task, task_input_hash
from podtask.errors import TaskCrashed, UnpicklableArgument

pytestmark = pytest.mark.usefixtures("backend")


def written(path: Path, text: str) -> File:
    path.write_text(text)
    return File(path)


def test_a_file_goes_in_comes_out_and_goes_on_under_its_name(tmp_path: Path) -> None:
    @task
    def upper(source: File) -> File:
        import tempfile

        target = os.path.join(tempfile.mkdtemp(), "upper.txt")  # noqa: PTH118
        with open(source) as given, open(target, "w") as made:  # noqa: PTH123
            made.write(source.name + "\n" + given.read().upper())
        return File(target)

    @task
    def lines(source: File, more: dict[str, Any]) -> list[Any]:
        return [source.name, *source.path.read_text().splitlines(), [file.name for file in more["files"]]]

    @flow
    def passing() -> Any:
        given = written(tmp_path / "given.txt", "a\nb\n")
        made = upper(given)
        return made.result(), lines(made, {"files": [given, given]}).result()

    made, told = passing()
    assert isinstance(made, File)
    assert made.name == "upper.txt"
    assert made.path.read_text() == "given.txt\nA\nB\n"
    assert told == ["upper.txt", "given.txt", "A", "B", ["given.txt", "given.txt"]]


def test_a_file_counts_by_its_content_in_the_cache(tmp_path: Path) -> None:
    @task(cache_key_fn=task_input_hash)
    def copied(source: File) -> File:
        import tempfile

        return File(source.save(tempfile.mkdtemp()))

    @flow
    def caching() -> list[Any]:
        told: list[Any] = []
        for name, text in (("one.txt", "same"), ("two.txt", "same"), ("one.txt", "other")):
            state = copied(written(tmp_path / name, text)).wait()
            assert state is not None
            told.append((state.name, state.result.path.read_text()))
        return told

    assert caching() == [("Completed", "same"), ("Cached", "same"), ("Completed", "other")]


def test_a_file_inside_of_a_result_crashes_the_run_with_the_cure() -> None:
    @task
    def inside() -> dict[str, File]:
        import tempfile

        path = os.path.join(tempfile.mkdtemp(), "x")  # noqa: PTH118
        open(path, "w").close()  # noqa: PTH123
        return {"file": File(path)}

    @flow
    def failing() -> str:
        with pytest.raises(TaskCrashed, match=r"only be a result by itself.*Return one podtask\.File"):
            inside().result()
        return "survived"

    assert failing() == "survived"


def test_a_file_that_is_not_there_is_said_at_the_call(tmp_path: Path) -> None:
    @task
    def reading(source: File) -> str:
        return source.path.read_text()

    @flow
    def failing() -> None:
        gone = written(tmp_path / "gone", "")
        gone.path.unlink()
        reading(gone).result()

    with pytest.raises((UnpicklableArgument, FileNotFoundError), match="gone"):
        failing()


def test_values_of_many_megabytes_arrive(tmp_path: Path) -> None:
    @task
    def doubled(data: bytes) -> bytes:
        return data + data

    @flow
    def large() -> tuple[int, int]:
        first = doubled(os.urandom(1 << 20) * 10)
        return len(first.result()), len(doubled(first).result())

    assert large() == (20 << 20, 40 << 20)
    assert [path.name for path in tmp_path.glob("**/*.spool")] == []
