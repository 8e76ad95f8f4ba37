"""What a TaskRun can get wrong, and what it is told: InvalidSpec with the place and the cure."""

from __future__ import annotations

import pytest
from tests.unit.runner.harness import Attempt

from podtask_runner import protocol
from podtask_runner.protocol import Verdict


@pytest.mark.parametrize(
    ("source", "options", "parts"),
    [
        pytest.param(
            "def main(:\n    pass", {}, ["line 1", "def main(:"], id="source that does not compile names the line"
        ),
        pytest.param("x = 1\n\0", {}, ["null bytes"], id="source with null bytes"),
        pytest.param(
            "def one(): pass\ndef two(): pass",
            {},
            ["no function 'main'", "one, two"],
            id="a missing function lists those found",
        ),
        pytest.param("main = 3", {}, ["not callable"], id="a name that is no function"),
        pytest.param(
            "def main(name, n=1): pass",
            {"parameters": {"nme": 1}},
            ["name, n=1", "Given: nme"],
            id="a misspelt parameter",
        ),
        pytest.param("def main(name): pass", {}, ["missing", "'name'", "Given: nothing"], id="a missing parameter"),
        pytest.param(
            "async def main(name): pass", {}, ["missing", "'name'"], id="a missing parameter of an async function"
        ),
    ],
)
def test_a_source_is_invalid(attempt: Attempt, source: str, options: dict, parts: list[str]) -> None:
    ran = attempt.source(source, **options)
    assert ran.outcome.outcome is Verdict.INVALID_SPEC
    for part in parts:
        assert part in ran.error.message
    assert ran.error.cure


def test_a_type_error_inside_the_function_is_the_users_failure(attempt: Attempt) -> None:
    ran = attempt.source("def main(name):\n    return name + 1", parameters={"name": "ada"})
    assert ran.outcome.outcome is Verdict.FAILED


def test_an_entrypoint_is_imported_from_the_working_directory(attempt: Attempt) -> None:
    (attempt.root / "shop").mkdir(parents=True)
    (attempt.root / "shop" / "__init__.py").write_text("")
    (attempt.root / "shop" / "etl.py").write_text("def load(day):\n    return f'loaded {day}'\n")
    ran = attempt.run(attempt.grants(protocol.Code(entrypoint="shop.etl:load"), parameters={"day": "monday"}))
    assert ran.result.value == '"loaded monday"'


def test_a_file_named_like_a_standard_module_does_not_confuse_the_supervisor(attempt: Attempt) -> None:
    attempt.root.mkdir(parents=True)
    for name in ("json", "dataclasses", "select", "signal"):
        (attempt.root / f"{name}.py").write_text("raise RuntimeError('shadowed')")
    assert attempt.source("def main():\n    return 1").outcome.outcome is Verdict.COMPLETED


@pytest.mark.parametrize(
    ("entrypoint", "part"),
    [
        pytest.param("no_such_package.etl:load", "no module 'no_such_package'", id="whose package is not in the image"),
        pytest.param("json.nowhere:load", "no module 'json.nowhere'", id="whose module is not in its package"),
        pytest.param("json:load_all", "no function 'load_all'", id="whose function is not in its module"),
        pytest.param("json", "package.module:function", id="without a function"),
    ],
)
def test_an_entrypoint_is_invalid(attempt: Attempt, entrypoint: str, part: str) -> None:
    ran = attempt.run(attempt.grants(protocol.Code(entrypoint=entrypoint)))
    assert ran.outcome.outcome is Verdict.INVALID_SPEC
    assert part in ran.error.message


def test_a_module_that_fails_while_it_is_imported_is_the_users_failure(attempt: Attempt) -> None:
    attempt.root.mkdir(parents=True)
    (attempt.root / "broken.py").write_text("import not_installed_anywhere")
    ran = attempt.run(attempt.grants(protocol.Code(entrypoint="broken:main")))
    assert ran.outcome.outcome is Verdict.FAILED
    assert ran.error.type == "ModuleNotFoundError"


def test_grants_that_cannot_be_read_leave_a_termination_message(attempt: Attempt) -> None:
    attempt.env["PODTASK_GRANTS"] = str(attempt.root / "absent.json")
    ran = attempt.source("def main(): pass")
    assert ran.outcome.outcome is Verdict.STORE_UNAVAILABLE
    assert "absent.json" in ran.error.message


def test_grants_of_a_newer_operator_are_refused_in_words(attempt: Attempt) -> None:
    ran = attempt.source("def main(): pass", v=99)
    assert ran.outcome.outcome is Verdict.ENVIRONMENT_MISMATCH
    assert "version 99" in ran.error.message
