"""A real runner that waits for its attempt: claim and grants come as files, as the kubelet's mounts do."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.runner.harness import RUNNER, Attempt, Ran

from podtask_runner import protocol
from podtask_runner.process import idle
from podtask_runner.process.doorbell import message
from podtask_runner.protocol import Checkpoints, Code, Grants, Verdict

POD = "pod-uid"
SOURCE = "def main():\n    return 41 + 1\n"


def claim_of(data: bytes, *, uid: str = "1234", number: int = 1, pod: str = POD) -> bytes:
    return f"{uid}/{number}/{pod}/{hashlib.sha256(data).hexdigest()}".encode()


class Mount:
    """A folder whose files are exchanged whole, as the kubelet exchanges those of a Secret."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)

    def put(self, name: str, data: bytes) -> None:
        part = self.folder / f"..{name}"
        part.write_bytes(data)
        part.rename(self.folder / name)


class Waiting:
    """A runner with `--wait`."""

    def __init__(self, attempt: Attempt, process: subprocess.Popen[str], claim: Mount, grants: Mount) -> None:
        self.attempt, self.process, self._claim, self._grants = attempt, process, claim, grants

    def grants(self, source: str = SOURCE, **options: Any) -> Grants:
        return self.attempt.grants(Code(source=source), **options)

    def put_grants(self, data: bytes) -> None:
        self._grants.put("grants.json", data)

    def put_claim(self, text: bytes) -> None:
        self._claim.put("claim", text)

    def end(self) -> Ran:
        return self.attempt.end(self.process)


@contextmanager
def waiting(attempt: Attempt, **environment: str) -> Iterator[Waiting]:
    attempt.root.mkdir(parents=True)
    (attempt.root / "tmp").mkdir()
    claim, grants = Mount(attempt.root / "claim"), Mount(attempt.root / "grants")
    process = subprocess.Popen(
        [sys.executable, "-X", "utf8", "-m", "podtask_runner", "--wait"],
        env={
            **os.environ,
            "PYTHONPATH": RUNNER,
            "PODTASK_GRANTS": str(grants.folder / "grants.json"),
            "PODTASK_CLAIM": str(claim.folder / "claim"),
            "PODTASK_POD_UID": POD,
            "PODTASK_TERMINATION_LOG": str(attempt.root / "termination"),
            "TMPDIR": str(attempt.root / "tmp"),
            **environment,
        },
        cwd=attempt.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Waiting(attempt, process, claim, grants)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.parametrize("first", ["grants", "claim"])
def test_it_executes_the_attempt_whichever_of_the_two_comes_first(attempt: Attempt, first: str) -> None:
    with waiting(attempt) as runner:
        data = protocol.dump(runner.grants())
        puts: list[Callable[[], None]] = [lambda: runner.put_grants(data), lambda: runner.put_claim(claim_of(data))]
        for put in puts if first == "grants" else reversed(puts):
            put()
        ran = runner.end()
    assert (ran.exit_code, ran.outcome.outcome, ran.result.value) == (0, Verdict.COMPLETED, "42")


def test_an_attempt_in_it_saves_and_loads_checkpoints(attempt: Attempt) -> None:
    urls = [attempt.path(f"checkpoints/1/{slot}").as_uri() for slot in range(2)]
    granted = Checkpoints(tuple(protocol.Slot(protocol.Put(url), url) for url in urls))
    source = """
def main():
    from podtask import get_run_context
    kept = get_run_context().checkpoint
    kept.save(kept.load(40) + 1)
    kept.save(kept.load() + 1)
    return kept.load()
"""
    with waiting(attempt) as runner:
        data = protocol.dump(attempt.grants(Code(source=source), checkpoints=granted))
        runner.put_grants(data)
        runner.put_claim(claim_of(data))
        ran = runner.end()
    assert ran.result.value == "42"
    assert len(list(attempt.path("checkpoints/1").iterdir())) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"uid": "another run"},
        {"number": 2},
        {"pod": "another pod"},
        {"digest of other grants": True},
        {"no claim": True},
        {"half a claim": True},
    ],
    ids=str,
)
def test_what_does_not_match_starts_nothing_and_what_matches_afterwards_does(
    attempt: Attempt, wrong: dict[str, Any]
) -> None:
    with waiting(attempt) as runner:
        data = protocol.dump(runner.grants("raise SystemExit(3)"))
        runner.put_grants(data)
        if "digest of other grants" in wrong:
            runner.put_claim(claim_of(data + b" "))
        elif "half a claim" in wrong:
            runner.put_claim(claim_of(data)[:20])
        elif "no claim" not in wrong:
            runner.put_claim(claim_of(data, **wrong))
        right = protocol.dump(runner.grants())
        runner.put_claim(claim_of(right))
        runner.put_grants(right)
        ran = runner.end()
    assert ran.result.value == "42"


