"""Certificates of clusters as they are: an authority without the extensions that Python 3.13 wants to see."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from podtask.core import clock
from podtask.kube.client import connect
from podtask.kube.errors import CertificateRefused

PEM = serialization.Encoding.PEM


class Handler(BaseHTTPRequestHandler):
    """Answers every GET with one TaskRun, once as many as `together` says have asked."""

    protocol_version = "HTTP/1.1"  # a connection stays
    together = threading.Barrier(1)

    def do_GET(self) -> None:
        self.together.wait(30)
        body = json.dumps({"metadata": {"name": "hello"}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Not on stderr."""


class Authority:
    """A plain one: it may sign, and no extension says for what its key is used."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cluster")])
        self._certificate = self._sign(self._key.public_key(), self._name, x509.BasicConstraints(True, None))

    @property
    def pem(self) -> bytes:
        return self._certificate.public_bytes(PEM)

    def server(self, folder: Path, address: str) -> Path:
        """Certificate and key of a server at that address."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        certificate = self._sign(key.public_key(), x509.Name([]), names)
        file = folder / "server.pem"
        private = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        file.write_bytes(certificate.public_bytes(PEM) + private)
        return file

    def _sign(self, key: ec.EllipticCurvePublicKey, subject: x509.Name, extension: x509.ExtensionType) -> Any:
        now = clock.now()
        day = dt.timedelta(days=1)
        made = x509.CertificateBuilder(self._name, subject, key, x509.random_serial_number(), now - day, now + day)
        return made.add_extension(extension, critical=True).sign(self._key, hashes.SHA256())


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def port(tmp_path: Path, authority: Authority) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.server(tmp_path, "127.0.0.1"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that refuses the certificate
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def kubeconfig(folder: Path, authority: bytes | None, port: int, host: str = "127.0.0.1") -> str:
    cluster = {"server": f"https://{host}:{port}"}
    if authority is not None:
        cluster["certificate-authority-data"] = base64.b64encode(authority).decode()
    file = folder / "kubeconfig"
    file.write_text(
        json.dumps(
            {
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "clusters": [{"name": "c", "cluster": cluster}],
                "users": [{"name": "u", "user": {}}],
            }
        )
    )
    return str(file)


def test_an_authority_without_key_usage_is_as_good_as_it_is_for_kubectl(
    tmp_path: Path, authority: Authority, port: int
) -> None:
    run = connect(kubeconfig(tmp_path, authority.pem, port)).get_run("team", "hello")
    assert run is not None
    assert run["metadata"]["name"] == "hello"


def test_a_certificate_of_another_authority_is_refused(tmp_path: Path, port: int) -> None:
    with pytest.raises(CertificateRefused, match="CERTIFICATE_VERIFY_FAILED"):
        connect(kubeconfig(tmp_path, Authority().pem, port)).get_run("team", "hello")


def test_a_certificate_for_another_name_is_refused(tmp_path: Path, authority: Authority, port: int) -> None:
    with pytest.raises(CertificateRefused, match="CERTIFICATE_VERIFY_FAILED"):
        connect(kubeconfig(tmp_path, authority.pem, port, "localhost")).get_run("team", "hello")


def test_an_authority_of_the_system_is_enough(
    tmp_path: Path, authority: Authority, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = tmp_path / "system.pem"
    system.write_bytes(authority.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(system))
    assert connect(kubeconfig(tmp_path, None, port)).get_run("team", "hello") is not None


def test_connections_of_two_threads_share_no_tls_context(tmp_path: Path, authority: Authority, port: int) -> None:
    """urllib3 loads the client's certificate into the context at each connection: a shared one ends the process."""
    api = connect(kubeconfig(tmp_path, authority.pem, port))
    Handler.together = threading.Barrier(2)
    try:
        with ThreadPoolExecutor(2) as threads:
            assert all(threads.map(lambda name: api.get_run("team", name), ["one", "two"]))
    finally:
        Handler.together = threading.Barrier(1)
    pool = api._client.rest_client.pool_manager.connection_from_host("127.0.0.1", port, "https")
    contexts = [connection.sock.context for connection in pool.pool.queue if connection]
    assert len(contexts) == 2
    assert contexts[0] is not contexts[1]
