"""Which pod an attempt has is said by its record, and by nothing else."""

from __future__ import annotations

from pathlib import Path

from podtask.core.api.status import Attempt, Claim, own_pod_name, pod_name

ROOT = Path(__file__).parents[2]
RULE = "own_pod_name("
MAY = {
    "sdk/podtask/core/api/status.py",  # the rule itself, and the record
    "operator/podtask_operator/pods/build.py",  # makes such pods
    "operator/podtask_operator/controller/pod_launcher.py",  # met one of the name
    "operator/podtask_operator/controller/applier.py",  # of an attempt that the status has no more
    "sdk/podtask/inspection/log_sources.py",
    "sdk/podtask/inspection/next_step.py",
}


def test_a_pod_of_its_own_is_named_by_the_rule_and_one_that_was_idle_by_the_record() -> None:
    assert pod_name("hello", Attempt(2)) == own_pod_name("hello", 2) == "hello-2"
    assert pod_name("hello", Attempt(2, claim=Claim("fast-1a2b3c4d", "uid"))) == "fast-1a2b3c4d"


def test_nobody_else_uses_the_rule() -> None:
    files = [path for top in ("sdk", "operator", "runner-image") for path in (ROOT / top).rglob("*.py")]
    assert {str(path.relative_to(ROOT)) for path in files if RULE in path.read_text()} == MAY
