"""One exchange with the store: PUT, GET, or POST of a log chunk; by http, https, or a `file://` URL.

`file://` gives the process backend the same semantics as the bucket: a second PUT answers 412. Retries, digests
and grants are the business of `podtask_runner.storage.client`, one layer up; `podtask_runner.process.log_shipping`
posts chunks here.

http.client instead of urllib.request: the same cost to import, but its connections stay open between the PUTs of
one attempt (a TLS handshake each otherwise). It is imported on first use; a small inline task starts without it.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, TypeAlias
from urllib.parse import unquote, urlsplit

from podtask_runner.storage.spool import NoRoom

if TYPE_CHECKING:
    import http.client

Body: TypeAlias = "bytes | Path"
Consume = Callable[[bytes], object]

OK: Final = 200
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
PRECONDITION_FAILED: Final = 412
MAY_HAVE_EXPIRED: Final = frozenset({400, FORBIDDEN})
"""403: the URL's time is over. 400: that of the credentials it was signed with (Amazon S3's ExpiredToken)."""

_CHUNK: Final = 1 << 20
_SOCKET_TIMEOUT: Final = 60.0
"""Seconds without a byte after which an exchange is given up and tried again."""


class Unreachable(Exception):
    """No answer, or half of one; worth another try."""


class Endpoints:
    """Open connections, one per host. Not thread-safe: every thread has its own."""

    def __init__(self, timeout: float = _SOCKET_TIMEOUT) -> None:
        self._timeout = timeout
        self._open: dict[tuple[str, str], http.client.HTTPConnection] = {}

    def close(self) -> None:
        """Give the connections back."""
        while self._open:
            self._open.popitem()[1].close()

    def put(self, url: str, headers: Mapping[str, str], body: Body, *, once: bool = True) -> int:
        """Write one object; the status code. Raises `Unreachable`.

        `once`: only if it does not exist. Of a bucket's URL the signed `headers` say that.
        """
        if url.startswith("file:"):
            return _put_file(_path(url), body, once=once)
        return self._exchange("PUT", url, headers, body, None)

    def get(self, url: str, consume: Consume) -> int:
        """Feed the object to `consume` piece by piece; the status code. Raises `Unreachable`, also half-way."""
        if url.startswith("file:"):
            return _get_file(_path(url), consume)
        return self._exchange("GET", url, {}, b"", consume)

    def post(self, url: str, fields: Mapping[str, str], key: str, body: bytes) -> int:
        """Upload `body` as `key` under a presigned POST policy; the status code. Raises `Unreachable`."""
        if url.startswith("file:"):
            return _put_file(_path(url) / key, body)
        boundary = os.urandom(16).hex()
        form = _form({**fields, "key": key}, body, boundary)
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        return self._exchange("POST", url, headers, form, None)

    def _exchange(self, method: str, url: str, headers: Mapping[str, str], body: Body, consume: Consume | None) -> int:
        import http.client

        parts = urlsplit(url)
        place = (parts.scheme, parts.netloc)
        used = place in self._open
        connection = self._open.pop(place, None) or _connect(parts.scheme, parts.netloc, self._timeout)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            status = _send(connection, method, target, headers, body, consume)
        except (OSError, http.client.HTTPException, ValueError) as error:
            connection.close()
            if isinstance(error, NoRoom):  # the consumer's own disk
                raise
            if used and not isinstance(error, TimeoutError):  # the server closed an idle connection
                return self._exchange(method, url, headers, body, consume)
            raise Unreachable(f"{method} {parts.scheme}://{parts.netloc}{parts.path}: {error!r}") from error
        except BaseException:  # the consumer had enough; the rest of the answer must not meet the next exchange
            connection.close()
            raise
        self._open[place] = connection
        return status


def _send(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: Body,
    consume: Consume | None,
) -> int:
    size = len(body) if isinstance(body, bytes) else body.stat().st_size
    length = {"Content-Length": str(size)} if method != "GET" else {}
    with _opened(body) as stream:
        try:
            connection.request(method, target, body=stream if size else None, headers={**headers, **length})
        except (BrokenPipeError, ConnectionResetError):
            # A store may refuse a large PUT and close before it has read all of it; its answer is still there.
            if connection.sock is None:
                raise
        response = connection.getresponse()
    wanted, received = response.length, 0
    while piece := response.read(_CHUNK):
        received += len(piece)
        if consume is not None and response.status == OK:
            consume(piece)
    if wanted is not None and received < wanted:
        raise ConnectionResetError(f"the answer ended after {received} of {wanted} bytes")
    return response.status


def _connect(scheme: str, netloc: str, timeout: float) -> http.client.HTTPConnection:
    """A connection, through the environment's proxy when there is one for this host."""
    import http.client

    kind: type[http.client.HTTPConnection]
    if scheme == "https":
        kind = http.client.HTTPSConnection
    elif scheme == "http":
        kind = http.client.HTTPConnection
    else:
        raise Unreachable(f"no way to reach {scheme}:// URLs (http, https and file are known)")
    proxy = _proxy(scheme, netloc)
    if proxy is None:
        return kind(netloc, timeout=timeout, blocksize=1 << 16)
    user, _, place = urlsplit(proxy if "://" in proxy else f"//{proxy}").netloc.rpartition("@")
    connection = kind(place, timeout=timeout, blocksize=1 << 16)
    secret = base64.b64encode(unquote(user).encode()).decode()
    connection.set_tunnel(netloc, headers={"Proxy-Authorization": f"Basic {secret}"} if user else None)
    return connection


def _proxy(scheme: str, netloc: str) -> str | None:
    if not any(name.lower() == f"{scheme}_proxy" for name in os.environ):
        return None
    from urllib.request import getproxies, proxy_bypass

    return None if proxy_bypass(netloc) else getproxies().get(scheme)


def _form(fields: Mapping[str, str], body: bytes, boundary: str) -> bytes:
    """multipart/form-data (RFC 7578) as S3 wants it: the file last."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="log"\r\n\r\n')
    return "".join(parts).encode() + body + f"\r\n--{boundary}--\r\n".encode()


def _opened(body: Body) -> BinaryIO:
    return io.BytesIO(body) if isinstance(body, bytes) else body.open("rb")


def local_path(url: str) -> Path | None:
    """Where a `file://` URL points on this machine; None for every other URL."""
    return _path(url) if url.startswith("file:") else None


def _path(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))


def _put_file(path: Path, body: Body, *, once: bool = True) -> int:
    """Write beside and move into place: the object appears whole, and with `once` only if it was not there."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with _opened(body) as source, beside.open("xb") as target:
                while piece := source.read(_CHUNK):
                    target.write(piece)
            if once:
                os.link(beside, path)
            else:
                beside.replace(path)
        finally:
            with suppress(FileNotFoundError):
                beside.unlink()
    except FileExistsError:
        return PRECONDITION_FAILED
    except OSError as error:
        raise Unreachable(f"PUT {path}: {error}") from error
    return OK


def _get_file(path: Path, consume: Consume) -> int:
    try:
        with path.open("rb") as source:
            while piece := source.read(_CHUNK):
                consume(piece)
    except FileNotFoundError:
        return NOT_FOUND
    except OSError as error:
        raise Unreachable(f"GET {path}: {error}") from error
    return OK
