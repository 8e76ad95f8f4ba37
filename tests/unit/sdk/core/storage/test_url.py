"""Addresses that people write, and what a wrong one is answered."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from podtask.core.storage import S3Settings, key_prefix, open_signer, open_store, parse_store_url
from podtask.core.storage.directory import DirectorySigner, DirectoryStore
from podtask.core.storage.memory import MemoryStore
from podtask.core.storage.s3 import S3Signer, S3Store
from podtask.core.storage.url import SCHEMES, store_address
from podtask_operator import settings


@pytest.mark.parametrize(
    ("url", "settings"),
    [
        ("s3://bucket", S3Settings("bucket")),
        ("s3://bucket/", S3Settings("bucket")),
        ("s3://my.bucket-1/a/b/", S3Settings("my.bucket-1", "a/b")),
    ],
)
def test_a_bucket_address_names_bucket_and_prefix(url: str, settings: S3Settings) -> None:
    assert parse_store_url(url) == settings


@pytest.mark.parametrize(
    "url",
    [
        "",
        "bucket",
        "http://host/bucket",
        "s3://",
        "s3://UPPER",
        "s3://a",
        "s3://b/../c",
        "s3://bkt//x",
        "s3://bkt/x?y",
        "s3://[b",
    ],
)
def test_what_is_no_bucket_address_is_answered_with_a_sentence(url: str) -> None:
    with pytest.raises(ValueError, match=r"^not a"):
        parse_store_url(url)


NO_ENDPOINT = [
    "localhost:9000",
    "10.0.0.1",
    "s3://x",
    "http://",
    "http://host/?x=1",
    "http://[",
    "http://host:x",
    "http://host:70000",
]


@pytest.mark.parametrize("endpoint", NO_ENDPOINT)
def test_what_is_no_endpoint_is_answered_with_the_form_it_should_have(endpoint: str) -> None:
    with pytest.raises(ValueError, match=r"write http://host:port"):
        parse_store_url("s3://bucket", endpoint)


def test_an_empty_endpoint_is_none() -> None:
    assert parse_store_url("s3://bucket", "") == S3Settings("bucket")


def test_a_folder_address_opens_a_folder(tmp_path: Path) -> None:
    url = (tmp_path / "with space").as_uri()
    store, signer = open_store(url), open_signer(url)
    assert isinstance(store, DirectoryStore)
    assert isinstance(signer, DirectorySigner)
    assert store.root == signer.root == tmp_path / "with space"
    assert key_prefix(url) == ""


def test_a_bucket_address_opens_a_bucket_without_asking_for_it() -> None:
    assert isinstance(open_store("s3://bucket/prefix", "http://nowhere.invalid"), S3Store)
    assert isinstance(open_signer("s3://bucket/prefix", "http://nowhere.invalid"), S3Signer)
    assert key_prefix("s3://bucket/a/b") == "a/b"


NO_ADDRESS = ["file://relative/path", "file:relative", "/plain/path", "gs://bucket", "file://[/x", ""]


@pytest.mark.parametrize("url", NO_ADDRESS)
def test_an_address_that_opens_nothing_is_answered_with_what_to_write(url: str) -> None:
    with pytest.raises(ValueError, match=r"write .*file:///folder"):
        open_store(url)


def test_nobody_loads_boto3_before_a_bucket_is_asked_for() -> None:
    code = (
        "import sys; from podtask.core.storage import open_store; open_store('file:///nowhere').head('a');"
        "sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, check=True)


class Nowhere:
    """An address of a scheme that a test registers."""

    prefix = "p"

    def __init__(self, *parsed: str | None) -> None:
        self.parsed = parsed

    def store(self, **_: bool) -> MemoryStore:
        return MemoryStore()


def test_a_new_scheme_is_one_registration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podtask.core.storage.url.SCHEMES", {**SCHEMES, "nowhere": ("nowhere:place", Nowhere)})
    address = store_address("nowhere:x", "http://e", "r")
    assert isinstance(address, Nowhere)
    assert address.parsed == ("nowhere:x", "http://e", "r")
    assert isinstance(open_store("nowhere:x"), MemoryStore)
    assert key_prefix("nowhere:x") == "p"
    with pytest.raises(ValueError, match=r"write s3://bucket/prefix or file:///folder or nowhere:place"):
        store_address("elsewhere:x")


WRONG = {"s3://UPPER": None, "s3://bucket/../x": None, "s3://[": None, "s3://bucket": "localhost:9000"}


@pytest.mark.parametrize(("url", "endpoint"), WRONG.items())
def test_the_operator_refuses_a_wrong_address_at_its_start_with_a_sentence(url: str, endpoint: str | None) -> None:
    environment = {settings.STORE: url, settings.RUNNER_IMAGES: '{"3.11": "image"}'}
    if endpoint is not None:
        environment[settings.S3_ENDPOINT_URL] = endpoint
    with pytest.raises(settings.SettingsError, match="in the chart's values"):
        settings.load(environment)
