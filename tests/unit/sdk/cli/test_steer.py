"""`wait`, `submit`, `cancel`, `suspend`, `resume`, `delete`: what is asked of the API server, and what is said."""

from __future__ import annotations

import json

import pytest
from tests.unit.sdk.cli.apiserver import Refuse
from tests.unit.sdk.cli.conftest import Terminal
from tests.unit.sdk.cli.runs import run

RUNS = "/apis/podtask.dev/v1alpha1/namespaces/team/taskruns"
HELLO = """
apiVersion: podtask.dev/v1alpha1
kind: TaskRun
metadata: {name: hello}
spec:
  task: {source: "def main(day): return day"}
  parameters: {day: 2026-01-02}
"""


@pytest.mark.parametrize(
    ("state", "status"),
    {"Completed": 0, "Failed": 10, "Crashed": 11, "TimedOut": 12, "Cancelled": 13, "NotReady": 14}.items(),
)
def test_the_exit_status_of_wait_is_the_outcome(podtask: Terminal, state: str, status: int) -> None:
    podtask.cluster.add(run("x", "Running"))
    podtask.cluster.news = [("MODIFIED", run("x", "Running")), ("MODIFIED", run("x", state))]
    said = podtask("wait x")
    assert said.status == status
    assert said.out.startswith(f"x {state}")
    assert podtask("wait x --quiet") == type(said)(status, "", "")


def test_of_several_runs_the_first_that_did_not_succeed_decides(podtask: Terminal) -> None:
    labels = {"podtask.dev/flow-run": "etl-1"}
    podtask.cluster.add(
        run("a", "Completed", labels=labels), run("b", "Running", labels=labels), run("c", "TimedOut", labels=labels)
    )
    podtask.cluster.news = [("MODIFIED", run("b", "Failed", labels=labels))]
    said = podtask("wait --flow-run etl-1")
    assert said.status == 10
    assert said.out == "a Completed after 59s\nc TimedOut after 59s\nb Failed after 59s\n"
    assert "podtask: b: ValueError: no luck\nNext: see the traceback" in said.err


def test_a_run_that_is_deleted_while_it_is_waited_for_is_an_error(podtask: Terminal) -> None:
    podtask.cluster.add(run("x", "Running"))
    podtask.cluster.news = [("DELETED", run("x", "Running"))]
    said = podtask("wait x")
    assert (said.status, said.err) == (3, "podtask: TaskRun 'x' was deleted before it ended.\n")