def test_grants_that_are_renewed_before_the_claim_are_taken_as_they_are_then(attempt: Attempt) -> None:
    with waiting(attempt) as runner:
        old, new = (protocol.dump(runner.grants(f"def main():\n    return {n}\n")) for n in (1, 2))
        runner.put_claim(claim_of(new))
        runner.put_grants(old)
        runner.put_grants(new)
        assert runner.end().result.value == "2"


def test_the_attempt_starts_once(attempt: Attempt) -> None:
    with waiting(attempt) as runner:
        source = (
            "import os, time\n"
            f"def main():\n    open({str(attempt.root / 'starts')!r}, 'a').write('x')\n"
            f"    while not os.path.exists({str(attempt.root / 'go')!r}): time.sleep(0.01)\n"
        )
        data = protocol.dump(runner.grants(source))
        runner.put_grants(data)
        runner.put_claim(claim_of(data))
        _until((attempt.root / "starts").exists)
        other = protocol.dump(runner.grants("raise SystemExit(3)"))
        runner.put_grants(other)
        runner.put_claim(claim_of(other))
        (attempt.root / "go").touch()
        assert runner.end().outcome.outcome is Verdict.COMPLETED
    assert (attempt.root / "starts").read_text() == "x"


def test_told_to_stop_before_an_attempt_it_says_that_none_started(attempt: Attempt) -> None:
    with waiting(attempt) as runner:
        _until(lambda: any((attempt.root / "tmp").iterdir()))
        runner.process.send_signal(signal.SIGTERM)
        ran = runner.end()
    assert (ran.exit_code, ran.outcome.outcome) == (75, Verdict.NEVER_STARTED)
    assert "SIGTERM" in ran.error.message


def test_it_ends_itself_when_no_attempt_comes(attempt: Attempt) -> None:
    with waiting(attempt, PODTASK_IDLE_SECONDS="0") as runner:
        ran = runner.end()
    assert ran.outcome.outcome is Verdict.NEVER_STARTED
    assert "within 0 s" in ran.error.message


def test_a_waiting_process_that_dies_is_no_failed_attempt(attempt: Attempt) -> None:
    with waiting(attempt) as runner:
        children = Path(f"/proc/{runner.process.pid}/task/{runner.process.pid}/children")
        _until(lambda: bool(children.read_text().strip()))
        os.kill(int(children.read_text().split()[0]), signal.SIGKILL)
        ran = runner.end()
    assert ran.outcome.outcome is Verdict.NEVER_STARTED
    assert "ended by itself" in ran.error.message


def test_a_stop_after_the_claim_is_an_interruption(attempt: Attempt) -> None:
    with waiting(attempt) as runner:
        mark = attempt.root / "runs"
        source = f"import time\ndef main():\n    open({str(mark)!r}, 'w').close()\n    time.sleep(60)\n"
        data = protocol.dump(runner.grants(source))
        runner.put_grants(data)
        runner.put_claim(claim_of(data))
        _until(mark.exists)
        runner.process.send_signal(signal.SIGTERM)
        assert runner.end().outcome.outcome is Verdict.INTERRUPTED


def test_what_the_task_prints_and_who_it_is_are_those_of_the_attempt(served: Attempt, server: Any) -> None:
    logs = protocol.LogPost(f"{served.store}/", "log/", 1 << 20)
    with waiting(served) as runner:
        source = (
            "import os, sys\ndef main():\n    print('out', os.environ['PODTASK_TASK_RUN'])\n"
            "    print('err', os.environ['PODTASK_ATTEMPT'], file=sys.stderr)\n"
        )
        data = protocol.dump(runner.grants(source, attempt=3, logs=logs))
        runner.put_grants(data)
        runner.put_claim(claim_of(data, number=3))
        ran = runner.end()
    assert ran.stdout == "out hello\nerr 3\n"


