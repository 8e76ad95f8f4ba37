"""A real runner of a pool with `preload`: the modules are there, and whatever an import does, the pod serves."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.unit.runner.harness import RUNNER, Attempt, Ran, inline
from tests.unit.runner.process.test_idle import POD, SOURCE, Waiting, claim_of, waiting

from podtask_runner import protocol
from podtask_runner.bundle import archive
from podtask_runner.process import doorbell, preload
from podtask_runner.protocol import Code, Grants, Verdict

LOADED = "import sys\ndef main():\n    return ['slow' in sys.modules, 'other' in sys.modules]\n"


class Pool:
    """Modules in the image, and the port where the operator listens."""

    def __init__(self, folder: Path, bell: socket.socket) -> None:
        self.folder, self._bell = folder, bell
        folder.mkdir()

    def module(self, name: str, text: str = "") -> None:
        (self.folder / f"{name}.py").write_text(text)

    def environment(self, *names: str) -> dict[str, str]:
        return {
            "PYTHONPATH": f"{RUNNER}{os.pathsep}{self.folder}",
            "PODTASK_PRELOAD": ",".join(names),
            "PODTASK_DOORBELL": f"127.0.0.1:{self._bell.getsockname()[1]}",
        }

    def heard(self) -> dict[str, Any]:
        """What the next datagram says."""
        found: dict[str, Any] = json.loads(self._bell.recv(2048))
        return found


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bell:
        bell.bind(("127.0.0.1", 0))
        bell.settimeout(30)
        yield Pool(tmp_path / "image", bell)


@contextmanager
def imported(attempt: Attempt, pool: Pool, *names: str) -> Iterator[tuple[Waiting, dict[str, Any]]]:
    """A runner that has said what came of its imports."""
    with waiting(attempt, **pool.environment(*names)) as runner:
        yield runner, pool.heard()


def serve(runner: Waiting, grants: Grants) -> Ran:
    data = protocol.dump(grants)
    runner.put_grants(data)
    runner.put_claim(claim_of(data))
    return runner.end()


def test_what_was_imported_is_there_before_the_attempt_comes(attempt: Attempt, pool: Pool) -> None:
    pool.module("slow")
    with imported(attempt, pool, "slow") as (runner, said):
        assert said == {"pod": POD, "failed": [], "why": ""}
        ran = serve(runner, runner.grants(LOADED))
    assert (ran.exit_code, ran.result.value, ran.stdout) == (0, "[true,false]", "")


ENDS = {
    "missing": ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    "raises": ("raise ValueError('x' * 5000)", "ValueError: xxx"),
    "exits": ("raise SystemExit(3)", "SystemExit: 3"),
    "cannot be shown": ("class E(Exception):\n    def __str__(self): 1 / 0\nraise E", "E: (its message could not"),
    "is no Python": ("def", "SyntaxError: "),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_module_that_cannot_be_imported_is_named_and_the_others_are_there(
    attempt: Attempt, pool: Pool, end: str
) -> None:
    text, why = ENDS[end]
    pool.module("other", text)
    pool.module("slow")
    with imported(attempt, pool, "other", "slow") as (runner, said):
        assert said["failed"] == [0]
        assert said["why"].startswith(why)
        assert len(said["why"]) <= preload.WORDS
        ran = serve(runner, runner.grants(LOADED))
    assert ran.result.value == "[true,false]"
    assert ran.stdout.startswith(f"podtask: preload: cannot import other: {why}")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("import os; os._exit(0)", "ended by itself (status 0)"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended by itself (status "),
        ("import os; os.killpg(0, 9)", "ended by itself (status 9)"),
    ],
    ids=["leaves", "crashes", "kills its group"],
)
def test_an_import_that_ends_its_process_leaves_a_pod_that_serves(
    attempt: Attempt, pool: Pool, text: str, why: str
) -> None:
    pool.module("slow")
    pool.module("other", text)
    with imported(attempt, pool, "slow", "other") as (runner, said):
        assert said["failed"] == [0, 1]
        assert why in said["why"]
        ran = serve(runner, runner.grants(LOADED))
    assert ran.result.value == "[false,false]"
    assert ran.outcome.outcome is Verdict.COMPLETED


def test_the_last_words_of_such_a_process_are_not_those_of_the_attempt(attempt: Attempt, pool: Pool) -> None:
    pool.module("other", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    with imported(attempt, pool, "other") as (runner, _):
        ran = serve(runner, runner.grants("import os\ndef main():\n    os._exit(7)\n"))
    assert ran.outcome.outcome is Verdict.CRASHED
    assert ran.error.traceback is None
    assert "Segmentation" not in ran.stdout


def test_an_attempt_that_comes_while_modules_are_imported_does_not_wait_for_them(attempt: Attempt, pool: Pool) -> None:
    began = pool.folder / "began"
    pool.module("slow", f"open({str(began)!r}, 'w').close()\nimport time\ntime.sleep(600)\n")
    with waiting(attempt, **pool.environment("slow")) as runner:
        _until(began.exists)
        ran = serve(runner, runner.grants(LOADED))
    assert ran.result.value == "[false,false]"


def test_a_process_that_a_module_forks_never_takes_the_attempt(attempt: Attempt, pool: Pool) -> None:
    pool.module("other", "import os\npid = os.fork()\nif pid == 0: raise SystemExit(0)\nos.waitpid(pid, 0)\n")
    pool.module("slow", "import os\npid = os.fork()\nif pid: os.waitpid(pid, 0)\n")
    starts = attempt.root / "starts"
    with imported(attempt, pool, "other", "slow") as (runner, said):
        assert said["failed"] == []
        source = f"def main():\n    open({str(starts)!r}, 'a').write('x')\n"
        assert serve(runner, runner.grants(source)).outcome.outcome is Verdict.COMPLETED
    assert starts.read_text() == "x"


def project(**modules: str) -> bytes:
    names = {name: f"{name}.py" for name in modules}
    return archive.write(names, {f"{name}.py": text.encode() for name, text in modules.items()})


def test_a_project_with_a_module_of_that_name_is_run_with_its_own(served: Attempt, pool: Pool) -> None:
    """Else a warm attempt would run the image's old code, and a cold one the project's, under one cache key."""
    pool.module("slow", "VERSION = 'of the image'\n")
    code = Code(entrypoint="slow:main", bundle=inline(project(slow="import sys\ndef main():\n    return __file__\n")))
    with imported(served, pool, "slow") as (runner, said):
        assert said["failed"] == []
        ran = serve(runner, runner.attempt.grants(code, v=2))
    assert ran.outcome.outcome is Verdict.COMPLETED, ran.outcome
    assert str(pool.folder) not in (ran.result.value or "")


def test_a_project_with_other_modules_finds_what_was_preloaded(served: Attempt, pool: Pool) -> None:
    pool.module("slow")
    text = "import sys\ndef main():\n    return 'slow' in sys.modules\n"
    code = Code(entrypoint="mine:main", bundle=inline(project(mine=text)))
    with imported(served, pool, "slow") as (runner, _):
        ran = serve(runner, runner.attempt.grants(code, v=2))
    assert ran.result.value == "true"


def test_a_task_that_names_a_module_of_the_runners_is_refused_as_in_a_cold_pod(served: Attempt, pool: Pool) -> None:
    pool.module("slow")
    code = Code(entrypoint="json:main", bundle=inline(project(json="def main(): pass\n")))
    with imported(served, pool, "slow") as (runner, _):
        ran = serve(runner, runner.attempt.grants(code, v=2))
    assert ran.outcome.outcome is Verdict.ENVIRONMENT_MISMATCH


def test_when_the_task_runs_nobody_waits_beside_it(attempt: Attempt, pool: Pool) -> None:
    pool.module("slow")
    source = (
        "import os\nfrom pathlib import Path\n"
        "def main():\n"
        "    parent = os.getppid()\n"
        "    def lives(pid):\n"
        "        try: return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'\n"
        "        except OSError: return False\n"
        "    def others():\n"
        "        pids = Path(f'/proc/{parent}/task/{parent}/children').read_text().split()\n"
        "        return [pid for pid in pids if int(pid) != os.getpid() and lives(pid)]\n"
        "    while others(): os.sched_yield()\n"
        "    return 'alone'\n"
    )
    with imported(attempt, pool, "slow") as (runner, _):
        ran = serve(runner, runner.grants(source))
    assert ran.result.value == '"alone"'


def test_told_to_stop_it_leaves_nobody(attempt: Attempt, pool: Pool) -> None:
    pool.module("slow")
    with imported(attempt, pool, "slow") as (runner, _):
        runner.process.terminate()
        ran = runner.end()
    assert ran.outcome.outcome is Verdict.NEVER_STARTED


def test_without_a_doorbell_it_serves_as_well(attempt: Attempt, pool: Pool) -> None:
    pool.module("slow")
    environment = {**pool.environment("slow"), "PODTASK_DOORBELL": ""}
    with waiting(attempt, **environment) as runner:
        assert serve(runner, runner.grants(SOURCE)).result.value == "42"


@pytest.mark.parametrize("written", [b"", b"[", b"[1]", b"3", b'["a", 3]', b"[[7, -1, true, 0.5], 9]", b"[" * 99_999])
def test_whatever_a_module_writes_in_the_place_of_the_report_is_bounded(written: bytes, tmp_path: Path) -> None:
    (tmp_path / "report").write_bytes(written)
    came = preload.read(tmp_path / "report", ["a", "b"])
    assert came is not None
    assert set(came.failed) <= {0, 1}
    assert len(came.why) <= preload.WORDS


@pytest.mark.parametrize("why", ["", "é" * preload.WORDS, "\udc80\x00\n" * 100], ids=["nothing", "long", "odd"])
def test_a_datagram_is_short_whatever_it_says(why: str) -> None:
    data = doorbell.preloaded("u" * 63, range(16), why)
    assert len(data) <= doorbell.LONGEST
    assert json.loads(data)["failed"] == list(range(16))


def _until(condition: Callable[[], bool]) -> None:
    """Bounded by the test's own timeout."""
    while not condition():
        os.sched_yield()
