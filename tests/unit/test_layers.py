"""The layers of the design, kept by import-linter, and the rules about imports and clocks that it cannot express."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = {
    path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(), str(path))
    for folder in ("sdk", "operator", "runner-image")
    for path in sorted((ROOT / folder).rglob("*.py"))
}
CLOCKS = {
    "sdk/podtask/core/clock.py",
    "sdk/podtask/states.py",  # the time stamp of a State that a user makes by hand
}
"""Entry points: everybody below gets `now` as a parameter."""
PURE = tuple(
    f"sdk/podtask/core/{name}"
    for name in (
        "lifecycle/",
        "api/status.py",
        "storage/layout.py",
        "cache/entry.py",
        "tracing/context.py",
        "tracing/spans.py",
    )
)
CLIENTS = {"boto3", "kubernetes", "kopf", "cloudpickle"}
ALLOWED = {
    # top-level module: the folders and files that may import it
    "boto3": ("sdk/podtask/core/storage/s3.py",),
    "kopf": ("operator/podtask_operator/",),
    "kubernetes": ("operator/podtask_operator/", "sdk/podtask/kube/"),
    "kubernetes_asyncio": (),
    "pydantic": ("sdk/podtask/", "operator/podtask_operator/"),
    "prometheus_client": ("operator/podtask_operator/",),
    "cloudpickle": ("runner-image/podtask_runner/", "sdk/podtask/"),
    "pickle": ("runner-image/podtask_runner/", "sdk/podtask/"),
    "click": ("sdk/podtask/cli/",),
    "rich": ("sdk/podtask/cli/",),
    "starlette": ("sdk/podtask/ui/",),
    "uvicorn": ("sdk/podtask/ui/",),
    "jinja2": ("sdk/podtask/ui/",),
    "opentelemetry": (
        "operator/podtask_operator/runtime/span_queue.py",
        "operator/podtask_operator/runtime/tracing.py",
        "runner-image/podtask_runner/tracing.py",
        "sdk/podtask/core/tracing/writer.py",
        "sdk/podtask/tracing/",
    ),
    "moto": (),
    "pytest": (),
}


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "." * node.level


def test_import_linter_finds_its_contracts_kept() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    assert linter.exists(), "import-linter is missing: install the dependency group `lint`"
    done = subprocess.run(
        [linter, "--config", ROOT / "pyproject.toml", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_operators_folder_does_not_shadow_the_standard_library() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()
    assert not (ROOT / "runner-image" / "__init__.py").exists()
    assert not (ROOT / "sdk" / "__init__.py").exists()


@pytest.mark.parametrize("module", ALLOWED)
def test_who_may_import(module: str) -> None:
    users = [path for path, tree in SOURCES.items() if any(name.split(".")[0] == module for name in imported(tree))]
    assert [path for path in users if not path.startswith(ALLOWED[module] or ("nobody",))] == []


@pytest.mark.parametrize("folder", ["operator/", "sdk/podtask/core/", "runner-image/"])
def test_of_the_sdk_only_core_is_used_below_it(folder: str) -> None:
    met = {name for path, tree in SOURCES.items() if path.startswith(folder) for name in imported(tree)}
    assert {name for name in met if name.split(".")[0] == "podtask" and not name.startswith("podtask.core")} == set()


@pytest.mark.parametrize("folder", ["sdk/podtask", "operator/podtask_operator", "runner-image/podtask_runner"])
def test_no_folder_holds_more_than_fourteen_modules(folder: str) -> None:
    paths = [PurePosixPath(path) for path in SOURCES if path.startswith(folder)]
    modules = Counter(path.parent for path in paths if path.name != "__init__.py")
    assert {str(where): count for where, count in modules.items() if count > 14} == {}


def test_nobody_asks_the_clock_for_a_date_below_the_entry_points() -> None:
    askers = {
        path
        for path, tree in SOURCES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("now", "utcnow", "today")
        if isinstance(node.value, ast.Name) and node.value.id in ("datetime", "date")
    }
    assert askers <= CLOCKS


@pytest.mark.parametrize("module", ["time", "random", "os", "threading", "asyncio", "uuid", "secrets"])
def test_the_lifecycle_has_no_clock_no_chance_and_no_environment(module: str) -> None:
    users = [path for path, tree in SOURCES.items() if path.startswith(PURE) and module in imported(tree)]
    assert users == []


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        (
            "import podtask.core.lifecycle, podtask.core.cache.entry",
            {"pydantic", "boto3", "kubernetes", "kopf", "cloudpickle"},
        ),
        (
            "import podtask_runner.protocol, podtask_runner.hashing.encoder",
            {"podtask", "pydantic", "boto3", "urllib.request"},
        ),
        ("import podtask.core.api.spec", CLIENTS),
    ],
)
def test_what_an_import_brings_along(statement: str, absent: set[str]) -> None:
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not absent & set(done.stdout.split())