def test_it_rings_when_it_starts_and_when_it_has_stored_its_result(attempt: Attempt) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bell, waiting(attempt) as runner:
        bell.bind(("127.0.0.1", 0))
        bell.settimeout(30)
        grants = runner.grants(doorbell=f"127.0.0.1:{bell.getsockname()[1]}")
        data = protocol.dump(grants)
        runner.put_grants(data)
        runner.put_claim(claim_of(data))
        rung = [bell.recv(1024), bell.recv(1024)]
        runner.end()
    assert rung == [message(grants, started=True), message(grants)]
    assert "started" not in json.loads(rung[1])


def test_process_1_holds_no_more_modules_than_any_other_supervisor() -> None:
    code = "import sys, podtask_runner.process.supervisor, podtask_runner.process.idle; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": RUNNER}, capture_output=True, text=True, check=True
    )
    assert not {"cloudpickle", "pickle", "ctypes", "asyncio"} & set(done.stdout.split())


@pytest.mark.parametrize("wrong", [{"uid": "another run"}, {"number": 2}, {"pod": "another pod"}], ids=str)
def test_grants_of_another_run_attempt_or_pod_match_nothing(attempt: Attempt, wrong: dict[str, Any]) -> None:
    data = protocol.dump(attempt.grants(Code(source=SOURCE)))
    assert idle.matching(claim_of(data), data, POD) == protocol.load_grants(data)
    assert idle.matching(claim_of(data) + b"/3", data, POD) is not None, "a claim that was renewed"
    assert idle.matching(claim_of(data, **wrong), data, POD) is None


@pytest.mark.parametrize("claim", [b"", b"////", b"\xff\xfe", b"a/b/c", b"1234/1/pod-uid/" + b"0" * 64, b"/" * 900])
def test_a_claim_that_is_none_matches_nothing(claim: bytes) -> None:
    assert idle.matching(claim, b"{}", POD) is None
    assert idle.matching(claim_of(b"{}", pod=""), b"{}", "") is None


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"uid": 1}', b"[" * 100_000])
def test_grants_that_are_none_match_nothing_although_their_digest_does(data: bytes) -> None:
    assert idle.matching(claim_of(data), data, POD) is None


def _until(condition: Callable[[], bool]) -> None:
    """Bounded by the test's own timeout."""
    while not condition():
        os.sched_yield()


def by_document(runner: Waiting, grants: Grants, *, timeout: float = 30.0) -> bytes:
    """As the operator writes grants that fit into no Secret: an object in the store, named by a small document."""
    data = gzip.compress(protocol.dump(grants))
    stored = runner.attempt.root / "stored-grants"
    stored.write_bytes(data)
    blob = protocol.Blob(hashlib.sha256(data).hexdigest(), len(data), url=f"file://{stored}")
    return protocol.dump(protocol.GrantsDocument(blob, timeout))


@pytest.mark.parametrize("form", ["compressed", "in the bucket"])
def test_it_takes_large_grants_in_every_form_that_the_operator_writes(attempt: Attempt, form: str) -> None:
    with waiting(attempt) as runner:
        grants = runner.grants()
        plain = protocol.dump(grants)
        content = gzip.compress(plain) if form == "compressed" else by_document(runner, grants)
        runner.put_grants(content)
        runner.put_claim(claim_of(content))
        ran = runner.end()
    assert (ran.exit_code, ran.outcome.outcome, ran.result.value) == (0, Verdict.COMPLETED, "42")


def test_grants_of_another_run_in_the_bucket_start_nothing(attempt: Attempt) -> None:
    with waiting(attempt, PODTASK_IDLE_SECONDS="1") as runner:
        content = by_document(runner, replace(runner.grants(), uid="of another run"))
        runner.put_grants(content)
        runner.put_claim(claim_of(content))
        assert runner.process.wait(60) != 0
    assert not (attempt.root / "result").exists()


def test_large_grants_that_are_not_there_are_a_store_that_is_away(attempt: Attempt) -> None:
    with waiting(attempt) as runner:
        content = by_document(runner, runner.grants(), timeout=0.5)
        (attempt.root / "stored-grants").unlink()
        runner.put_grants(content)
        runner.put_claim(claim_of(content))
        assert runner.process.wait(60) != 0
    last = protocol.load_outcome((attempt.root / "termination").read_bytes())
    assert last.outcome in (Verdict.STORE_UNAVAILABLE, Verdict.INPUT_CORRUPTED)
