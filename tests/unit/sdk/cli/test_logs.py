"""`podtask logs`: from the pod while it runs, from the bucket ever after, over all attempts of all runs."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import cast

import pytest
from tests.unit.sdk.cli.conftest import Terminal
from tests.unit.sdk.cli.runs import FAILED, STATES, attempt, run

from podtask.inspection.cluster import Cluster
from podtask.kube.client import Api
from podtask.kube.errors import ClusterUnreachable

FLOW_RUN = {"podtask.dev/flow-run": "etl-1"}
POD_LOG = "2026-01-02T03:04:07.100000001Z one\n2026-01-02T03:04:07.200000001Z \n2026-01-02T03:04:07.300000001Z three\n"


def stored(podtask: Terminal, uid: str, attempt: int, *pieces: bytes) -> None:
    """A log in the bucket."""
    for number, piece in enumerate(pieces, 1):
        podtask.store.put(f"{podtask.keys(uid, attempt).log}{number:06d}", piece)


@pytest.fixture
def two_attempts(podtask: Terminal) -> Terminal:
    """A finished run with two attempts, whose pods are gone."""
    status = {"attempts": [FAILED, attempt(2, outcome="Completed")], "attemptsTotal": 2}
    podtask.cluster.add(run("load", "Completed", status=status))
    stored(podtask, "uid-load", 1, b"first\n")
    stored(podtask, "uid-load", 2, b"one\ntw", b"o\nno end")
    return podtask


@pytest.mark.parametrize(
    ("options", "out"),
    {
        "the newest attempt, lines put together across pieces": ("", "one\ntwo\nno end\n"),
        "an older one": ("--attempt 1", "first\n"),
        "all of them, each behind a title": (
            "--all-attempts",
            "==> attempt 1 (Failed) <==\nfirst\n==> attempt 2 (Completed) <==\none\ntwo\nno end\n",
        ),
        "all of them, each line behind its name": (
            "--all-attempts --prefix",
            "[load/1] first\n[load/2] one\n[load/2] two\n[load/2] no end\n",
        ),
        "the last lines": ("--tail 2", "two\nno end\n"),
        "followed, it is the same": ("-f --all-attempts", "first\none\ntwo\nno end\n"),
        "followed, one attempt": ("-f --attempt 1", "first\n"),
    }.values(),
)
def test_a_log_in_the_bucket(two_attempts: Terminal, options: str, out: str) -> None:
    said = two_attempts(f"logs load {options}")
    assert (said.status, said.out, said.err) == (0, out, "")


BAR = b"=" * 300_000
"""What a progress bar prints: no line has an end."""


@pytest.mark.parametrize(
    "pieces", [[BAR, BAR], [BAR, b"=\n" + BAR], [BAR[:65536], b"\n", BAR], [b"\n" * 3, BAR + b"\n"]]
)
def test_lines_without_an_end_are_bounded_and_whole(podtask: Terminal, pieces: list[bytes]) -> None:
    podtask.cluster.add(run("load", "Completed"), run("now", "Running"))
    stored(podtask, "uid-load", 1, *pieces)
    whole = b"".join(pieces).decode().removesuffix("\n") + "\n"
    podtask.cluster.pods["team", "now-1"] = {}
    podtask.cluster.logs["now-1"] = "".join(f"2026-01-02T03:04:07Z {line}\n" for line in whole[:-1].split("\n"))
    for name in ("load", "now"):
        assert podtask(f"logs {name}").out == whole
        lines = podtask(f"logs {name} --prefix").out.splitlines()
        assert max(len(line) for line in lines) <= len(f"[{name}/1] ") + 65536
        assert "".join(line.removeprefix(f"[{name}/1] ") for line in lines) == whole.replace("\n", "")
        timed = podtask(f"logs {name} --timestamps").out.splitlines()
        assert [line[:2] for line in timed] == ["20"] * len(lines)


def test_the_end_of_a_log_without_line_ends_is_a_part_of_it(podtask: Terminal) -> None:
    podtask.cluster.add(run("load", "Completed"))
    stored(podtask, "uid-load", 1, *[BAR] * 10)
    said = podtask("describe load")
    assert (said.status, 1_300_000 < said.out.count("=") < 1_800_000) == (0, True)
    assert podtask("logs load --tail 1").out.count("=") <= 65536


def test_a_long_line_comes_once_over_a_broken_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    first, again = [(b"1", b"a\n"), (b"2", b"bb"), (b"2", b"c")], [(b"2", b"bb"), (b"2", b"cd"), (b"2", b"e\n")]
    answers = [(first, True), (again[:1], True), ([(b"1", b"a\n"), *again, (b"3", b"f\n")], False)]

    def asked(*_: object, **__: object) -> Iterator[tuple[bytes, bytes]]:
        lines, breaks = answers.pop(0)
        yield from lines
        if breaks:
            raise ClusterUnreachable("gone")

    monkeypatch.setattr(Cluster, "_log", asked)
    monkeypatch.setattr("podtask.inspection.cluster.PAUSE_SECONDS", 0.0)
    got = list(Cluster(cast("Api", None), "team").log("team", "load-1", follow=True))
    assert got == [*first, (b"2", b"d"), (b"2", b"e\n"), (b"3", b"f\n")]


def test_times_in_the_bucket_are_those_of_the_pieces(two_attempts: Terminal) -> None:
    lines = two_attempts("logs load --timestamps --attempt 1").out.splitlines()
    assert [line[19:] for line in lines] == ["Z first"]
    assert lines[0][:2] == "20"


def test_a_running_attempt_is_read_from_its_pod(podtask: Terminal) -> None:
    podtask.cluster.add(run("load", "Running"))
    podtask.cluster.pods["team", "load-1"] = {}
    podtask.cluster.logs["load-1"] = POD_LOG
    assert podtask("logs load").out == "one\n\nthree\n"
    assert podtask("logs load --timestamps").out == POD_LOG
    assert podtask("logs load --tail 1").out == "three\n"


def test_times_of_a_node_that_is_not_on_utc_are_told_in_utc(podtask: Terminal) -> None:
    """Those of the bucket are, and what is asked for after a broken connection is, by the newest of them."""
    podtask.cluster.add(run("load", "Running"))
    podtask.cluster.pods["team", "load-1"] = {}
    podtask.cluster.logs["load-1"] = POD_LOG.replace("T03", "T05").replace("Z", "+02:00")
    assert podtask("logs load --timestamps").out == POD_LOG


def test_what_the_kubelet_says_instead_of_a_log_is_shown_whole(podtask: Terminal) -> None:
    podtask.cluster.add(run("load", "Running"))
    podtask.cluster.pods["team", "load-1"] = {}
    podtask.cluster.logs["load-1"] = "unable to retrieve container logs for cri-o://0123\n"
    assert podtask("logs load").out == podtask.cluster.logs["load-1"]


def test_following_waits_for_the_pod_and_goes_on_to_the_next_attempt(podtask: Terminal) -> None:
    podtask.cluster.add(run("load", "Running"))
    podtask.cluster.pods["team", "load-1"] = {}
    podtask.cluster.logs["load-1"] = POD_LOG
    again = {"attempts": [FAILED, attempt(2, finishedAt=None)], "attemptsTotal": 2}
    podtask.cluster.news = [("MODIFIED", run("load", "Running", status=again))]
    over = {"attempts": [FAILED, attempt(2, outcome="Completed")], "attemptsTotal": 2}
    stored(podtask, "uid-load", 2, b"second\n")

    def ended(_: object) -> dict[str, object]:
        podtask.cluster.add(run("load", "Completed", status=over))
        podtask.cluster.other.clear()
        return podtask.cluster.runs["team", "load"]

    # The pod of the second attempt is never there; the next look at the run says that it is over.
    path = "/apis/podtask.dev/v1alpha1/namespaces/team/taskruns/load"
    podtask.cluster.then = lambda: podtask.cluster.other.__setitem__(path, ended)
    said = podtask("logs load -f")
    assert (said.status, said.out) == (0, "one\n\nthree\nsecond\n")


def test_one_ctrl_c_ends_following_a_flow_run(podtask: Terminal) -> None:
    podtask.cluster.add(run("load", "Running", labels=FLOW_RUN))
    podtask.cluster.pods["team", "load-1"] = {}
    podtask.cluster.logs["load-1"] = POD_LOG
    line = [sys.executable, "-m", "podtask.cli", "logs", "-f", "--flow-run", "etl-1"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        try:
            assert command.stdout.readline() == b"[load/1] one\n"
            command.send_signal(signal.SIGINT)
            assert (command.wait(60), command.stderr.read().strip()) == (130, b"")
        finally:
            command.kill()


def test_a_run_that_started_no_pod_says_why_there_is_no_log(podtask: Terminal) -> None:
    podtask.cluster.add(run("load", "Pending"))
    cached = {**STATES["Completed"], "state": "Cached", "attemptsTotal": 0, "attempts": []}
    podtask.cluster.add(run("again", None, status={**cached, "cache": {"outcome": "Hit", "sourceRun": "first"}}))
    said = podtask("logs load")
    assert (said.status, said.out) == (0, "")
    assert said.err == "podtask: TaskRun 'load' is Pending (Suspended) and has started no pod, so there is no log.\n"
    for line in ("logs again", "logs -f again"):
        assert podtask(line).err.endswith("Its result is that of first: podtask logs first.\n")


def test_an_attempt_that_never_was_is_an_error(two_attempts: Terminal) -> None:
    said = two_attempts("logs load --attempt 3")
    assert (said.status, said.err) == (3, "podtask: TaskRun 'load' has no attempt 3: it has 2.\n")


def test_without_the_bucket_it_is_the_pods_log_and_without_the_pod_a_sentence(
    podtask: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PODTASK_STORE")
    podtask.cluster.add(run("load", "Completed"))
    said = podtask("logs load")
    assert said.status == 1
    assert said.err.startswith(
        "podtask: The log of attempt 1 of TaskRun team/load is in the cluster's bucket, and nobody"
    )
    assert "PODTASK_STORE" in said.err
    podtask.cluster.pods["team", "load-1"] = {}
    podtask.cluster.logs["load-1"] = POD_LOG
    said = podtask("logs load")
    assert (said.status, said.out) == (0, "one\n\nthree\n")
    assert said.err.startswith("podtask: from the pod, which keeps the newest 10 MB only. ")


def test_a_flow_run_has_each_line_behind_its_run(podtask: Terminal) -> None:
    podtask.cluster.add(
        run("b", "Completed", minute=5, labels=FLOW_RUN), run("a", "Completed", minute=6, labels=FLOW_RUN)
    )
    stored(podtask, "uid-a", 1, b"from a\n")
    stored(podtask, "uid-b", 1, b"from b\n")
    assert podtask("logs --flow-run etl-1").out == "[b/1] from b\n[a/1] from a\n"
    assert sorted(podtask("logs --flow-run etl-1 -f").out.splitlines()) == ["[a/1] from a", "[b/1] from b"]
    assert podtask("logs --flow-run nothing").status == 3


@pytest.mark.parametrize("line", ["-f --tail 3 x", "--attempt 1 --all-attempts x", "--flow-run r x", "--attempt 0 x"])
def test_options_that_do_not_go_together(podtask: Terminal, line: str) -> None:
    assert podtask(f"logs {line}").status == 2


@pytest.mark.parametrize(
    "owners", [[], [{"controller": True, "uid": "uid-of-an-earlier-run"}], [{"controller": False, "uid": "uid-load"}]]
)
@pytest.mark.parametrize("state", ["Running", "Completed"])
def test_the_log_of_another_objects_pod_is_not_the_runs(
    podtask: Terminal, state: str, owners: list[dict[str, object]]
) -> None:
    """An orphan of an earlier run of the name, or a pod that somebody made."""
    podtask.cluster.add(run("load", state))
    podtask.cluster.pods["team", "load-1"] = {"metadata": {"ownerReferences": owners}}
    podtask.cluster.logs["load-1"] = POD_LOG
    for line in ("logs load", "logs load --tail 1"):
        said = podtask(line)
        assert (said.status, said.out) == (0, "")
        assert "pod 'load-1' belongs to another object than TaskRun 'load'" in said.err
    assert "three" not in podtask("describe load").out


def test_following_waits_for_the_runs_own_pod_and_says_whose_is_there(
    podtask: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    podtask.cluster.add(run("load", "Running"))
    podtask.cluster.pods["team", "load-1"] = {"metadata": {"ownerReferences": []}}
    podtask.cluster.logs["load-1"] = POD_LOG
    looks = []

    def looked(_: float) -> None:
        looks.append(1)
        if len(looks) == 2:  # the other pod is gone, and its own one is there
            podtask.cluster.pods["team", "load-1"] = {"spec": {}}
            podtask.cluster.add(run("load", "Completed"))  # nothing more is to come

    monkeypatch.setattr("podtask.inspection.log_sources.time.sleep", looked)
    said = podtask("logs load -f")
    assert (said.out, said.err.count("belongs to another object")) == ("one\n\nthree\n", 1)
    assert len(looks) == 2
