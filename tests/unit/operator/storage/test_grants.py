"""Grants name objects that the operator derives itself: a digest chooses the content, never the place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.builders import DIGEST, SETTINGS, run

from podtask.core.api import names
from podtask.core.storage.directory import DirectorySigner
from podtask.core.storage.layout import Bucket
from podtask_operator.storage import grants
from podtask_operator.task_runs.parse import Malformed


def test_files_among_the_arguments_are_blobs_of_the_own_namespace(tmp_path: Path) -> None:
    given = run({"files": [{"digest": DIGEST, "size": 3}]})
    made = grants.build(given, 1, {}, Bucket("prefix", "team"), DirectorySigner(tmp_path), SETTINGS)
    (blob,) = made.files
    assert (blob.digest, blob.size, blob.serializer) == (DIGEST, 3, "file")
    assert blob.url == (tmp_path / "prefix" / "team" / "blobs" / DIGEST).as_uri()


@pytest.mark.parametrize("digest", ["../../other/blobs/x", DIGEST.upper(), DIGEST + "0", ""])
def test_what_is_no_digest_is_no_file(digest: str) -> None:
    with pytest.raises(Malformed, match="files"):
        run({"files": [{"digest": digest, "size": 3}]})


@pytest.mark.parametrize(
    ("labels", "annotations", "expected"),
    [
        ({}, {}, ("hello", "", "")),
        (
            {names.LABEL_TASK: "greet", names.LABEL_FLOW: "around"},
            {names.ANNOTATION_RUN_NAME: "greet-0123abcd-7"},
            ("greet", "greet-0123abcd-7", "around"),
        ),
        ({}, {names.ANNOTATION_RUN_NAME: "x" * 1000}, ("hello", "x" * 253, "")),
    ],
)
def test_the_code_inside_is_told_what_the_run_is_called(labels, annotations, expected, tmp_path: Path) -> None:
    given = replace(run(), labels=labels, annotations=annotations)
    made = grants.build(given, 1, {}, Bucket("prefix", "team"), DirectorySigner(tmp_path), SETTINGS)
    assert (made.task_name, made.run_name, made.flow_name) == expected
