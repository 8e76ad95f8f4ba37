"""Arrays and tables of numpy, pandas, polars and pyarrow: which are equal for the encoder, in every process.

torch is not in the development environment (its wheel has 800 MB); `podtask_runner.hashing.arrays` says what counts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from tests.unit.runner.harness import RUNNER
from tests.unit.runner.hashing import library_values
from tests.unit.runner.hashing.interpreters import SEEDS
from tests.unit.runner.hashing.library_values import DIFFERENT, EQUAL
from tests.unit.runner.hashing.values import hashes

from podtask_runner.hashing.content_hash import content_hash
from podtask_runner.hashing.tokens import Unhashable


@pytest.mark.parametrize("case", EQUAL)
def test_equal_are(case: str) -> None:
    assert len(hashes(*EQUAL[case])) == 1


@pytest.mark.parametrize("case", DIFFERENT)
def test_different_are(case: str) -> None:
    assert len(hashes(*DIFFERENT[case])) == len(DIFFERENT[case])


def script(text: str, seed: str = "0") -> str:
    return subprocess.run(
        [sys.executable, *text.split(" ", 1)] if text.startswith("-c ") else [sys.executable, text],
        env={**os.environ, "PYTHONPATH": RUNNER, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_hash_seeds_do_not_matter() -> None:
    path = str(Path(library_values.__file__))
    first, *others = [json.loads(script(path, seed)) for seed in SEEDS]
    assert len(set(first)) > len(DIFFERENT["polars"])
    assert others == [first, first]


def test_a_library_that_is_not_loaded_is_not_imported() -> None:
    text = (
        "import sys; from podtask_runner.hashing.content_hash import content_hash; content_hash([{'a': 1.5}, print]); "
        "print([name for name in ('numpy', 'pandas', 'polars', 'pyarrow', 'torch') if name in sys.modules])"
    )
    assert script(f"-c {text}") == "[]\n"


def test_polars_hashes_the_same_with_and_without_its_neighbours() -> None:
    imports = "import polars as pl; from podtask_runner.hashing.content_hash import content_hash"
    text = f"{imports}; print(content_hash(pl.Series([1])))"
    alone = script(f"-c import sys; sys.modules.update(numpy=None, pyarrow=None); {text}")
    assert alone == script(f"-c import numpy, pyarrow; {text}")


def test_a_culprit_in_a_table_is_named() -> None:
    import pandas as pd

    frame = pd.DataFrame({"n": [1], "who": [(x for x in ())]})
    with pytest.raises(Unhashable) as caught:
        content_hash({"df": frame}, name="args")
    assert caught.value.path == "args['df']['who'][0]"


def test_what_a_library_refuses_is_unhashable_and_no_crash() -> None:
    released = pa.RecordBatchReader.from_batches(pa.schema([]), [])
    with pytest.raises(Unhashable, match="cannot be hashed"):
        content_hash(released)
