"""A runner that waits has imported what an attempt needs: counted, because imports are time until the result."""

from __future__ import annotations

from collections import Counter

from tests.unit.runner.harness import Attempt
from tests.unit.runner.process.test_idle import Waiting, claim_of, waiting
from tests.unit.runner.s3like import S3Like

from podtask_runner import protocol
from podtask_runner.protocol import Code

IMPORT = "import time:"


def modules(lines: list[str]) -> list[str]:
    return [line.rpartition("|")[2].strip() for line in lines if line.startswith(IMPORT)]


def prepared(runner: Waiting) -> None:
    """Until supervisor and child have imported what is the last of what they import ahead."""
    assert runner.process.stdout is not None
    missing = Counter({"ssl": 2, "podtask_runner.serialization.pickling": 1})
    while missing:
        line = runner.process.stdout.readline()
        assert line, f"the runner ended before it imported {missing}"
        missing -= Counter(modules([line]))


SOURCE = Code(source="def main():\n    print('ran')\n    return {'a': 1}\n")


def test_between_claim_and_result_nothing_of_the_runners_is_imported(served: Attempt) -> None:
    logs = protocol.LogPost(f"{served.store}/", "log/", 1 << 20)
    with waiting(served, PYTHONPROFILEIMPORTTIME="1") as runner:
        prepared(runner)
        data = protocol.dump(runner.attempt.grants(SOURCE, logs=logs))
        runner.put_grants(data)
        runner.put_claim(claim_of(data))
        ran = runner.end()
    assert ran.exit_code == 0, ran.outcome
    assert "ran" in ran.stdout
    assert modules(ran.stdout.splitlines()) == []


def test_between_claim_and_outcome_the_store_is_asked_twice(served: Attempt, server: S3Like) -> None:
    """The result, and then the outcome, which proves it: code and inputs come with the grants."""
    with waiting(served) as runner:
        data = protocol.dump(runner.attempt.grants(SOURCE))
        runner.put_grants(data)
        runner.put_claim(claim_of(data))
        assert runner.end().exit_code == 0
    assert [(method, path) for method, path, *_ in server.seen] == [("PUT", "/result"), ("PUT", "/outcome")]
