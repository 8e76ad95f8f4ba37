"""The cluster around this pod with somebody else's token: what the page in the cluster asks with.

No service account is read: the address comes by the environment that every pod has, the server's CA by the ConfigMap
`kube-root-ca.crt` that every namespace has. Beside: `client.connect`, which takes the credentials that it finds.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from podtask.kube.client import POOL, USER_AGENT, Api
from podtask.kube.errors import ClusterUnreachable

TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,16384}=*")
"""RFC 6750; anything else could be more than a token in a header."""


def as_bearer(token: str, server: str, ca: Path | None, namespace: str) -> Api:
    """The API server, asked with this token and with nothing else. Raises `ValueError` for what is no token."""
    from kubernetes import client  # pyright: ignore[reportAttributeAccessIssue] - lazily exported

    if TOKEN.fullmatch(token) is None:
        raise ValueError("this is no bearer token")
    settings: Any = client.Configuration()  # pyright: ignore[reportAttributeAccessIssue]
    settings.retries = False
    settings.connection_pool_maxsize = POOL
    settings.host = server
    settings.ssl_ca_cert = None if ca is None else str(ca)
    settings.api_key = {"BearerToken": token, "authorization": token}
    settings.api_key_prefix = {"BearerToken": "Bearer", "authorization": "Bearer"}
    settings.proxy = None
    api_client = client.ApiClient(configuration=settings)  # pyright: ignore[reportAttributeAccessIssue]
    api_client.user_agent = USER_AGENT
    return Api(api_client, namespace)


def server_around() -> str:
    """The API server's address inside a pod. Raises `ClusterUnreachable` elsewhere."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise ClusterUnreachable("This is no pod of a cluster: KUBERNETES_SERVICE_HOST is not set. Use podtask ui.")
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
