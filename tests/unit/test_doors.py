"""The doors for strangers: workflows, hooks, forms and the contributor's page name only what exists."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import tomllib
import yaml
from dev.docs.paths import TOP
from tests.docs.test_pages import lost
from tests.docs.test_structure import absent

GITHUB = TOP / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml"))
PAGES = [
    TOP / "CONTRIBUTING.md",
    TOP / "SECURITY.md",
    TOP / "changes" / "README.md",
    TOP / "dev" / "README.md",
    TOP / "dev" / "release" / "README.md",
    GITHUB / "pull_request_template.md",
]
RUNNERS_HAVE = {"echo", "gh", "git", "mkdir", "cp"}
"""Commands that the machines of GitHub have."""
MADE = {"dist/", "RELEASE-NOTES.md"}
"""What `make dist` makes."""
SYNTAX = re.compile(r"\$\{\{ *([\w.-]+) *\}\}")


def name_of(path: Path) -> str:
    return path.relative_to(TOP).as_posix()


def loaded(path: Path) -> dict[str, Any]:
    """The file as GitHub reads it: YAML 1.2, where `on` is a word."""
    content = yaml.safe_load(path.read_text())
    return {"on" if key is True else key: value for key, value in content.items()}


def targets() -> set[str]:
    """What make can make."""
    return set(re.findall(r"^([a-z][a-z0-9-]*):", (TOP / "Makefile").read_text(), flags=re.MULTILINE))


def unknown(line: str) -> list[str]:
    """Make targets and commands of a line that do not exist."""
    command, *arguments = line.split()
    if command == "make":
        named = [argument for argument in arguments if "=" not in argument]
        files = [value for argument in arguments if "=" in argument for value in [argument.split("=", 1)[1]]]
        return [
            *(argument for argument in named if argument not in targets()),
            *(file for file in files if "/" in file and not (TOP / file).is_file()),
        ]
    if "/" in command:
        return [] if (TOP / command).is_file() or Path(sys.prefix, "bin", Path(command).name).is_file() else [command]
    return [] if command in RUNNERS_HAVE else [command]


def steps(path: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each job with each of its steps."""
    for job in loaded(path)["jobs"].values():
        for step in job["steps"]:
            yield job, step


def values(job: dict[str, Any], text: str) -> list[str]:
    """The text with every value of the matrix in it; other expressions are left to GitHub."""
    matrix = job.get("strategy", {}).get("matrix", {})
    rows = matrix.get("include") or [{key: value} for key, many in matrix.items() for value in many] or [{}]
    return [SYNTAX.sub(lambda m: str(row.get(m[1].removeprefix("matrix."), "x")), text) for row in rows]  # noqa: B023


def test_there_are_workflows_for_pushes_nights_and_releases() -> None:
    assert {path.stem for path in WORKFLOWS} == {"ci", "nightly", "release"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=name_of)
def test_a_workflow_is_one_that_github_takes(path: Path) -> None:
    workflow = loaded(path)
    assert (
        {"name", "on", "permissions", "jobs"} <= set(workflow) <= {"name", "on", "permissions", "jobs", "concurrency"}
    )
    for name, job in workflow["jobs"].items():
        assert re.fullmatch(r"[A-Za-z_][\w-]*", name)
        assert {"runs-on", "steps"} <= set(job), name
        needed = job.get("needs", [])
        assert ({needed} if isinstance(needed, str) else set(needed)) <= set(workflow["jobs"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=name_of)
def test_every_step_runs_what_exists(path: Path) -> None:
    seen = 0
    for job, step in steps(path):
        assert ("run" in step) != ("uses" in step), step
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w.-]+@[\w./-]+", step["uses"]), step
        for line in chain.from_iterable(values(job, each) for each in step.get("run", "").splitlines()):
            seen += 1
            assert unknown(line) == [], f"{name_of(path)}: {line}"
    assert seen


@pytest.mark.parametrize("path", WORKFLOWS, ids=name_of)
def test_every_value_of_a_matrix_that_is_used_is_there(path: Path) -> None:
    for job, step in steps(path):
        used = {name for name in SYNTAX.findall(yaml.safe_dump(step)) if name.startswith("matrix.")}
        rows = job.get("strategy", {}).get("matrix", {}).get("include", [])
        for row in rows or [{}]:
            assert {name.removeprefix("matrix.") for name in used} <= set(row), step


