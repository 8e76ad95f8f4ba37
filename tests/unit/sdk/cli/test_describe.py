"""`podtask describe`: the page as a golden, and the one thing to do next for every state."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from tests.unit.sdk.cli.conftest import NOW, Terminal
from tests.unit.sdk.cli.runs import FAILED, attempt, run

from podtask.inspection.next_step import next_step
from podtask.inspection.task_run import SeenTaskRun

GOLDEN = Path(__file__).with_name("describe.golden.txt")
CONDITIONS = [
    {"type": "Succeeded", "status": "False", "reason": "OutOfMemory", "lastTransitionTime": "2026-01-02T03:05:05Z"},
    {"type": "Finished", "status": "True", "reason": "Failed", "lastTransitionTime": "2026-01-02T03:05:05Z"},
]


def event(uid: str, kind: str, name: str, reason: str, second: int, **more: object) -> dict[str, object]:
    """An Event as kubelet and operator write it."""
    about = {"kind": kind, "name": name, "uid": uid}
    return {
        "involvedObject": about,
        "type": "Normal",
        "reason": reason,
        "message": f"{reason}  was\nsaid",
        "lastTimestamp": f"2026-01-02T03:04:{second:02}Z",
        **more,
    }


def test_the_page_of_a_run_with_everything(podtask: Terminal) -> None:
    killed = attempt(
        2,
        cause="Retry",
        podUID="pod-2",
        outcome="OutOfMemory",
        reason="OutOfMemory",
        exitCode=137,
        message="The container reached its memory limit.",
        cure="Raise resources.memory.",
    )
    status = {
        "reason": "OutOfMemory",
        "attempts": [FAILED, killed],
        "attemptsTotal": 2,
        "retriesUsed": 1,
        "conditions": CONDITIONS,
        "error": {"type": "OutOfMemory", "message": "limit reached", "cure": "Raise resources.memory."},
        "cache": {"key": "k1:abc", "outcome": "Miss", "missReason": "no entry of this key"},
    }
    labels = {"podtask.dev/flow": "etl", "podtask.dev/flow-run": "etl-1"}
    spec = {"retries": 3, "tags": ["big"], "upstream": [{"taskRun": "first"}], "waitFor": [{"taskRun": "second"}]}
    podtask.cluster.add(run("load", "Failed", status=status, labels=labels, spec=spec))
    podtask.cluster.events = [
        event("pod-2", "Pod", "load-2", "Scheduled", 9, count=3),
        event(
            "uid-load", "TaskRun", "load", "AttemptStarted", 6, lastTimestamp=None, eventTime="2026-01-02T03:04:06.5Z"
        ),
        event("another", "Pod", "other-1", "Scheduled", 9),
    ]
    podtask.store.put(podtask.keys("uid-load", 2).log + "000001", b"".join(b"line %d\n" % n for n in range(15)))
    podtask.store.put(podtask.keys("uid-load", 2).log + "000002", b"".join(b"line %d\n" % n for n in range(15, 24)))
    said = podtask("describe load -n team")
    assert said.status == 0, said.err
    assert said.out == GOLDEN.read_text(), "if this is right, write it to describe.golden.txt"


def test_an_upstream_that_may_fail_is_marked(podtask: Terminal) -> None:
    spec = {
        "upstream": [{"taskRun": "a", "allowFailure": True}, {"taskRun": "b"}],
        "waitFor": [{"taskRun": "b", "allowFailure": True}, {"taskRun": "c", "allowFailure": True}],
    }
    podtask.cluster.add(run("x", "Completed", spec=spec))
    lines = [" ".join(line.split()) for line in podtask("describe x").out.splitlines()]
    assert {"Upstream: a (may fail), b", "Waits for: b, c (may fail)"} <= set(lines)


def test_a_run_without_a_key_says_why_it_was_not_cached(podtask: Terminal) -> None:
    why = "No key can be made of the inputs: args['df'][3].lock: a _thread:lock cannot be hashed"
    podtask.cluster.add(run("moody", "Completed", status={"cache": {"outcome": "Off", "missReason": why}}))
    assert f"Off ({why})\n" in podtask("describe moody").out


def test_who_may_not_read_events_sees_the_rest(podtask: Terminal) -> None:
    from tests.unit.sdk.cli.apiserver import Refuse

    def no(_: object) -> dict[str, object]:
        raise Refuse(403, "Forbidden", 'events is forbidden: User "ada" cannot list resource "events"')

    podtask.cluster.add(run("load", "Failed"))
    podtask.cluster.other["/api/v1/namespaces/team/events"] = no
    said = podtask("describe load")
    assert said.status == 0
    assert "Events:" not in said.out
    assert "Next: " in said.out


def test_the_story_of_one_second_is_told_in_its_order(podtask: Terminal) -> None:
    recorder = ["AttemptStarted", "AttemptFailed", "AttemptStarted", "AttemptFailed", "Failed"]
    podtask.cluster.add(run("load", "Failed", status={"attempts": [attempt(2, podUID="pod-2")], "attemptsTotal": 2}))
    podtask.cluster.events = [
        event("uid-load", "TaskRun", "load", reason, 6, metadata={"name": f"load.18{number:014x}"})
        for number, reason in reversed([*enumerate(recorder)])
    ] + [
        event("pod-2", "Pod", "load-2", "Pulled", 6, metadata={"name": "load-2.18a"}),
        event(
            "pod-2",
            "Pod",
            "load-2",
            "Scheduled",
            0,
            metadata={"name": "load-2.x7k2p"},
            lastTimestamp=None,
            eventTime="2026-01-02T03:04:06.5Z",
        ),
    ]
    said = podtask("describe load").out
    told = said[said.index("REASON           MESSAGE") :].split("\n\n")[0].splitlines()[1:]
    assert [line.split()[3] for line in told] == [*recorder, "Scheduled", "Pulled"]


def test_the_latest_run_has_two_more_names(podtask: Terminal) -> None:
    podtask.cluster.add(run("old", "Failed", minute=3), run("new", "Completed", minute=9))
    pages = {podtask(f"describe {name}").out for name in ("new", "ptr/new", "@latest", "-L")}
    assert len(pages) == 1
    assert pages.pop().startswith("Name:        new\n")


@pytest.mark.parametrize(
    ("line", "status", "sentence"),
    {
        "no name": (
            "describe",
            2,
            "podtask: Which TaskRun? Give its name, or -L for the newest one; 'podtask list'.\n",
        ),
        "a name and -L": ("describe load -L", 2, "podtask: Say 'load' or -L, not both.\n"),
        "a name that is nearly one": (
            "describe laod",
            3,
            "podtask: There is no TaskRun 'laod' in namespace 'team': did you mean 'load'?\n",
        ),
        "a name that is none": (
            "describe xyz -n other",
            3,
            "podtask: There is no TaskRun 'xyz' in namespace 'other': 'podtask list -n other' shows which there are, "
            "-n looks elsewhere.\n",
        ),
        "the latest of nothing": (
            "describe -L -n other",
            3,
            "podtask: There are no TaskRuns in namespace 'other' (-n).\n",
        ),
    }.values(),
)
def test_a_run_that_cannot_be_meant_is_a_sentence(podtask: Terminal, line: str, status: int, sentence: str) -> None:
    podtask.cluster.add(run("load", "Failed"))
    said = podtask(line)
    assert (said.status, said.out, said.err) == (status, "", sentence)


ANEW = "if the spec has to change: podtask cancel x, then create it under another name"
STEPS = {
    "it is so young that the operator has not seen it": (
        run("x", None, minute=14),
        "the operator has not seen it yet; podtask wait x",
    ),
    "the operator has not seen it for long": (
        run("x", None),
        "the operator has not seen it; find out why: podtask doctor",
    ),
    "it completed": (run("x", "Completed"), "podtask result x"),
    "an upstream failed": (
        run(
            "x",
            "NotReady",
            spec={"upstream": [{"taskRun": "zeroth"}], "waitFor": [{"taskRun": "first"}]},
            status={"failedUpstream": "first", "message": "In words that do not name zeroth or any other."},
        ),
        "see why the upstream failed: podtask describe first",
    ),
    "an upstream failed, as an older operator wrote": (
        run("x", "NotReady", spec={"upstream": [{"taskRun": "zeroth"}, {"taskRun": "first"}]}),
        "see why the upstream failed: podtask describe zeroth",
    ),
    "an upstream failed that may not, as an older operator wrote": (
        run("x", "NotReady", spec={"upstream": [{"taskRun": "may", "allowFailure": True}, {"taskRun": "first"}]}),
        "see why the upstream failed: podtask describe first",
    ),
    "it was cancelled": (run("x", "Cancelled"), "start it again under a new name: podtask retry x"),
    "its manifest is wrong": (
        run("x", "Failed", status={"reason": "InvalidSpec"}),
        "correct the manifest, then: podtask delete x and podtask submit -f FILE",
    ),
    "it failed with a traceback": (run("x", "Failed"), "see the traceback: podtask error x; then podtask retry x"),
    "it failed with a cure": (
        run("x", "Failed", status={"error": {"type": "OutOfMemory", "message": "m", "cure": "Raise the memory."}}),
        "Raise the memory; then podtask retry x",
    ),
    "it ended without more words": (run("x", "TimedOut"), "podtask retry x"),
    "it is suspended": (run("x", "Pending"), "podtask resume x"),
    "it waits for an upstream": (
        run("x", "Pending", status={"reason": "WaitingForUpstream"}),
        "it starts when its upstreams are done: podtask wait x",
    ),
    "no node takes its pod": (
        run("x", "Pending", status={"reason": "Unschedulable", "attemptsTotal": 2}),
        "Ask for less in spec.resources, correct spec.nodeSelector or spec.tolerations, or add a node; "
        f"kubectl describe pod x-2 -n team; {ANEW}",
    ),
    "the API server refuses its pod": (
        run("x", "Pending", status={"reason": "AdmissionRefused", "cure": "Create the ServiceAccount that is named."}),
        f"Create the ServiceAccount that is named; {ANEW}",
    ),
    "the quota is used up": (
        run("x", "Pending", status={"reason": "Quota"}),
        f"Raise the ResourceQuota, or wait for other pods to end; kubectl describe quota -n team; {ANEW}",
    ),
    "it runs": (run("x", "Running"), "podtask logs -f x"),
    "it waits for anything else": (run("x", "Pending", status={"reason": "Queued"}), "podtask wait x"),
}


@pytest.mark.parametrize("case", STEPS)
def test_what_to_do_next_when(case: str) -> None:
    obj, advice = STEPS[case]
    assert next_step(SeenTaskRun(obj), NOW) == advice


EVIL = "\x1b]52;c;Y3VybCBldmlsfHNo\x07\x1b[2J\x9b2J"


def test_what_others_wrote_commands_no_terminal(podtask: Terminal) -> None:
    """Names and tags are the creator's; type, message, cure and traceback the pod's; Events anybody's."""
    failed = {**FAILED, "message": f"ValueError: {EVIL}", "cure": f"run {EVIL}"}
    error = {"type": f"ValueError{EVIL}", "message": EVIL, "cure": EVIL, "traceback": f"Traceback {EVIL}"}
    status = {"message": EVIL, "attempts": [failed], "error": error}
    spec = {"task": {"name": f"t{EVIL}", "source": "x"}, "tags": [f"a{EVIL}"]}
    podtask.cluster.add(run("load", "Failed", status=status, spec=spec))
    podtask.cluster.events.append(
        {
            "involvedObject": {"uid": "uid-load"}, "type": "Warning", "reason": f"R{EVIL}", "message": EVIL,
            "lastTimestamp": "2026-01-02T03:04:10Z", "metadata": {},
        }
    )  # fmt: skip
    for line in ("describe load", "list -o wide", "error load", "wait load", "list -o json", "list -o yaml"):
        said = podtask(line)
        assert not {"\x1b", "\x07", "\x9b"} & set(said.out + said.err), line
    assert "\\x1b]52;c;" in podtask("describe load").out
    assert json.loads(podtask("list -o json").out)["items"][0]["status"]["message"] == EVIL
    assert yaml.safe_load(podtask("list -o yaml").out)["items"][0]["status"]["message"] == EVIL
