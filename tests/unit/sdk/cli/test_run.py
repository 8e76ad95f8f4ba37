"""`podtask run`: flows of files, and TaskRuns of a file on this machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from tests.unit.sdk.cli.conftest import Terminal

FLOWS = """
import sys
from podtask import flow, task

@task
def double(x):
    return 2 * x

@flow
def doubled(x: int, y: str = "y") -> list:
    return [double(x).result(), y]

@flow
async def later(x: int) -> int:
    return await double(x)

@flow
def broken() -> None:
    raise ValueError("no luck")

@flow
def leaves(code: object = None) -> None:
    sys.exit(code)

@flow
async def leaves_later(code: object) -> None:
    sys.exit(code)
"""
TASKRUNS = """
apiVersion: podtask.dev/v1alpha1
kind: TaskRun
metadata: {name: total}
spec:
  task: {source: "def main(rows): return sum(rows)"}
  upstream: [{taskRun: fetch, parameter: rows}]
  cache: {}
---
apiVersion: podtask.dev/v1alpha1
kind: TaskRun
metadata: {name: fetch}
spec:
  task: {source: "def main(n): return [*range(n)]"}
  parameters: {"n": 4}
  image: registry.example/own
"""
UNCACHED = """
apiVersion: podtask.dev/v1alpha1
kind: TaskRun
metadata: {name: moody}
spec:
  task: {source: "def main(): return 1"}
  cache: {key: same, uncached: "no key can be made of the inputs: x.lock"}
"""
FAILS = """
apiVersion: podtask.dev/v1alpha1
kind: TaskRun
metadata: {name: bad}
spec:
  task: {source: "def main(): raise ValueError('no luck')"}
  retries: 1
---
apiVersion: podtask.dev/v1alpha1
kind: TaskRun
metadata: {name: after}
spec:
  task: {source: "def main(): return 1"}
  waitFor: [{taskRun: bad}]
