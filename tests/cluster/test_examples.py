"""Every example ends alike on the cluster and on a laptop, from a driver without access to the bucket."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cluster.kit import ROOT, World

pytestmark = pytest.mark.cluster

EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.py"))
BUCKET = ("AWS_", "PODTASK_S3_", "PODTASK_STORE")


def printed(example: str, home: Path, **settings: str) -> list[str]:
    """The lines of standard output but those of the tasks themselves, whose order is the scheduler's."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith(BUCKET)}
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / example)],
        env={**bare, "PODTASK_HOME": str(home), **settings},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_ends_alike_on_a_laptop_and_on_the_cluster(example: str, world: World, tmp_path: Path) -> None:
    here = printed(example, tmp_path, PODTASK_BACKEND="local")
    there = printed(example, tmp_path, PODTASK_BACKEND="kubernetes", PODTASK_NAMESPACE=world.namespace)
    assert here
    assert there[-1] == here[-1]
