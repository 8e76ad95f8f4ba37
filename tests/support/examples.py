"""What every example ends with, wherever it runs. Used by the tests here and on the cluster."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parents[2] / "examples"

LAST_LINE = {
    "alerts": "['deliver AwaitingRetry', 'deliver Failed', 'newsletter Completed']",
    "allow_failure": "['1000, but no till in atlantis', 'tidied up']",
    "async_flow": "['HELLO ADA', 'HELLO ALAN']",
    "batches": "792 digits",
    "caching": "332833500",
    "fan_out": "pi is about 3.1",
    "files": "{'shop-0': 16668333, 'shop-1': 16661667, 'shop-2': 16665000}",
    "hello": "['hello ada', 'hello alan']",
    "notebook": "24 values, highest 22.14",
    "retries": "[17, 17, 17]",
    "subflows": "{'berlin': 16.33, 'oslo': 7.0, 'atlantis': 'no sales'}",
    "sweep": "3 of 5 converged; best is rate 0.1 with slope 3.000",
    "word_count": "[('it', 8), ('was', 8), ('the', 8)]",
}
"""Script -> what its last line of standard output starts with."""

VALUES = {
    "hello.yaml": {"hello": '"hello ada"'},
    "pipeline.yaml": {"transform": "11.25", "publish": '"published"'},
    "pod_template.yaml": {"sized": "1000"},
    "spot.yaml": {"spot": "328350"},
}
"""Manifest -> TaskRun -> `status.result.value`."""

OTHERS = {"cron.yaml"}
"""Manifests that hold no TaskRun; each has a test of its own on the cluster."""