"""


@pytest.fixture
def flows(podtask: Terminal, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """A folder with a file of flows; this process is left as it was."""
    podtask.file("some_flows.py", FLOWS)
    podtask.file("one_flow.py", FLOWS.partition("@flow\nasync")[0])
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("PODTASK_BACKEND", "PODTASK_NAMESPACE"):
        monkeypatch.setenv(name, "local")
        monkeypatch.delenv(name)
    monkeypatch.setenv("PODTASK_HOME", str(podtask.folder / "home"))
    monkeypatch.setenv("PODTASK_PROGRESS", "off")
    before = set(sys.modules)
    yield podtask
    for name in set(sys.modules) - before:
        if name in ("some_flows", "one_flow"):
            del sys.modules[name]


@pytest.mark.parametrize(
    ("line", "out"),
    {
        "a flow by its name": ("some_flows.py:doubled --param x=2", '[4, "y"]\n'),
        "the only flow of a file": ("one_flow.py --param x=2", '[4, "y"]\n'),
        "a flow of a module": ("some_flows:doubled --param x=2", '[4, "y"]\n'),
        "an async flow": ("some_flows.py:later --param x=3", "6\n"),
        "text that is no JSON": ("some_flows.py:doubled --param x=1 --param y=a=b", '[2, "a=b"]\n'),
        "text that has to be one": ("some_flows.py:doubled --param x=1 --param 'y=\"7\"'", '[2, "7"]\n'),
    }.values(),
)
def test_what_a_flow_returns_is_printed(flows: Terminal, line: str, out: str) -> None:
    said = flows(f"run {line}")
    assert (said.status, said.out) == (0, out), said.err


@pytest.mark.parametrize(
    ("line", "status", "sentence"),
    {
        "nothing": ("", 2, "podtask: Which flow? podtask run FILE.py:FLOW, or podtask run -f taskrun.yaml --local.\n"),
        "no such file": ("gone.py:x", 3, "podtask: There is no file gone.py.\n"),
        "no such module": ("gone:x", 1, "podtask: There is no module 'gone' here; a file is given as file.py.\n"),
        "no such flow": (
            "some_flows.py:treble",
            3,
            "podtask: No flow 'treble' in some_flows.py: it has doubled, later, broken, leaves, leaves_later. "
            "Write some_flows.py:NAME.\n",
        ),
        "one of several": (
            "some_flows.py",
            3,
            "podtask: No flow was named in some_flows.py: it has doubled, later, broken, leaves, leaves_later. "
            "Write some_flows.py:NAME.\n",
        ),
        "an argument is missing": (
            "some_flows.py:doubled",
            2,
            "podtask: Flow doubled(x: int, y: str = 'y') -> list: missing a required argument: 'x'; see --param.\n",
        ),
        "an argument is no pair": (
            "some_flows.py --param x",
            2,
            "podtask: --param x: write NAME=VALUE; the value is JSON",
        ),
        "an argument is given twice": (
            "some_flows.py --param x=1 --param x=2",
            2,
            "podtask: --param x is given twice.\n",
        ),
        "an argument of another type": (
            "some_flows.py:doubled --param x=two",
            2,
            "podtask: Flow run received invalid parameters. Flow 'doubled': 'x': Input should be a valid integer",
        ),
        "no cluster": (
            "some_flows.py:doubled --param x=2 --on kubernetes --kubeconfig gone",
            1,
            "podtask: There is no usable kube config (gone)",
        ),
        "a file without --local": ("-f some.yaml", 2, "podtask: -f FILE goes with --local and nothing else; on the"),
    }.values(),
)
def test_what_cannot_be_run_is_a_sentence(flows: Terminal, line: str, status: int, sentence: str) -> None:
    said = flows(f"run {line}")
    assert (said.status, said.out) == (status, "")
    assert said.err.startswith(sentence)


def test_a_flow_that_fails_shows_its_own_traceback(flows: Terminal) -> None:
    said = flows("run some_flows.py:broken")
    assert (said.status, said.out) == (10, "")
    assert said.err.startswith("Traceback (most recent call last):\n")
    assert said.err.endswith("ValueError: no luck\n")


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("x = 1\nx.y\n", "line 2, in <module>\n    x.y\n", "AttributeError: 'int' object has no attribute 'y'\n"),
        ("def f(:\n", "line 1\n    def f(:\n", "SyntaxError: invalid syntax\n"),
        ("import not_there\n", "line 1, in <module>\n    import not_there\n", "No module named 'not_there'\n"),
    ],
)
def test_a_file_that_cannot_be_imported_shows_its_own_traceback(
    flows: Terminal, text: str, where: str, what: str
) -> None:
    file = flows.file("one_flow.py", text)
    said = flows("run one_flow.py")
    assert (said.status, said.out) == (1, "")
    assert f'  File "{file}", {where}' in said.err
    assert said.err.endswith(what)
    assert "importlib" not in said.err


def test_a_setting_that_is_none_is_a_sentence(flows: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODTASK_BACKEND", "moon")
    said = flows("run some_flows.py:doubled --param x=2")
    assert (said.status, said.out) == (1, "")
    assert said.err.startswith("podtask: There is no backend 'moon'; the known ones are local, process, kubernetes")


@pytest.mark.parametrize(
    ("line", "status", "err"),
    {
        "a number": ("some_flows.py:leaves --param code=3", 3, ""),
        "a number, of an async flow": ("some_flows.py:leaves_later --param code=3", 3, ""),
        "nothing": ("some_flows.py:leaves", 0, ""),
        "zero": ("some_flows.py:leaves --param code=0", 0, ""),
        "a sentence": ("some_flows.py:leaves --param 'code=no luck'", 1, "no luck\n"),
        "while the file is imported": ("leaving.py:any", 4, ""),
        "while the file is imported, for a pod": ("leaving.py:any --in-cluster --image i", 4, ""),
    }.values(),
)
def test_a_flow_that_leaves_by_sys_exit_keeps_its_exit_status(
    flows: Terminal, line: str, status: int, err: str
) -> None:
    flows.file("leaving.py", "import sys\nsys.exit(4)\n")
    said = flows(f"run {line}")
    assert (said.status, said.out, said.err) == (status, "", err)


def test_taskruns_of_a_file_run_here_in_the_order_they_need(flows: Terminal) -> None:
    path = flows.file("two.yaml", TASKRUNS)
    said = flows(f"run -f {path} --local")
    assert (said.status, said.out) == (0, "total Completed: 6\nfetch Completed: [0, 1, 2, 3]\n"), said.err
    assert said.err == "podtask: fetch: without a cluster there is no image.\n"
    assert flows(f"run -f {path} --local").out == "total Cached: 6\nfetch Completed: [0, 1, 2, 3]\n"


def test_parameters_of_a_file_are_those_that_a_cluster_would_give(flows: Terminal) -> None:
    source = "def main(limit=10, **values): return [repr(limit), *(repr(values[name]) for name in 'abc')]"
    text = TASKRUNS.partition("---")[2].replace("def main(n): return [*range(n)]", source)
    flows.file("runs.yaml", text.replace('{"n": 4}', "{limit: null, a: 1.0, b: 1e3, c: [0.5, 2.0]}"))
    said = flows("run -f runs.yaml --local")
    assert (said.status, said.out) == (0, 'fetch Completed: ["None", "1", "1000", "[0.5, 2]"]\n')


def test_a_taskrun_without_a_key_runs_uncached_here_too_and_says_why(flows: Terminal) -> None:
    path = flows.file("moody.yaml", UNCACHED)
    for _ in range(2):
        said = flows(f"run -f {path} --local")
        assert (said.status, said.out) == (0, "moody Completed: 1\n"), said.err
        assert said.err == "podtask: not cached: no key can be made of the inputs: x.lock\n"


def test_an_upstream_that_may_fail_gives_its_exception_as_on_the_cluster(flows: Terminal) -> None:
    source, order = "def main(x): return repr(x)", "  waitFor: [{taskRun: bad, allowFailure: true}]\n"
    data = "  upstream: [{taskRun: bad, parameter: x, allowFailure: true}]\n"
    text = FAILS.replace("def main(): return 1", source).replace("  waitFor: [{taskRun: bad}]\n", data + order)
    said = flows(f"run -f {flows.file('fails.yaml', text)} --local")
    assert (said.status, said.out) == (10, "bad Failed\nafter Completed: \"ValueError('no luck')\"\n"), said.err


def test_taskruns_that_fail_end_as_on_the_cluster(flows: Terminal) -> None:
    said = flows(f"run -f {flows.file('fails.yaml', FAILS)} --local")
    assert (said.status, said.out) == (10, "bad Failed\nafter NotReady\n")
    assert "podtask: bad: Task run encountered an exception. ValueError: no luck\n" in said.err


@pytest.mark.parametrize(
    ("text", "sentence"),
    {
        "an upstream that is not there": (
            TASKRUNS.partition("---")[0],
            "TaskRun 'total' needs 'fetch', which is not in the file; add it.",
        ),
        "a circle": (
            FAILS.replace("retries: 1", "waitFor: [{taskRun: after}]"),
            "These TaskRuns wait for each other: ",
        ),
        "one name twice": (FAILS.replace("after", "bad"), "Two TaskRuns of the file have one name"),
        "a field of the wrong type": (FAILS.replace("retries: 1", "retries: many"), "TaskRun 'bad': spec.retries: "),
        "source that does not compile": (
            FAILS.replace("main():", "main("),
            "TaskRun 'bad': task.source does not compile",
        ),
        "no source": (FAILS.replace("{source:", "{name:"), "TaskRun 'bad' needs task.source or task.entrypoint"),
    }.values(),
)
def test_taskruns_that_cannot_be_run_are_a_sentence(flows: Terminal, text: str, sentence: str) -> None:
    said = flows(f"run -f {flows.file('wrong.yaml', text)} --local")
    assert (said.status, said.out) == (1, "")
    assert sentence in said.err
