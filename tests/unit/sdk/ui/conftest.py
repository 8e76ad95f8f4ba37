"""A page as a person starts it, in front of an API server of this process; over HTTP, and in a real Chromium."""

from __future__ import annotations

import http.client
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from tests.unit.sdk.cli.conftest import KUBECONFIG
from tests.unit.sdk.ui.live_api import LiveCluster, serving

from podtask.core.api.names import CLIENT_CONFIG_MAP
from podtask.core.storage import Store, open_store
from podtask.core.storage.layout import AttemptKeys, Bucket
from podtask.inspection.cluster import Cluster
from podtask.kube.bucket_access import BucketAccess
from podtask.kube.client import connect
from podtask.ui.access.cluster_viewer import ClusterViewer
from podtask.ui.server import PageServer

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

ROOT = Path(__file__).parents[4]
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass
class Answer:
    """What came of a request."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    def value(self, name: str) -> str:
        """The value of a hidden field."""
        match = re.search(rf'name="{name}" value="([^"]*)"', self.text)
        assert match is not None, f"no field {name} in {self.text}"
        return match[1]


@dataclass
class Browser:
    """As much of one as a person without JavaScript has: cookies, forms, no redirects by itself."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **headers: str) -> Answer:
        """GET."""
        return self._ask("GET", path, None, headers)

    def post(self, path: str, fields: dict[str, str] | None = None, **headers: str) -> Answer:
        """POST a form."""
        kind = {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://127.0.0.1:{self.port}"}
        return self._ask("POST", path, urlencode(fields or {}), {**kind, **headers})

    def enter(self, link: str) -> Answer:
        """Open a printed link, and press its button."""
        path = link.partition(f":{self.port}")[2]
        return self.post("/login", {"token": self.get(path).value("token")})

    def _ask(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, {"Cookie": cookies, **sent})
            reply = connection.getresponse()
            for line in reply.headers.get_all("Set-Cookie") or ():
                self.cookies.update({name: one.value for name, one in SimpleCookie(line).items()})
            return Answer(reply.status, reply.headers, reply.read())
        finally:
            connection.close()


@dataclass
class World:
    """One cluster, one bucket, one page."""

    cluster: LiveCluster
    page: PageServer
    store: Store
    links: list[str]

    @property
    def address(self) -> str:
        """Of the page."""
        return f"http://127.0.0.1:{self.page.port}"

    def browser(self) -> Browser:
        """One that came by a link."""
        browser = Browser(self.page.port)
        assert browser.enter(self.page.link()).status == 303
        return browser

    def stranger(self) -> Browser:
        """One that came by no link."""
        return Browser(self.page.port)

    def keys(self, uid: str, attempt: int = 1) -> AttemptKeys:
        """Where an attempt's objects are in the bucket."""
        return Bucket("", "team").attempt(uid, attempt)


@contextmanager
def opened(folder: Path) -> Iterator[World]:
    """A page about an empty cluster; its files are in the folder."""
    cluster, links = LiveCluster(), list[str]()
    bucket = f"file://{folder}/bucket"
    with serving(cluster) as address:
        config = folder / "kubeconfig"
        config.write_text(KUBECONFIG.format(server=address))
        api = connect(str(config))

        def access(namespace: str) -> BucketAccess:
            return BucketAccess(namespace, lambda _: api.config_map(namespace, CLIENT_CONFIG_MAP), bucket, None)

        page = PageServer(ClusterViewer(Cluster(api, api.namespace), access, api.context), 0, links.append)
        with page.serving():
            yield World(cluster, page, open_store(bucket), links)
        api.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A page about an empty cluster, which the test fills before it looks."""
    with opened(tmp_path) as found:
        yield found


def started(profile: Path, *, javascript: bool = True) -> Chrome:
    """A Chromium of its own."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in (*FLAGS, f"--user-data-dir={profile}", "--hide-scrollbars"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if not javascript:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    return webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))


def look(driver: Chrome, width: int, *, dark: bool, height: int = 900) -> None:
    """Through a window of that width, in light or dark, without animations."""
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    still = {"name": "prefers-reduced-motion", "value": "reduce"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme, still]})
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


@pytest.fixture(scope="session")
def checks() -> Path:
    """The folder with axe-core and tsc; Chromium is there afterwards."""
    done = subprocess.run([ROOT / "dev" / "browser"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"dev/browser: {done.stderr}"
    return Path(done.stdout.strip())


@pytest.fixture
def chromium(checks: Path, tmp_path: Path) -> Iterator[Callable[..., Chrome]]:
    """Starts Chromium of a width, in light or dark, with or without JavaScript."""
    running: list[Chrome] = []

    def start(width: int = 1600, *, dark: bool = False, javascript: bool = True) -> Chrome:
        running.append(started(tmp_path / f"profile-{len(running)}", javascript=javascript))
        look(running[-1], width, dark=dark)
        return running[-1]

    yield start
    for driver in running:
        driver.quit()