def test_every_python_that_the_package_promises_is_tried() -> None:
    with (TOP / "pyproject.toml").open("rb") as file:
        classifiers = tomllib.load(file)["project"]["classifiers"]
    promised = {each.rpartition(" ")[2] for each in classifiers if re.search(r":: 3\.\d+$", each)}
    matrix = loaded(GITHUB / "workflows" / "ci.yml")["jobs"]["unit"]["strategy"]["matrix"]["include"]
    assert {row["python"] for row in matrix} == promised
    images = loaded(GITHUB / "workflows" / "release.yml")["jobs"]["images"]["strategy"]["matrix"]["include"]
    assert {row["python"] for row in images if row["image"] == "runner"} == promised
    assert [row["file"] for row in images if not (TOP / row["file"]).is_file()] == []


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("make check", []),
        ("make chekc", ["chekc"]),
        ("make test-cluster WITH_CLUSTER=dev/kind", []),
        ("make test-cluster WITH_CLUSTER=dev/gone", ["dev/gone"]),
        ("dev/kind make test", []),
        ("dev/gone", ["dev/gone"]),
        (".venv/bin/ruff format", []),
        (".venv/bin/rough format", [".venv/bin/rough"]),
        ("curl -L x", ["curl"]),
    ],
)
def test_a_target_or_command_that_is_not_there_is_found(line: str, missing: list[str]) -> None:
    assert unknown(line) == missing


def test_the_hooks_before_a_commit_exist() -> None:
    config = loaded(TOP / ".pre-commit-config.yaml")
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert {repo["repo"] for repo in config["repos"]} == {"local"}, "hooks use the tools of .venv and fetch nothing"
    assert len(hooks) >= 4
    for hook in hooks:
        assert {"id", "name", "entry", "language"} <= set(hook)
        assert unknown(hook["entry"]) == []


@pytest.mark.parametrize("path", FORMS, ids=name_of)
def test_a_form_is_one_that_github_takes(path: Path) -> None:
    form = loaded(path)
    if path.name == "config.yml":
        assert set(form) <= {"blank_issues_enabled", "contact_links"}
        return
    assert {"name", "description", "body"} <= set(form)
    kinds = {"textarea": {"label"}, "input": {"label"}, "dropdown": {"label", "options"}, "markdown": {"value"}}
    for element in form["body"]:
        assert kinds[element["type"]] <= set(element["attributes"])
    ids = [element["id"] for element in form["body"] if "id" in element]
    assert len(ids) == len(set(ids))


def test_owners_own_what_exists() -> None:
    lines = [line.split() for line in (GITHUB / "CODEOWNERS").read_text().splitlines() if line and line[0] != "#"]
    assert [path for path, *_ in lines if path != "*" and not (TOP / path.strip("/")).exists()] == []
    assert [path for path, *owners in lines if not owners or not all(owner.startswith("@") for owner in owners)] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages_for_contributors_name_what_exists(page: Path) -> None:
    text = page.read_text()
    assert lost(page) == []
    assert set(absent(page.parent.relative_to(TOP).as_posix(), text)) <= MADE
    assert [target for target in re.findall(r"`?make ([a-z-]+)", text) if target not in targets()] == []


def test_help_lists_every_target() -> None:
    text = (TOP / "Makefile").read_text()
    helped = set(re.findall(r"^([a-z-]+):.*## ", text, flags=re.MULTILINE))
    assert targets() - helped == {"help", "lint", "types", "layers", "clean"}
    phony = re.search(r"^\.PHONY: ((?:.*\\\n)*.*)$", text, flags=re.MULTILINE)
    assert phony is not None
    assert set(phony[1].replace("\\\n", " ").split()) == targets()


def test_the_scripts_for_contributors_are_executable() -> None:
    assert [name for name in ("dev/kind", "dev/venv", "dev/tools") if not shutil.which(TOP / name)] == []


def test_a_python_that_is_not_there_is_named_with_the_cure(tmp_path: Path) -> None:
    done = subprocess.run(
        [TOP / "dev" / "venv", "python3.99", tmp_path / "venv"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "there is no python3.99: install it" in done.stderr) == (1, True), done.stderr
    assert not (tmp_path / "venv").exists()
