"""What the code says of itself can be followed by a reader of this repository alone."""

from __future__ import annotations

import ast
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ELSEWHERE = re.compile(r"\bthe seed\b|(?<!\w)\(seed\b|\bSeed: |[-;] seed\b|\b[Dd]esign: ")
"""A document that is not here. Say "Prefect 2.0 beta" (docs/differences.md), or name a page of docs/."""


def tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--", "*.py", "*.md", "*.yaml", "*.yml", "dev", "Makefile"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [path for path in listed.stdout.splitlines() if path != Path(__file__).relative_to(ROOT).as_posix()]


def test_no_file_refers_to_a_document_that_is_not_here() -> None:
    offenders = {path for path in tracked() if (ROOT / path).is_file() and ELSEWHERE.search((ROOT / path).read_text())}
    assert offenders == set()


@pytest.mark.parametrize("folder", ["docs", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "charts", "crds"])
def test_what_is_published_refers_to_none(folder: str) -> None:
    top = ROOT / folder
    files = [top] if top.is_file() else [path for path in top.rglob("*") if path.suffix in {".md", ".yaml", ".svg"}]
    assert [str(path.relative_to(ROOT)) for path in files if ELSEWHERE.search(path.read_text())] == []


@pytest.mark.parametrize(
    ("text", "refers"),
    [
        ("as in the seed.", True),
        ("is a miss (design: taskrun-api, Cache)", True),
        ("(seed, engine.py)", True),
        ("# noqa: FBT001 - seed", True),
        ("Design: taskrun-api, Grants.", True),
        ("with every hash seed, on Python 3.10", False),
        ("def throw_darts(seed: int)", False),
        ("default_rng(seed)", False),
    ],
)
def test_what_counts_as_a_reference(text: str, refers: bool) -> None:
    assert bool(ELSEWHERE.search(text)) is refers


BY_WHO_SAID_THEM = {"told", "said", "known", "given", "found", "mine", "way"}
"""As names of parameters and attributes: they say where a value comes from, and not what it is."""
PACKAGES = ("sdk/podtask", "operator/podtask_operator", "runner-image/podtask_runner")


def public_names(text: str) -> Iterator[str]:
    """Parameters, attributes and methods of a module; a local name may be what it likes."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                arguments = node.args
                yield from (each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs))
                yield from (each.arg for each in (arguments.vararg, arguments.kwarg) if each is not None)
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield name
            case ast.ClassDef():
                for part in node.body:
                    if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)):
                        yield part.name
                    elif isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                        yield part.target.id
                    elif isinstance(part, ast.Assign):
                        yield from (target.id for target in part.targets if isinstance(target, ast.Name))


def test_parameters_and_attributes_are_named_by_what_they_are() -> None:
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    assert len(files) > 300
    named = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in files
        for name in public_names(path.read_text())
        if name.strip("_") in BY_WHO_SAID_THEM
    }
    assert named == set()


@pytest.mark.parametrize(
    "text",
    [
        "def f(found): ...",
        "async def f(*, told=1): ...",
        "def f(*given): ...",
        "def f(**known): ...",
        "g = lambda way: way",
        "class C:\n    said: str",
        "class C:\n    known = 1",
        "class C:\n    def mine(self): ...",
        "self._given = 1",
    ],
)
def test_what_counts_as_such_a_name(text: str) -> None:
    assert {name.strip("_") for name in public_names(text)} & BY_WHO_SAID_THEM


TWICE = {
    "AlreadyStored": "the driver's port of a store, and the runner's client of presigned URLs",
    "Api": "the client of Kubernetes: blocking in the SDK, asynchronous in the operator",
    "Batch": "frozen by pickles in the runner; in the driver the executor of its items",
    "FlowRun": "the calls of one flow run in its driver, and the custom resource as the operator holds it",
    "RemoteError": "frozen by pickles in the runner; public in the SDK",
    "Settings": "one per process: driver, page, operator",
    "SettingsError": "as Settings",
    "State": "public in the SDK, and the word in `status.state`",
    "Store": "as AlreadyStored",
    "StoreUnavailable": "as AlreadyStored",
    "Task": "public in the SDK, and `spec.task`",
    "TaskRun": "one call in its driver, and the custom resource as the operator holds it",
    "Upstream": "in the spec, as the lifecycle sees it, and as the pod gets it",
}
"""Class names that the domain wants more than once, and why."""


def test_no_other_class_name_occurs_twice() -> None:
    places = defaultdict(list)
    for folder in PACKAGES:
        for file in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.parse(file.read_text()).body:
                if isinstance(node, ast.ClassDef):
                    places[node.name].append(str(file.relative_to(ROOT)))
    twice = {name: files for name, files in places.items() if len(files) > 1}
    assert {name: files for name, files in twice.items() if name not in TWICE} == {}
    assert TWICE.keys() == twice.keys(), "what is once by now needs no reason"
