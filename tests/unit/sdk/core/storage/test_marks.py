"""What a TaskRun names: whichever field it stands in, whatever is around it, and however odd the object is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.bucket_scene import digest, uid

from podtask.core.storage.marks import mark

DIGEST, UID = digest("code"), uid(7)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "sha256:{}",
        "blobs/{}",
        "s3://bucket/team/blobs/{}.tar",
        '{{"digest": "{}"}}',
        "{} and more",
        "x{}x",
        "\n{}\n",
    ],
)
@pytest.mark.parametrize("name", [DIGEST, UID])
def test_a_name_in_any_text_is_marked(text: str, name: str) -> None:
    marks = mark([{"spec": {"client": {"bundle": [text.format(name)]}}}])
    assert name in marks.uids | marks.digests


def test_a_name_that_is_a_key_is_marked() -> None:
    marks = mark([{"spec": {"bundles": {DIGEST: {"by": {UID: None}}}}}])
    assert (marks.digests, marks.uids) == ({DIGEST}, {UID})


def test_json_inside_of_json_is_text_like_any_other() -> None:
    inner = json.dumps({"code": [{"digest": DIGEST}]}, indent=1)
    assert mark([{"spec": {"opaque": json.dumps({"inner": inner})}}]).digests == {DIGEST}


@pytest.mark.parametrize("text", [DIGEST[:-1], DIGEST + "0", DIGEST.upper(), DIGEST.replace("a", "g"), "", "-" * 36])
def test_what_is_no_name_is_not_marked(text: str) -> None:
    marks = mark([{"spec": {"text": text}}])
    assert (marks.digests, marks.uids) == (set(), set())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([DIGEST, UID]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from([DIGEST, UID]), inner),
)


@given(JSON.filter(lambda value: isinstance(value, dict)))
def test_any_object_is_read_and_every_name_in_it_is_marked(obj: dict[str, Any]) -> None:
    marks = mark([obj])
    text = json.dumps(obj)
    for name, held in ((DIGEST, marks.digests), (UID, marks.uids)):
        assert (name in held) == (f'"{name}"' in text) or name in text


def test_an_object_that_is_nested_very_deeply_is_read() -> None:
    obj: dict[str, Any] = {"digest": DIGEST}
    for _ in range(100_000):
        obj = {"a": obj}
    assert mark([obj]).digests == {DIGEST}
    while obj:  # python takes nested dicts apart by recursion
        obj = obj.pop("a", {})
