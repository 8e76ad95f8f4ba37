"""What `import podtask` may load: modules, because a time would depend on the machine."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = {
    "pydantic",
    "kubernetes",
    "boto3",
    "botocore",
    "kopf",
    "asyncio",
    "cloudpickle",
    "subprocess",
    "urllib.request",
    "tempfile",
}


def loaded(statement: str) -> set[str]:
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_podtask_loads_nothing_heavy() -> None:
    modules = loaded("import podtask")
    assert not modules & HEAVY
    assert len(modules - loaded("pass")) < 130


def test_a_flow_without_annotations_never_loads_pydantic_nor_a_local_task_asyncio() -> None:
    modules = loaded(
        "from podtask import flow, task\n"
        "@task\ndef one(): return 1\n"
        "@flow\ndef flowing(): return one()\n"
        "assert flowing() == 1"
    )
    assert not modules & {"pydantic", "kubernetes", "boto3", "asyncio"}
