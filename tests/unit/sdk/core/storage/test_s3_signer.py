"""Signed URLs, used as a pod uses them: plain HTTP, no credentials.

moto checks no signatures, so what a server has to refuse is asked of the real one only.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

import boto3
import pytest
from botocore.credentials import RefreshableCredentials
from botocore.session import get_session

from podtask.core.storage import S3Settings, StoreRefused
from podtask.core.storage.s3 import S3Signer
from podtask_runner.protocol import LogPost

At = Callable[[str], str]
AWS = S3Settings("bucket", region="eu-central-1")


def http(
    method: str, url: str, data: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    # urllib's own Content-Type for a body is that of a form, and some servers (moto) then read it as one
    request = Request(url, data, {"Content-Type": "application/octet-stream", **(headers or {})}, method=method)
    try:
        with urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        with error:
            return error.code, error.read()


def post(grant: LogPost, key: str, data: bytes, **changed: str) -> int:
    """One chunk, as a browser form: the fields, the key, the file last (Amazon S3 API reference, POST Object)."""
    form = io.BytesIO()
    for name, value in {**grant.fields, "key": key, **changed}.items():
        form.write(f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
    form.write(
        b'--edge\r\nContent-Disposition: form-data; name="file"; filename="file"\r\n\r\n' + data + b"\r\n--edge--\r\n"
    )
    return http("POST", grant.url, form.getvalue(), {"Content-Type": "multipart/form-data; boundary=edge"})[0]


NAMES = ["ns/runs/u/1/result", "with space/plus+and&%2F=ü~'()*!"]


@pytest.mark.parametrize("name", NAMES)
def test_a_read_grant_reads_its_object(bucket, at: At, name: str) -> None:
    bucket.store.put(at(name), b"content")
    assert http("GET", bucket.signer.sign_get(at(name), 60)) == (200, b"content")


def test_a_read_grant_for_what_is_not_there_yet_is_404(bucket, at: At) -> None:
    assert http("GET", bucket.signer.sign_get(at("missing"), 60))[0] == 404


@pytest.mark.parametrize("name", NAMES)
def test_a_write_grant_writes_once_and_the_second_time_is_412(bucket, at: At, name: str) -> None:
    put = bucket.signer.sign_put(at(name), 60)
    assert http("PUT", put.url, b"first", put.headers)[0] == 200
    assert http("PUT", put.url, b"second", put.headers)[0] == 412
    assert bucket.store.get(at(name)) == b"first"


def test_a_log_grant_writes_any_number_of_chunks_under_its_prefix(bucket, at: At) -> None:
    grant = bucket.signer.sign_post(at("log/"), 1000, 60)
    for number in range(3):
        assert post(grant, f"{grant.prefix}{number:06}", f"chunk {number}".encode()) in (200, 201, 204)
    assert [bucket.store.get(info.key) for info in bucket.store.list(at("log/"))] == [
        b"chunk 0",
        b"chunk 1",
        b"chunk 2",
    ]


@pytest.mark.cluster
class TestTheServerRefuses:
    def test_a_write_without_the_signed_header(self, real_bucket, at: At) -> None:
        put = real_bucket.signer.sign_put(at("result"), 60)
        assert http("PUT", put.url, b"x")[0] == 403
        assert http("PUT", put.url, b"x", {"If-None-Match": '"other"'})[0] == 403
        assert real_bucket.store.head(at("result")) is None

    def test_another_object_than_the_signed_one(self, real_bucket, at: At) -> None:
        real_bucket.store.put(at("secret"), b"x")
        url = real_bucket.signer.sign_get(at("public"), 60)
        assert http("GET", url.replace("public", "secret"))[0] == 403
        put = real_bucket.signer.sign_put(at("public"), 60)
        assert http("PUT", put.url.replace("public", "secret"), b"y", put.headers)[0] == 403

    def test_another_verb_than_the_signed_one(self, real_bucket, at: At) -> None:
        real_bucket.store.put(at("object"), b"x")
        url = real_bucket.signer.sign_get(at("object"), 60)
        assert http("DELETE", url)[0] == 403
        assert http("PUT", url, b"y")[0] == 403
        assert real_bucket.store.get(at("object")) == b"x"

    def test_a_longer_life_than_the_signed_one(self, real_bucket, at: At) -> None:
        real_bucket.store.put(at("object"), b"x")
        url = real_bucket.signer.sign_get(at("object"), 60)
        assert http("GET", url.replace("X-Amz-Expires=60", "X-Amz-Expires=6000"))[0] == 403

    def test_a_chunk_outside_of_the_prefix(self, real_bucket, at: At) -> None:
        grant = real_bucket.signer.sign_post(at("run/log/"), 1000, 60)
        assert post(grant, at("run/result"), b"x") == 403
        assert real_bucket.store.head(at("run/result")) is None

    def test_a_chunk_that_is_too_large(self, real_bucket, at: At) -> None:
        grant = real_bucket.signer.sign_post(at("log/"), 1000, 60)
        assert post(grant, at("log/0"), b"x" * 1001) in (400, 403, 413)
        assert real_bucket.store.head(at("log/0")) is None

    def test_a_forged_policy(self, real_bucket, at: At) -> None:
        grant = real_bucket.signer.sign_post(at("log/"), 1000, 60)
        wider = real_bucket.signer.sign_post(at(""), 1000, 60)
        assert post(grant, at("result"), b"x", policy=wider.fields["policy"]) == 403

    def test_a_log_grant_that_expired(self, real_bucket, at: At) -> None:
        settings, session = real_bucket.settings, real_bucket.session
        signer = S3Signer(settings, session=session, clock=lambda: time.time() - 120)
        assert post(signer.sign_post(at("log/"), 1000, 60), at("log/0"), b"x") == 403

    def test_a_signature_by_another_secret(self, real_bucket, at: At) -> None:
        access = real_bucket.session.get_credentials().access_key
        signer = S3Signer(real_bucket.settings, session=boto3.Session(access, "wrong"))
        assert http("GET", signer.sign_get(at("object"), 60))[0] == 403


def signer(settings: S3Settings = AWS, **credentials: str) -> S3Signer:
    return S3Signer(settings, session=boto3.Session("access", "secret", **credentials))


def test_a_url_names_region_life_and_signed_headers() -> None:
    parts = urlsplit(signer().sign_put("a/b", 3600.9).url)
    query = parse_qs(parts.query)
    assert (parts.scheme, parts.netloc, parts.path) == ("https", "s3.eu-central-1.amazonaws.com", "/bucket/a/b")
    assert query["X-Amz-Expires"] == ["3600"]
    assert query["X-Amz-SignedHeaders"] == ["host;if-none-match"]
    assert query["X-Amz-Credential"][0].endswith("/eu-central-1/s3/aws4_request")


def test_an_endpoint_keeps_its_port_and_its_path() -> None:
    settings = S3Settings("bucket", endpoint_url="http://gateway:8080/s3/")
    assert signer(settings).sign_get("a/b", 60).startswith("http://gateway:8080/s3/bucket/a/b?")
    assert signer(settings).sign_post("a/", 1, 60).url == "http://gateway:8080/s3/bucket"


def test_a_session_token_travels_along() -> None:
    temporary = signer(aws_session_token="token")
    assert "X-Amz-Security-Token=token" in temporary.sign_get("a", 60)
    assert temporary.sign_post("a/", 1, 60).fields["x-amz-security-token"] == "token"


@pytest.mark.parametrize("seconds", [0, -1, 7 * 24 * 3600 + 1])
def test_a_life_that_sigv4_cannot_express_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="lives 1 to 604800 seconds"):
        signer().sign_get("a", seconds)
    with pytest.raises(ValueError, match="lives 1 to 604800 seconds"):
        signer().sign_post("a/", 1, seconds)


@pytest.mark.parametrize("key", ["", "../other", "a//b"])
def test_what_is_no_key_is_not_signed(key: str) -> None:
    for sign in (signer().sign_get, signer().sign_put):
        with pytest.raises(ValueError, match="not an object key"):
            sign(key, 60)


def test_a_log_grant_for_the_whole_bucket_is_refused() -> None:
    with pytest.raises(ValueError, match="opens the whole store"):
        signer().sign_post("", 1, 60)


def test_without_credentials_the_error_says_where_they_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = boto3.Session()
    monkeypatch.setattr(bare, "get_credentials", lambda: None)
    with pytest.raises(StoreRefused, match="AWS_ACCESS_KEY_ID") as caught:
        S3Signer(AWS, session=bare).sign_get("a", 60)
    assert caught.value.code == "NoCredentialsError"


class Issuer:
    """Hands out keys that live 20 minutes from a clock the test turns."""

    def __init__(self) -> None:
        self.now = datetime(2030, 1, 1, tzinfo=timezone.utc)
        self.issued = 1

    def issue(self) -> dict[str, str]:
        self.issued += 1
        expiry = (self.now + timedelta(minutes=20)).isoformat()
        return {"access_key": f"key{self.issued}", "secret_key": "s", "token": "t", "expiry_time": expiry}

    def session(self) -> boto3.Session:
        core = get_session()
        expiry = self.now + timedelta(minutes=20)
        core._credentials = RefreshableCredentials("key1", "s", "t", expiry, self.issue, "test", lambda: self.now)
        return boto3.Session(botocore_session=core)


def test_long_lived_credentials_do_not_expire() -> None:
    assert signer().credentials_expire_at() is None


def test_credentials_that_refresh_are_taken_anew_at_every_signature() -> None:
    issuer = Issuer()
    fresh = S3Signer(AWS, session=issuer.session())
    assert "Credential=key1%2F" in fresh.sign_get("a", 60)
    assert fresh.credentials_expire_at() == issuer.now.timestamp() + 20 * 60
    issuer.now += timedelta(minutes=15)
    assert fresh.credentials_expire_at() == issuer.now.timestamp() + 20 * 60
    assert "Credential=key2%2F" in fresh.sign_get("a", 60)


def test_signing_asks_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("a connection was made")

    monkeypatch.setattr("socket.socket.connect", refuse)
    settings = replace(AWS, endpoint_url="http://nowhere.invalid")
    signer(settings).sign_get("a", 60)
    signer(settings).sign_put("a", 60)
    signer(settings).sign_post("a/", 1, 60)
