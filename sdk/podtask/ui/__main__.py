"""`python -m podtask.ui`: the page in a pod of the cluster (`ui.enabled` in the chart), for whoever has a token.

Settings come by the environment, as the chart writes them. Every request is asked with the token of the viewer: this
pod has no service account token. It has no credentials for the bucket either, so logs of attempts are those of their
pods, unless `ui.store.enabled` of the chart gives it some.
Next on the road: `server`.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from podtask.errors import PodtaskError, SettingsError
from podtask.inspection.cluster import Cluster
from podtask.kube.bearer import as_bearer, server_around
from podtask.kube.bucket_access import BucketAccess
from podtask.ui.access.cluster_viewer import ClusterViewer
from podtask.ui.access.guarded_bucket import GuardedBucket
from podtask.ui.access.logins import TokenLogin
from podtask.ui.access.no_bucket import ClosedBucket
from podtask.ui.access.sessions import Sessions
from podtask.ui.routes.ui_state import UiState
from podtask.ui.server import Serving


@dataclass(frozen=True)
class Settings:
    """Of the page in the cluster."""

    namespace: str
    """Where the page begins."""
    server: str
    """The API server."""
    ca: Path | None = None
    port: int = 8765
    listen: str = ""
    """Address; empty: all."""
    hosts: tuple[str, ...] = ()
    actions: bool = False
    store: Mapping[str, str] | None = None
    """The bucket, as the chart publishes it to clients; None: closed."""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Settings:
        """Raises `PodtaskError` that names the variable."""
        actions = environment.get("PODTASK_UI_ACTIONS", "off")
        if actions not in ("on", "off"):
            raise SettingsError(f"PODTASK_UI_ACTIONS must be on or off, not '{actions}'")
        port = environment.get("PODTASK_UI_PORT", "8765")
        if not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise SettingsError(f"PODTASK_UI_PORT must be a port, not '{port}'")
        ca = environment.get("PODTASK_UI_CA")
        return cls(
            namespace=environment.get("PODTASK_UI_NAMESPACE", "default"),
            server=environment.get("PODTASK_UI_SERVER") or server_around(),
            ca=Path(ca) if ca else None,
            port=int(port),
            listen=environment.get("PODTASK_UI_LISTEN", ""),
            hosts=tuple(host for host in environment.get("PODTASK_UI_HOSTS", "").split(",") if host),
            actions=actions == "on",
            store=_store(environment),
        )


_STORE = ("bucket", "prefix", "endpoint", "region", "conditionalWrites")


def _store(environment: Mapping[str, str]) -> Mapping[str, str] | None:
    found = {name: environment.get(f"PODTASK_UI_STORE_{name.upper()}", "") for name in _STORE}
    return found if found["bucket"] else None


def cluster_page(settings: Settings) -> Serving:
    """The server, bound."""

    def viewer(token: str) -> ClusterViewer:
        api = as_bearer(token, settings.server, settings.ca, settings.namespace)
        made = ClusterViewer(Cluster(api, settings.namespace), ClosedBucket, actions=settings.actions)
        if settings.store is not None:
            made.open_bucket = lru_cache(maxsize=16)(partial(_guarded, settings.store, made.rights.logs))
        return made

    listening = everywhere(settings.port, settings.listen)
    port = int(listening.getsockname()[1])
    ui = UiState(TokenLogin(Sessions(), viewer), settings.namespace, hosts=settings.hosts, port=port)
    return Serving(ui, listening, lambda: None)


def _guarded(store: Mapping[str, str], allowed: Callable[[str], bool], namespace: str) -> BucketAccess:
    return GuardedBucket(namespace, store, allowed)


def everywhere(port: int, address: str) -> socket.socket:
    """A listening socket of this pod, for IPv6 as well where there is that."""
    if address or not socket.has_dualstack_ipv6():
        return socket.create_server((address, port))
    return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)


def main() -> int:
    """Serve until a signal; what is wrong is a sentence."""
    try:
        page = cluster_page(Settings.of(os.environ))
    except PodtaskError as error:
        sys.stderr.write(f"podtask ui: {error}\n")
        return 2
    sys.stderr.write(f"podtask ui: serving on port {page.port}\n")
    page.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
