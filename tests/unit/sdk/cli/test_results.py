"""`podtask result` and `podtask error`: values, files, pickles that stay closed, tracebacks."""

from __future__ import annotations

import base64
import gzip
import hashlib

import numpy as np
import pytest
from tests.unit.sdk.cli.conftest import Terminal
from tests.unit.sdk.cli.runs import TRACEBACK, run

from podtask_runner.serialization.exceptions import dump_exception
from podtask_runner.serialization.pickling import dumps, serialize_result


def with_result(data: bytes, **more: object) -> dict[str, object]:
    """The status of a run that stored these bytes."""
    info = {"digest": hashlib.sha256(data).hexdigest(), "size": len(data), "serializer": "json", "attempt": 1, **more}
    return {"result": info}


def pickled(value: object) -> dict[str, object]:
    """The status of a run with a small pickled result."""
    data = dumps(value)
    return with_result(data, serializer="cloudpickle", inline=base64.b64encode(data).decode())


def test_a_small_value_comes_from_the_status(podtask: Terminal) -> None:
    podtask.cluster.add(run("greet", "Completed"))
    said = podtask("result greet")
    assert (said.status, said.out, said.err) == (0, '"hello ada"\n', "")


def test_a_large_value_comes_from_the_bucket_and_is_what_was_stored(podtask: Terminal) -> None:
    data = b"[" + b"1," * 3000 + b"1]"
    podtask.cluster.add(run("big", "Completed", status=with_result(data)))
    podtask.store.put(podtask.keys("uid-big").result, data)
    assert podtask("result big").out.encode() == data + b"\n"
    said = podtask("result big -o big.json")
    assert (said.status, said.out, (podtask.folder / "big.json").read_bytes()) == (0, "", data)
    assert said.err.startswith("big.json: 6003 bytes, json, sha256 ")
    podtask.store.put(podtask.keys("uid-big").result, data + b" ")
    said = podtask("result big")
    assert (said.status, said.out) == (1, "")
    assert "is not what the run stored (sha256 differs)" in said.err


def test_a_cached_value_is_that_of_its_source(podtask: Terminal) -> None:
    data = b"[1]"
    podtask.cluster.add(run("again", "Completed", status=with_result(data, sourceUID="uid-first", attempt=2)))
    podtask.store.put(podtask.keys("uid-first", 2).result, data)
    assert podtask("result again").out == "[1]\n"


def test_a_pickle_stays_closed_until_it_is_asked_for(podtask: Terminal) -> None:
    podtask.cluster.add(run("set", "Completed", status=pickled({1})), run("list", "Completed", status=pickled([1])))
    said = podtask("result set")
    assert (said.status, said.out) == (1, "")
    assert "-o FILE stores it, --unpickle opens it here, which runs code of the task's author" in said.err
    said = podtask("result set --unpickle")
    assert (said.status, said.out) == (0, "{1}\n")
    assert said.err.startswith("podtask: unpickling runs whatever code")
    assert podtask("result list --unpickle").out == "[1]\n"


JSON_KEPT = {"value": "[2]"}
PICKLE_KEPT = {"serializer": "cloudpickle", "inline": "Li4u"}


@pytest.mark.parametrize(
    ("kept", "options"),
    {
        "a value": (JSON_KEPT, ""),
        "a value for a file": (JSON_KEPT, "-o here"),
        "a pickle": (PICKLE_KEPT, "--unpickle"),
        "a pickle for a file": (PICKLE_KEPT, "-o here"),
    }.values(),
)
def test_what_a_status_holds_is_compared_with_its_digest_too(
    podtask: Terminal, kept: dict[str, str], options: str
) -> None:
    podtask.cluster.add(run("x", "Completed", status=with_result(b"[1]", **kept)))
    said = podtask(f"result x {options}")
    assert (said.status, said.out) == (1, "")
    assert "The result of TaskRun team/x in the status is not what the run stored (sha256 differs)" in said.err
    assert not (podtask.folder / "here").exists()


def test_a_stored_exception_in_the_status_is_compared_with_its_digest(podtask: Terminal) -> None:
    kept = {"digest": "ab" * 32, "size": 1, "inline": base64.b64encode(dump_exception(KeyError(1))).decode()}
    podtask.cluster.add(run("x", "Failed", status={"error": {"type": "KeyError", "message": "1", **kept}}))
    said = podtask("error x --unpickle")
    assert (said.status, said.out) == (1, "")
    assert "The error of TaskRun team/x in the status is not what the run stored" in said.err