def test_waiting_outlives_an_api_server_that_starts_again(podtask: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podtask.inspection.cluster.PAUSE_SECONDS", 0)
    podtask.cluster.add(run("x", "Running"))
    away = Refuse(503, "ServiceUnavailable", "the server is currently unable to handle the request")
    answers: list[object] = [{"items": [run("x", "Running")]}, away, away, away, {"items": [run("x", "Completed")]}]

    def answer(_: object) -> dict[str, object]:
        found = answers.pop(0)
        if isinstance(found, Refuse):
            raise found
        assert isinstance(found, dict)
        return found

    podtask.cluster.other[RUNS] = answer
    said = podtask("wait x")
    assert (said.status, said.out, said.err) == (0, "x Completed after 59s\n", "")


@pytest.mark.parametrize("command", ["wait x", "watch x", "logs -f x --attempt 2"])
def test_a_run_that_is_deleted_while_the_watch_is_interrupted_is_an_error(
    podtask: Terminal, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr("podtask.inspection.cluster.PAUSE_SECONDS", 0)
    podtask.cluster.add(run("x", "Running"))
    gone: list[object] = [{"items": [run("x", "Running")]}, Refuse(410, "Expired", "too old resource version"), {}]

    def answer(_: object) -> dict[str, object]:
        found = gone.pop(0) if gone else Refuse(400, "BadRequest", "it is watched on")
        if isinstance(found, Refuse):
            raise found
        assert isinstance(found, dict)
        return found

    podtask.cluster.other[RUNS] = answer
    said = podtask(command)
    assert "podtask: TaskRun 'x' was deleted" in said.err


def test_a_suggested_command_reaches_the_same_cluster(podtask: Terminal) -> None:
    podtask.cluster.add(run("x", "Cancelled"))
    said = podtask("wait x --context here -n team")
    assert said.err.endswith("Next: start it again under a new name: podtask retry x -n team --context here\n")


def test_waiting_ends_when_time_is_up(podtask: Terminal) -> None:
    podtask.cluster.add(run("x", "Running"), run("y", "Running"))
    said = podtask("wait x y --timeout 0")
    assert (said.status, said.err) == (4, "podtask: Time is up; still not ended: x, y.\n")


@pytest.mark.parametrize(
    ("line", "out", "asked"),
    {
        "cancel": ("cancel x", "taskrun.podtask.dev/x cancelled\n", ("PATCH", f"{RUNS}/x", {"spec": {"cancel": True}})),
        "cancel of one that has ended": (
            "cancel done",
            "taskrun.podtask.dev/done has ended before (Completed)\n",
            None,
        ),
        "suspend": (
            "suspend x",
            "taskrun.podtask.dev/x suspended; attempt 1 runs on\n",
            ("PATCH", f"{RUNS}/x", {"spec": {"suspend": True}}),
        ),
        "suspend of a suspended one": ("suspend held", "taskrun.podtask.dev/held was suspended already\n", None),
        "resume": (
            "resume held",
            "taskrun.podtask.dev/held resumed\n",
            ("PATCH", f"{RUNS}/held", {"spec": {"suspend": False}}),
        ),
        "resume of one that runs": ("resume x", "taskrun.podtask.dev/x was not suspended\n", None),
        "delete": ("delete x", "taskrun.podtask.dev/x deleted\n", ("DELETE", f"{RUNS}/x", None)),
        "by label": (
            "cancel -l team=red",
            "taskrun.podtask.dev/x cancelled\n",
            ("PATCH", f"{RUNS}/x", {"spec": {"cancel": True}}),
        ),
        "the latest": ("delete -L", "taskrun.podtask.dev/held deleted\n", ("DELETE", f"{RUNS}/held", None)),
    }.values(),
)
def test_steering(podtask: Terminal, line: str, out: str, asked: tuple[object, ...] | None) -> None:
    podtask.cluster.add(
        run("x", "Running", labels={"team": "red"}),
        run("done", "Completed"),
        run("held", "Pending", minute=9, spec={"suspend": True}),
    )
    said = podtask(line)
    assert (said.status, said.out, said.err) == (0, out, "")
    assert podtask.cluster.written() == ([asked] if asked else [])


@pytest.mark.parametrize("line", ["cancel -L", "cancel @latest", "delete old @latest"])
def test_what_cannot_be_undone_takes_no_arbitrary_run_of_a_second(podtask: Terminal, line: str) -> None:
    podtask.cluster.add(run("old", "Running"), run("b", "Running", minute=9), run("a", "Running", minute=9))
    said = podtask(line)
    assert (said.status, said.out, podtask.cluster.written()) == (2, "", [])
    assert said.err == ("podtask: The 2 newest TaskRuns were created in the same second: a, b. Say which by name.\n")


def test_what_can_be_undone_says_which_run_of_a_second_it_took(podtask: Terminal) -> None:
    podtask.cluster.add(*(run(f"r{number:02}", "Running") for number in range(12)))
    said = podtask("suspend -L")
    assert (said.status, said.out) == (0, "taskrun.podtask.dev/r00 suspended; attempt 1 runs on\n")
    names = ", ".join(f"r{number:02}" for number in range(10))
    assert said.err == (
        f"podtask: 'r00' was taken; the 12 newest TaskRuns were created in the same second: {names} and 2 more.\n"
    )


@pytest.mark.parametrize("line", ["cancel", "cancel x --all", "delete -L -l a=b", "wait --all --flow-run r"])
def test_which_runs_are_meant_is_said_in_one_way(podtask: Terminal, line: str) -> None:
    said = podtask(line)
    assert (said.status, "names, -L, -l or --flow-run, or --all" in said.err) == (2, True)
    assert podtask.cluster.asked == []


def test_delete_of_all_says_each(podtask: Terminal) -> None:
    podtask.cluster.add(run("x", "Running"), run("y", "Completed", minute=5))
    assert podtask("delete --all").out == "taskrun.podtask.dev/x deleted\ntaskrun.podtask.dev/y deleted\n"
    assert podtask.cluster.runs == {}
    assert podtask("delete --all").status == 3


def test_submit_creates_what_the_file_says_as_it_says_it(podtask: Terminal) -> None:
    path = podtask.file("hello.yaml", HELLO)
    said = podtask(f"submit -f {path}")
    assert (said.status, said.out, said.err) == (0, "taskrun.podtask.dev/hello created\n", "")
    made = podtask.cluster.runs["team", "hello"]
    assert made["spec"]["parameters"] == {"day": "2026-01-02"}
    assert podtask(f"submit -f {path} --name again -o name").out == "taskrun.podtask.dev/again\n"
    said = podtask(f"submit -f {path}")
    assert said.status == 1
    assert said.err.startswith("podtask: There is a TaskRun 'hello' in namespace 'team' already, and what has run is")


@pytest.mark.parametrize(
    "text", ["1e-3", "1e-05", "1.5e3", "-2E+5", "-.5", ".5", "1.", "12:30", "190:20:30.15", "1.2.3"]
)
def test_numbers_are_read_as_kubectl_reads_them(podtask: Terminal, text: str) -> None:
    podtask.file("n.yaml", HELLO.replace("2026-01-02", text))
    podtask("submit -f n.yaml")
    value = text if text in ("12:30", "190:20:30.15", "1.2.3") else float(text)
    assert podtask.cluster.written()[0][2]["spec"]["parameters"] == {"day": value}


@pytest.mark.parametrize(
    ("text", "value"), {"0": 0, "-7": -7, "1_000": 1000, "0x1F": 31, "0b11": 3, "010": 8, "0o10": 8, "0o": "0o"}.items()
)
def test_integers_are_read_as_kubectl_reads_them(podtask: Terminal, text: str, value: object) -> None:
    podtask.file("n.yaml", HELLO.replace("2026-01-02", text))
    podtask("submit -f n.yaml")
    assert podtask.cluster.written()[0][2]["spec"]["parameters"] == {"day": value}


KEPT = {"1.0": 1, "1e3": 1000, "-0.0": 0, "1.5": 1.5, "1e21": 1e21, "9223372036854775807": 2**63 - 1, "true": True}
REFUSED = {
    "9223372036854775808": "keeps integers of 64 bits; it would arrive as a float of another value. Write it as text",
    "-12345678901234567890123": "keeps integers of 64 bits",
    ".nan": 'spec.parameters.day is .nan, which JSON and so Kubernetes does not have; write it as text (".nan")',
    "[{x: -.inf}]": "spec.parameters.day[0].x is -.inf",
}


@pytest.mark.parametrize(("text", "value"), KEPT.items())
def test_a_number_is_the_one_that_the_api_server_keeps(podtask: Terminal, text: str, value: object) -> None:
    podtask.file("n.yaml", HELLO.replace("2026-01-02", text))
    podtask("submit -f n.yaml")
    found = podtask.cluster.written()[0][2]["spec"]["parameters"]["day"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(("text", "sentence"), REFUSED.items())
@pytest.mark.parametrize("line", ["submit -f n.yaml", "run -f n.yaml --local"])
def test_a_number_that_kubernetes_does_not_keep_is_refused(
    podtask: Terminal, line: str, text: str, sentence: str
) -> None:
    podtask.file("n.yaml", HELLO.replace("2026-01-02", text))
    said = podtask(line)
    assert (said.status, said.out, podtask.cluster.written()) == (1, "", [])
    assert sentence in said.err


def test_submit_and_wait_ends_with_the_outcome(podtask: Terminal) -> None:
    path = podtask.file("hello.yaml", HELLO)
    podtask.cluster.news = [("MODIFIED", run("hello", "Failed"))]
    said = podtask(f"submit -f {path} --wait")
    assert (said.status, said.out) == (10, "taskrun.podtask.dev/hello created\nhello Failed after 59s\n")


def test_submit_and_logs_prints_them_first(podtask: Terminal) -> None:
    path = podtask.file("hello.yaml", HELLO)
    podtask.cluster.news = [("MODIFIED", run("hello", "Completed"))]
    podtask.store.put(podtask.keys("uid-hello").log + "000001", b"greeting\n")
    said = podtask(f"submit -f {path} --logs")
    out = "taskrun.podtask.dev/hello created\ngreeting\nhello Completed after 59s\n"
    assert (said.status, said.out, said.err) == (0, out, "")


@pytest.mark.parametrize(
    ("text", "sentence"),
    {
        "nothing": ("", "file.yaml is empty; write a TaskRun into it"),
        "no YAML": ("a: [", "file.yaml is not YAML: "),
        "another kind": (
            "apiVersion: v1\nkind: Pod",
            "holds a Pod (v1); podtask submits TaskRuns of podtask.dev/v1alpha1",
        ),
        "no object": ("- 1", "file.yaml holds no TaskRun but list: '[1]'."),
        "no name": ("apiVersion: podtask.dev/v1alpha1\nkind: TaskRun", "a TaskRun without metadata.name or"),
        "a key that YAML makes a boolean": (
            HELLO.replace("day: 2026", "off: 2026"),
            "TaskRun hello: a key under spec.parameters is False in YAML (yes, no, on, off and numbers are no texts); ",
        ),
        "a namespace that -n contradicts": (
            HELLO.replace("{name: hello}", "{name: hello, namespace: other}"),
            "TaskRun 'hello' names namespace 'other', and -n says 'team'",
        ),
    }.values(),
)
def test_a_file_that_cannot_be_submitted(podtask: Terminal, text: str, sentence: str) -> None:
    path = podtask.file("file.yaml", text)
    said = podtask(f"submit -n team -f {path}")
    assert (said.status in (1, 2), said.out, podtask.cluster.written()) == (True, "", [])
    assert sentence in said.err


def test_what_was_created_before_a_refusal_is_told(podtask: Terminal) -> None:
    podtask.cluster.add(run("there", "Running"))
    podtask.file("two.yaml", f"{HELLO}---{HELLO.replace('hello', 'there')}")
    said = podtask("submit -f two.yaml")
    assert (said.status, said.out) == (1, "taskrun.podtask.dev/hello created\n")


def test_a_list_is_its_items_and_a_missing_file_is_a_sentence(podtask: Terminal) -> None:
    document = {"apiVersion": "v1", "kind": "List", "items": [run("a"), run("b")]}
    path = podtask.file("list.json", json.dumps(document))
    assert podtask(f"submit -f {path} -o name").out == "taskrun.podtask.dev/a\ntaskrun.podtask.dev/b\n"
    assert podtask(f"submit -f {path} --name c").status == 2
    said = podtask("submit -f gone.yaml")
    assert (said.status, said.err) == (1, "podtask: gone.yaml: No such file or directory.\n")


def test_a_refusal_of_the_api_server_is_its_sentence(podtask: Terminal) -> None:
    podtask.cluster.refuse["create taskruns"] = Refuse(422, "Invalid", "spec.retries: 101 is too many")
    said = podtask(f"submit -f {podtask.file('hello.yaml', HELLO)}")
    assert (said.status, said.err) == (
        1,
        "podtask: The API server refused TaskRun team/hello: spec.retries: 101 is too many\n",
    )


def made(podtask: Terminal) -> dict[str, list[str]]:
    """What was created, with the runs it needs."""
    return {
        body["metadata"]["name"]: [up["taskRun"] for up in body["spec"].get("upstream", [])]
        for verb, _, body in podtask.cluster.asked
        if verb == "POST"
    }


def test_retry_runs_it_again_under_the_next_name(podtask: Terminal) -> None:
    podtask.cluster.add(run("x", "Failed"))
    assert podtask("retry x").out == "taskrun.podtask.dev/x-r2 created, repeats x\n"
    podtask.cluster.news = [("MODIFIED", run("x-r3", "Completed"))]
    said = podtask("retry x --wait")
    assert (said.status, said.out) == (0, "taskrun.podtask.dev/x-r3 created, repeats x\nx-r3 Completed after 59s\n")


def test_retry_of_one_that_goes_on_is_refused(podtask: Terminal) -> None:
    podtask.cluster.add(run("x", "Running"))
    said = podtask("retry x")
    assert (said.status, said.out, podtask.cluster.written()) == (1, "", [])
    assert said.err == "podtask: TaskRun 'x' has not ended (it is Running): wait for its end, or cancel it first.\n"


def test_retry_of_several_makes_none_where_one_goes_on(podtask: Terminal) -> None:
    podtask.cluster.add(run("a", "Failed"), run("b", "Running"))
    said = podtask("retry a b")
    assert (said.status, said.out, podtask.cluster.written()) == (1, "", [])
    assert said.err.startswith("podtask: TaskRun 'b' has not ended")


def test_retry_of_one_that_was_not_ready_repeats_what_failed_before_it(podtask: Terminal) -> None:
    podtask.cluster.add(
        run("good", "Completed"),
        run("bad", "Failed"),
        run("mid", "NotReady", spec={"upstream": [{"taskRun": "bad"}, {"taskRun": "good"}]}),
        run("last", "NotReady", spec={"upstream": [{"taskRun": "mid"}]}),
    )
    assert podtask("retry last").status == 0
    assert made(podtask) == {"bad-r2": [], "mid-r2": ["bad-r2", "good"], "last-r2": ["mid-r2"]}


def test_retry_leaves_an_upstream_that_may_fail(podtask: Terminal) -> None:
    needs = {
        "upstream": [{"taskRun": "may", "allowFailure": True}, {"taskRun": "both", "allowFailure": True}],
        "waitFor": [{"taskRun": "both"}],
    }
    podtask.cluster.add(run("may", "Failed"), run("both", "Failed"), run("x", "NotReady", spec=needs))
    assert podtask("retry x").status == 0
    assert made(podtask) == {"both-r2": [], "x-r2": ["may", "both-r2"]}
    (again,) = (body for _, _, body in podtask.cluster.asked if body and body["metadata"]["name"] == "x-r2")
    assert [up["allowFailure"] for up in again["spec"]["upstream"]] == [True, True]


def test_retry_of_a_circle_is_a_sentence(podtask: Terminal) -> None:
    podtask.cluster.add(run("a", "Failed", spec={"waitFor": [{"taskRun": "b"}]}))
    podtask.cluster.add(run("b", "Failed", spec={"waitFor": [{"taskRun": "a"}]}))
    said = podtask("retry --all")
    assert (said.status, podtask.cluster.written()) == (1, [])
    assert said.err.startswith("podtask: These TaskRuns wait for each other: a -> b -> a. Delete them")


def test_retry_of_many_takes_those_that_did_not_succeed(podtask: Terminal) -> None:
    podtask.cluster.add(run("a", "Completed"), run("b", "TimedOut"), run("c", "Running"))
    assert podtask("retry --all").out == "taskrun.podtask.dev/b-r2 created, repeats b\n"
    podtask.cluster.runs.clear()
    podtask.cluster.add(run("a", "Completed"))
    said = podtask("retry --all")
    assert (said.status, said.out) == (0, "")
    assert said.err == "podtask: none of them ended without success, so there is nothing to retry.\n"
