"""A bucket whose server does not know conditional writes: nothing is asked of it that it would refuse or ignore."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.unit.sdk.core.conftest import Bucket

from podtask.core.storage import AlreadyStored
from podtask_operator import settings

At = Callable[[str], str]
NEEDED = {settings.STORE: "s3://bucket", settings.RUNNER_IMAGES: '{"3.11": "image"}'}


@pytest.fixture
def plain(moto_bucket: Bucket) -> Bucket:
    return Bucket(replace(moto_bucket.settings, conditional_writes=False), moto_bucket.session)


def asked_with(bucket: Bucket) -> list[Any]:
    """`If-None-Match` of every PUT from now on."""
    seen: list[Any] = []
    events = bucket.store._access.client().meta.events
    events.register("before-call.s3.PutObject", lambda params, **_: seen.append(params["headers"].get("If-None-Match")))
    return seen


def test_a_put_if_absent_sends_no_condition_and_refuses_who_comes_later(
    plain: Bucket, moto_bucket: Bucket, at: At, tmp_path: Path
) -> None:
    sent = asked_with(plain)
    (tmp_path / "file").write_bytes(b"second")
    plain.store.put(at("object"), b"first", if_absent=True)
    with pytest.raises(AlreadyStored):
        plain.store.put(at("object"), b"second", if_absent=True)
    with pytest.raises(AlreadyStored):
        plain.store.put_file(at("object"), tmp_path / "file", if_absent=True)
    assert plain.store.get(at("object")) == b"first"
    assert sent == [None]
    known = asked_with(moto_bucket)
    moto_bucket.store.put(at("other"), b"first", if_absent=True)
    assert known == ["*"]


def test_a_pod_is_not_told_to_send_one_either(plain: Bucket, moto_bucket: Bucket, at: At) -> None:
    def signed(bucket: Bucket) -> tuple[Any, list[str]]:
        put = bucket.signer.sign_put(at("object"), 60)
        return put.headers, parse_qs(urlsplit(put.url).query)["X-Amz-SignedHeaders"]

    assert signed(plain) == ({}, ["host"])
    assert signed(moto_bucket) == ({"If-None-Match": "*"}, ["host;if-none-match"])


@pytest.mark.parametrize(("said", "means"), [({}, True), ("on", True), ("off", False)])
def test_the_operator_is_told_by_its_environment(said: Any, means: bool) -> None:
    given = {settings.CONDITIONAL_WRITES: said} if said else {}
    assert settings.load({**NEEDED, **given}).conditional_writes is means


def test_another_word_is_refused() -> None:
    with pytest.raises(settings.SettingsError, match="PODTASK_STORE_CONDITIONAL_WRITES must be on or off, not 'yes'"):
        settings.load({**NEEDED, settings.CONDITIONAL_WRITES: "yes"})
