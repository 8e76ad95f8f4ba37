"""What a store says when the server does not do what it was asked: one sentence with the cure, after bounded tries."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import boto3
import pytest

from podtask.core.storage import AlreadyStored, NotStored, S3Settings, StoreRefused, StoreUnavailable
from podtask.core.storage.s3 import S3Store

Answer = Callable[[BaseHTTPRequestHandler], None]
ETAG = '"900150983cd24fb0d6963f7d28e17f72"'


def answer(status: int, body: bytes = b"", **headers: str) -> Answer:
    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body)

    return send


def refusal(status: int, code: str) -> Answer:
    return answer(status, f"<Error><Code>{code}</Code><Message>the server's own words</Message></Error>".encode())


def reset(handler: BaseHTTPRequestHandler) -> None:
    # SO_LINGER 0: close() sends a reset instead of an orderly end
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def silence(scripted) -> Answer:
    def wait(handler: BaseHTTPRequestHandler) -> None:
        scripted.released.wait()
        handler.close_connection = True

    return wait


def half(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b"only the beginning")
    handler.close_connection = True


OK = answer(200, b"", ETag=ETAG)
GOT = answer(200, b"content", ETag=ETAG)
EXISTS = answer(200, b"content", ETag=ETAG, Last_Modified="Tue, 01 Jan 2030 00:00:00 GMT")

VERBS = {
    "get": lambda store: store.get("ns/object"),
    "put": lambda store: store.put("ns/object", b"abc"),
    "put if absent": lambda store: store.put("ns/object", b"abc", if_absent=True),
    "head": lambda store: store.head("ns/object"),
    "delete": lambda store: store.delete("ns/object"),
    "list": lambda store: list(store.list("ns/object")),
}

PASSES = {
    (503, "SlowDown"): "in a while",
    (503, "ServiceUnavailable"): "in a while",
    (500, "InternalError"): "in a while",
    (429, "TooManyRequests"): "in a while",
    (403, "RequestTimeTooSkewed"): "Set the clock",
    (400, "ExpiredToken"): "Renew the credentials",
    (507, "InsufficientStorage"): "Make room",
}
STAYS = {
    (404, "NoSuchBucket"): "Create the bucket",
    (403, "AccessDenied"): "s3:PutObject",
    (403, "InvalidAccessKeyId"): "Correct AWS_ACCESS_KEY_ID",
    (403, "SignatureDoesNotMatch"): "AWS_SECRET_ACCESS_KEY",
    (501, "NotImplemented"): "conditionalWrites",
    (400, "AuthorizationHeaderMalformed"): "region of the bucket",
    (418, "Teapot"): "its own log",
}


@pytest.mark.parametrize(("told", "cure"), PASSES.items(), ids=str)
def test_what_may_pass_is_unavailable_with_a_cure(scripted, told: tuple[int, str], cure: str) -> None:
    scripted.answers[:] = [refusal(*told)]
    with pytest.raises(StoreUnavailable, match=cure) as caught:
        scripted.store().put("ns/object", b"abc")
    assert not isinstance(caught.value, StoreRefused)
    assert caught.value.code == told[1]
    assert len(scripted.requests) <= 3


@pytest.mark.parametrize(("told", "cure"), STAYS.items(), ids=str)
def test_what_a_person_has_to_change_is_refused_with_a_cure(scripted, told: tuple[int, str], cure: str) -> None:
    scripted.answers[:] = [refusal(*told)]
    with pytest.raises(StoreRefused, match=cure) as caught:
        scripted.store().put("ns/object", b"abc")
    assert caught.value.code == told[1]


def test_the_sentence_names_object_bucket_endpoint_cause_and_cure(scripted) -> None:
    scripted.answers[:] = [refusal(403, "AccessDenied")]
    with pytest.raises(StoreRefused) as caught:
        scripted.store().get("ns/object")
    assert str(caught.value) == (
        f"cannot read 'ns/object' in bucket 'bucket' at {scripted.url}: AccessDenied (the server's own words). "
        "Give these credentials the policy that they need (docs: Install, Policies of the bucket): the operator"
        " s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket on the whole prefix; people s3:GetObject and"
        " s3:ListBucket on the folder of their namespace, and s3:PutObject on its blobs/."
    )


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("failure", ["503", "reset", "silence"])
def test_every_verb_ends_after_bounded_tries(scripted, verb: str, failure: str) -> None:
    scripted.answers[:] = [{"503": refusal(503, "SlowDown"), "reset": reset, "silence": silence(scripted)}[failure]]
    with pytest.raises(StoreUnavailable, match=r"'ns/object' in bucket 'bucket' at http") as caught:
        VERBS[verb](scripted.store(attempts=2, read_seconds=0.05))
    assert not isinstance(caught.value, StoreRefused)
    assert len(scripted.met(2)) == 2


@pytest.mark.parametrize("verb", VERBS)
def test_one_failure_is_survived_by_every_verb(scripted, verb: str) -> None:
    good = {"get": GOT, "head": EXISTS, "delete": answer(204), "list": answer(200, b"<ListBucketResult/>")}.get(
        verb, OK
    )
    scripted.answers[:] = [reset, refusal(503, "SlowDown"), good]
    VERBS[verb](scripted.store())
    assert len(scripted.requests) == 3


@pytest.mark.usefixtures("no_waiting")
def test_no_server_at_all_is_unavailable() -> None:
    with socket.socket() as taken:  # bound and not listening: refuses
        taken.bind(("127.0.0.1", 0))
        settings = S3Settings("bucket", endpoint_url=f"http://127.0.0.1:{taken.getsockname()[1]}")
        store = S3Store(settings, session=boto3.Session("access", "secret"))
        with pytest.raises(StoreUnavailable, match="reaches the endpoint") as caught:
            store.get("a")
    assert caught.value.code == "EndpointConnectionError"


def test_a_malformed_endpoint_is_refused() -> None:
    store = S3Store(S3Settings("bucket", endpoint_url="no-scheme"), session=boto3.Session("access", "secret"))
    with pytest.raises(StoreRefused, match="Correct the endpoint"):
        store.get("a")


def test_without_credentials_the_cure_names_them(scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = boto3.Session()
    monkeypatch.setattr(bare._session, "get_credentials", lambda: None)
    with pytest.raises(StoreRefused, match="Give boto3 credentials"):
        S3Store(S3Settings("bucket", endpoint_url=scripted.url), session=bare).get("a")
    assert scripted.requests == []


def test_a_head_without_a_body_is_understood_by_its_status(scripted) -> None:
    scripted.answers[:] = [answer(403)]
    with pytest.raises(StoreRefused, match="s3:GetObject") as caught:
        scripted.store().head("a")
    assert caught.value.code == "AccessDenied"


def test_a_missing_bucket_is_not_a_missing_object(scripted) -> None:
    scripted.answers[:] = [refusal(404, "NoSuchBucket")]
    with pytest.raises(StoreRefused, match="Create the bucket"):
        scripted.store().get("a")
    scripted.answers[:] = [refusal(404, "NoSuchKey")]
    with pytest.raises(NotStored):
        scripted.store().get("a")


def test_a_body_that_breaks_off_is_read_again(scripted) -> None:
    scripted.answers[:] = [half, half, GOT]
    assert scripted.store().get("a") == b"content"


def test_a_body_that_always_breaks_off_is_unavailable_and_never_half_an_object(scripted) -> None:
    scripted.answers[:] = [half]
    with pytest.raises(StoreUnavailable, match="cannot read 'a'"):
        scripted.store().get("a")
    assert len(scripted.requests) == 3


def test_a_conditional_put_that_meets_another_one_is_tried_again(scripted) -> None:
    conflict = refusal(409, "ConditionalRequestConflict")
    scripted.answers[:] = [conflict, conflict, OK]
    assert scripted.store().put("a", b"abc", if_absent=True) == ETAG.strip('"')
    scripted.answers[:] = [conflict, refusal(412, "PreconditionFailed")]
    with pytest.raises(AlreadyStored):
        scripted.store().put("a", b"abc", if_absent=True)


def test_a_file_whose_put_met_another_one_is_sent_whole_again(scripted, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    scripted.answers[:] = [refusal(409, "ConditionalRequestConflict"), reset, OK]
    scripted.store().put_file("a", tmp_path / "file", if_absent=True)
    assert scripted.bodies == [b"abc"] * 3


def test_a_conflict_that_never_ends_is_unavailable(scripted) -> None:
    scripted.answers[:] = [refusal(409, "ConditionalRequestConflict")]
    with pytest.raises(StoreUnavailable, match="Another writer"):
        scripted.store(conflicts=4).put("a", b"abc", if_absent=True)
    assert len(scripted.requests) == 4


@pytest.mark.parametrize(("there", "ours"), [(b"content", True), (b"another", False)])
def test_after_a_lost_answer_412_is_a_success_if_the_bytes_are_ours(scripted, there: bytes, ours: bool) -> None:
    taken = refusal(412, "PreconditionFailed")
    scripted.answers[:] = [reset, taken, EXISTS, answer(200, there, ETag=ETAG)]
    if ours:
        assert scripted.store().put("a", b"content", if_absent=True) == ETAG.strip('"')
    else:
        with pytest.raises(AlreadyStored):
            scripted.store().put("a", b"content", if_absent=True)
    assert [request.split()[0] for request in scripted.requests] == ["PUT", "PUT", "HEAD", "GET"]


def test_a_conflict_between_the_lost_answer_and_the_412_changes_nothing(scripted) -> None:
    conflict, taken = refusal(409, "ConditionalRequestConflict"), refusal(412, "PreconditionFailed")
    scripted.answers[:] = [reset, conflict, taken, EXISTS, GOT]
    assert scripted.store().put("a", b"content", if_absent=True) == ETAG.strip('"')


def test_a_412_at_the_first_try_is_never_ours(scripted) -> None:
    scripted.answers[:] = [refusal(412, "PreconditionFailed")]
    with pytest.raises(AlreadyStored, match="'a' is in bucket 'bucket' already"):
        scripted.store().put("a", b"content", if_absent=True)
    assert len(scripted.requests) == 1


def test_a_put_sends_the_bytes_as_they_are(scripted) -> None:
    scripted.answers[:] = [OK]
    scripted.store().put("ns/with space", b"abc")
    assert (scripted.requests, scripted.bodies) == (["PUT /bucket/ns/with%20space"], [b"abc"])


def test_a_long_list_is_read_page_by_page_and_a_page_may_fail(scripted) -> None:
    def page(key: str, more: str = "") -> Answer:
        facts = f"<Key>{key}</Key><Size>1</Size><ETag>{ETAG}</ETag><LastModified>2030-01-01T00:00:00Z</LastModified>"
        return answer(200, f"<ListBucketResult><Contents>{facts}</Contents>{more}</ListBucketResult>".encode())

    more = "<IsTruncated>true</IsTruncated><NextContinuationToken>next</NextContinuationToken>"
    scripted.answers[:] = [page("a", more), reset, page("b")]
    assert [info.key for info in scripted.store().list("")] == ["a", "b"]
    scripted.answers[:] = [page("a", more), refusal(403, "AccessDenied")]
    listing = scripted.store().list("")
    assert next(listing).key == "a"
    with pytest.raises(StoreRefused, match="cannot list ''"):
        next(listing)
