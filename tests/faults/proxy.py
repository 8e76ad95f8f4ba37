"""The fault proxy as the tests see it: started before a server, given rules, asked what went through it.

In front of the API server it holds the administrator's certificate and gives its clients a kubeconfig without one.
Its other half, in mitmproxy's environment: `addon`.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from tests.cluster.kit import ROOT, eventually, kubectl, needed
from tests.cluster.operator_process import WITH_US, free_port

Rule = dict[str, Any]
T = TypeVar("T")
ADDON = Path(__file__).with_name("addon.py")
STARTS_WITHIN = 30.0


class Proxy:
    """One running proxy. `url` is where its clients go."""

    def __init__(self, folder: Path, upstream: str, host: str, *options: str) -> None:
        self.url = f"http://{host}:{free_port(host)}"
        self._log = folder / f"proxy-{time.monotonic_ns()}.log"
        place = urlsplit(self.url)
        asked = ("keep_host_header=true", "http2=false", "connection_strategy=lazy", f"confdir={folder}", *options)
        words = ["--quiet", "--scripts", str(ADDON), "--mode", f"reverse:{upstream}@{place.hostname}:{place.port}"]
        words += [word for option in asked for word in ("--set", option)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*WITH_US, str(_mitmdump()), *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait()

    def rules(self, *rules: Rule) -> None:
        """These rules, and no others, from now on."""
        self._ask("PUT", "rules", [rule for rule in rules if rule])

    def log(self, match: str = "", since: int = 0) -> list[dict[str, Any]]:
        """Requests whose target matches, oldest first."""
        entries: list[dict[str, Any]] = self._ask("GET", f"log?since={since}")
        return [entry for entry in entries if re.search(match, entry["target"])]

    def cut(self, match: str) -> list[str]:
        """Abort the connections of watches; their targets."""
        cut: list[str] = self._ask("POST", f"cut?match={quote(match)}")
        return cut

    def end(self) -> None:
        """Stop it."""
        self._process.kill()
        self._process.wait(10)

    def told(self) -> str:
        """What it complained about."""
        return self._log.read_text(errors="replace")[-3000:]

    def _ask(self, method: str, what: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/__faults__/{what}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def _wait(self) -> None:
        """A process has no event for "serves": ask until it answers, bounded."""

        def serves() -> bool:
            try:
                return bool(self._ask("GET", "log") is not None)
            except OSError:
                assert self._process.poll() is None, f"the fault proxy ended; it said: {self.told()}"
                return False

        eventually("the fault proxy serves", serves, STARTS_WITHIN)


@contextmanager
def before_api_server(folder: Path) -> Iterator[tuple[Proxy, str]]:
    """A proxy before the API server of KUBECONFIG, and the path of a kubeconfig for its clients."""
    needed("KUBECONFIG")
    view = json.loads(kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json"))
    cluster, user = view["clusters"][0]["cluster"], view["users"][0]["user"]
    if "client-certificate-data" not in user:
        raise AssertionError("the fault proxy logs in by client certificate, and the current kube context has none")
    trusted, mine = folder / "api-ca.pem", folder / "api-client.pem"
    trusted.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
    mine.touch(mode=0o600)
    mine.write_bytes(
        b"\n".join(base64.b64decode(user[part]) for part in ("client-key-data", "client-certificate-data"))
    )
    options = (f"ssl_verify_upstream_trusted_ca={trusted}", f"client_certs={mine}")
    proxy = Proxy(folder, cluster["server"], "127.0.0.1", *options)
    try:
        yield proxy, str(_kubeconfig(folder / "proxied.kubeconfig", proxy.url))
    finally:
        proxy.end()


@contextmanager
def before_store(folder: Path) -> Iterator[Proxy]:
    """A proxy before the S3 server, at the address of the S3 server: pods reach it, too."""
    endpoint = needed("PODTASK_S3_ENDPOINT_URL")
    proxy = Proxy(folder, endpoint, str(urlsplit(endpoint).hostname))
    try:
        yield proxy
    finally:
        proxy.end()


def api_writes(entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of the requests that write, Events and the Lease apart."""
    return [
        entry
        for entry in entries
        if entry["target"].split(" ", 1)[0] in ("PATCH", "POST", "PUT", "DELETE")
        and not re.search(r"/(events|leases)(/|$)", entry["target"])
    ]


def _kubeconfig(path: Path, server: str) -> Path:
    named = {"name": "proxied"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "proxied",
        "contexts": [{**named, "context": {"cluster": "proxied", "user": "proxied"}}],
        "clusters": [{**named, "cluster": {"server": server}}],
        "users": [{**named, "user": {}}],
    }
    path.write_text(json.dumps(config))
    return path


def _mitmdump() -> Path:
    """The program; its environment is built when it is missing (a minute)."""
    done = subprocess.run([str(ROOT / "dev" / "mitmproxy")], text=True, capture_output=True, check=False, timeout=300)
    assert done.returncode == 0, f"dev/mitmproxy: {done.stderr}"
    return Path(done.stdout.strip()).with_name("mitmdump")
