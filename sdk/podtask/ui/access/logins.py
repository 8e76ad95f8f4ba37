"""How a browser gets in: by a link that works once, or with a token of the cluster's.

    podtask ui           a link is printed                        LinkLogin     the rights of whoever started it
    ui.enabled (chart)   a token is pasted, or sent by a proxy    TokenLogin    the rights that the token has

A token is tried at the API server before a session is made of it, and stays in this process's memory. A proxy sends its
token with every request, which counts then and no cookie does; the session is found by the digest of the token.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from podtask.core.api.names import PLURAL
from podtask.kube.errors import ClusterRefused
from podtask.ui.access.cluster_viewer import ClusterViewer
from podtask.ui.access.sessions import Sessions, WebSession

USED = "This link has been used, or is of another start. The terminal in which podtask ui runs shows a new one."
NO_TOKEN = "The cluster does not know this token, or its time is over."  # noqa: S105 - a sentence


class Login(Protocol):
    """What the guard and the login page ask."""

    @property
    def sessions(self) -> Sessions:
        """All that are open."""
        ...

    @property
    def asks_for(self) -> str:
        """`link` or `token`."""
        ...

    @property
    def trouble(self) -> str:
        """What is said to who does not get in."""
        ...

    def enter(self, secret: str) -> WebSession | None:
        """The session that a secret opens. May take the time of a request."""
        ...

    def sent_along(self, authorization: str) -> WebSession | None:
        """The session of a request with that header. May take the time of a request."""
        ...


@dataclass
class LinkLogin:
    """See `Login`."""

    sessions: Sessions
    asks_for: str = "link"
    trouble: str = USED

    def enter(self, secret: str) -> WebSession | None:
        """See `Login`."""
        return self.sessions.open(secret)

    def sent_along(self, authorization: str) -> WebSession | None:  # noqa: ARG002 - a `Login`
        """Nobody gets in that way."""
        return None


@dataclass
class TokenLogin:
    """See `Login`."""

    sessions: Sessions
    viewer: Callable[[str], ClusterViewer]
    """Of a token. Raises `ValueError` for what is none."""
    asks_for: str = "token"
    trouble: str = NO_TOKEN
    _by_digest: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, secret: str) -> WebSession | None:
        """See `Login`. Raises `ClusterUnreachable`."""
        try:
            viewer = self.viewer(secret.strip())
        except ValueError:
            return None
        try:
            viewer.rights.now(viewer.namespace, "list", PLURAL)  # whoever the cluster knows may ask that about itself
        except ClusterRefused as no:
            if no.status == 401:
                viewer.close()
                return None
            if no.status != 403:  # known, and not allowed to ask even that: what it may see is seen page by page
                raise
            return self.sessions.begin(viewer)
        except BaseException:
            viewer.close()
            raise
        return self.sessions.begin(viewer)

    def sent_along(self, authorization: str) -> WebSession | None:
        """See `Login`."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return None
        digest = hashlib.sha256(token.strip().encode("utf-8", "replace")).hexdigest()
        with self._lock:
            known = self._by_digest.get(digest)
        found = self.sessions.find(known) if known else None
        if found is None:
            found = self.enter(token)
            with self._lock:
                if found is not None:
                    if len(self._by_digest) > 1000:  # of sessions that have ended
                        self._by_digest.clear()
                    self._by_digest[digest] = found.id
        return found