def test_a_file_is_stored_and_never_printed(podtask: Terminal) -> None:
    data = b"raw" * 1000
    podtask.cluster.add(run("made", "Completed", status=with_result(data, serializer="file;name=model.bin")))
    podtask.store.put(podtask.keys("uid-made").result, data)
    said = podtask("result made")
    assert (said.status, said.out) == (1, "")
    assert "is the file 'model.bin' (3000 bytes): -o FILE stores it" in said.err
    assert podtask("result made -o here.bin").status == 0
    assert (podtask.folder / "here.bin").read_bytes() == data
    podtask.store.put(podtask.keys("uid-made").result, data + b" ")
    said = podtask("result made -o damaged.bin")
    assert "has 3001 bytes and not 3000; run it again" in said.err
    podtask.store.put(podtask.keys("uid-made").result, data[:-1] + b" ")
    said = podtask("result made -o damaged.bin")
    assert "is not what the run stored (sha256 differs)" in said.err
    assert sorted(path.name for path in podtask.folder.iterdir() if path.suffix in (".bin", ".part")) == ["here.bin"]


def test_compressed_json_is_printed_and_arrays_are_shown(podtask: Terminal) -> None:
    text = b"[" + b"1," * 150_000 + b"1]"
    packed = gzip.compress(text, mtime=0)
    array, npy = serialize_result(np.arange(3))
    word = f"json+gzip;size={len(text)}"
    podtask.cluster.add(
        run("list", "Completed", status=with_result(packed, serializer=word)),
        run("more", "Completed", status=with_result(packed, serializer="json+gzip;size=7")),
        run("array", "Completed", status=with_result(array, serializer=npy)),
    )
    for name, data in (("list", packed), ("more", packed), ("array", array)):
        podtask.store.put(podtask.keys(f"uid-{name}").result, data)
    assert podtask("result list").out.encode() == text + b"\n"
    assert "holds more than the 7 bytes" in podtask("result more").err
    assert podtask("result array").out == "array([0, 1, 2])\n"


@pytest.mark.parametrize(
    ("state", "status"),
    {"Failed": 10, "Crashed": 11, "TimedOut": 12, "Cancelled": 13, "NotReady": 14}.items(),
)
def test_a_run_without_a_result_says_how_it_ended(podtask: Terminal, state: str, status: int) -> None:
    podtask.cluster.add(run("x", state))
    said = podtask("result x")
    assert (said.status, said.out) == (status, "")
    assert said.err.startswith(f"podtask: TaskRun 'x' has no result, it ended as {state}: ")
    assert said.err.splitlines()[-1].startswith("Next: ")


def test_a_run_that_goes_on_has_no_result_yet(podtask: Terminal) -> None:
    podtask.cluster.add(run("x", "Running"))
    said = podtask("result x")
    assert (said.status, said.err) == (
        1,
        "podtask: TaskRun 'x' has no result yet, it is Running: podtask wait x\n",
    )


def test_an_error_is_the_traceback_as_it_was(podtask: Terminal) -> None:
    podtask.cluster.add(run("x", "Failed"))
    said = podtask("error x")
    assert (said.status, said.out, said.err) == (0, TRACEBACK, "")


def test_a_traceback_that_was_cut_says_where_the_whole_is(podtask: Terminal) -> None:
    try:
        raise ValueError("no luck")
    except ValueError as error:
        data = dump_exception(error)
    stored = {"digest": hashlib.sha256(data).hexdigest(), "size": len(data), "attempt": 1}
    cut = {"type": "ValueError", "message": "no luck", "traceback": "in main\nValueError: no luck\n", **stored}
    podtask.cluster.add(run("x", "Failed", status={"error": cut}))
    podtask.store.put(podtask.keys("uid-x").error, data)
    said = podtask("error x")
    assert said.out == "in main\nValueError: no luck\n"
    assert said.err == "podtask: these are its last lines; podtask logs x has all of it.\n"
    said = podtask("error x --unpickle")
    assert said.out.startswith("Traceback (most recent call last):\n")
    assert said.out.endswith("ValueError: no luck\n")


def test_an_end_without_an_exception_is_told_with_its_cure(podtask: Terminal) -> None:
    error = {"type": "OutOfMemory", "message": "The limit was reached.", "cure": "Raise resources.memory."}
    podtask.cluster.add(run("x", "Failed", status={"error": error}), run("y", "Cancelled"), run("z", "Completed"))
    said = podtask("error x")
    assert (said.out, said.err) == ("OutOfMemory: The limit was reached.\n", "podtask: Raise resources.memory.\n")
    assert podtask("error y").out == "Cancelled by a person.\n"
    said = podtask("error z")
    assert (said.status, said.err) == (1, "podtask: TaskRun 'z' is Completed: there is no error.\n")


@pytest.mark.parametrize(
    ("installed", "opened"), [("13.0.0", False), ("14.0.0", False), ("14.0.1", True), ("20", True)]
)
def test_parquet_is_not_opened_by_a_reader_that_runs_code_from_it(
    podtask: Terminal, monkeypatch: pytest.MonkeyPatch, installed: str, *, opened: bool
) -> None:
    """CVE-2023-47248."""
    monkeypatch.setattr("importlib.metadata.version", lambda _: installed)
    podtask.cluster.add(run("table", "Completed", status=with_result(b"no parquet", serializer="parquet;of=pandas")))
    podtask.store.put(podtask.keys("uid-table").result, b"no parquet")
    said = podtask("result table")
    assert said.status == 1
    assert ("CVE-2023-47248" in said.err) is not opened
