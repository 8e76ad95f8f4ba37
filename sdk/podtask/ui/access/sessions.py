"""Links that work once, and sessions, which a link or a token opens (see `logins`). In memory only, bounded.

    podtask ui prints a link ──> GET /login (changes nothing) ──> POST /login (the link is used up) ──> cookie

A link is used up by a person, not by a preview of it: only the POST counts. The cookie is named with the port, because
browsers send the cookies of 127.0.0.1 to every port of it.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from podtask.ui.access.viewer import Viewer

SESSIONS = 32
"""At a time; the one that was not used for longest ends."""
IDLE_SECONDS = 12 * 3600.0
LINKS = 8
"""That have not been used yet."""


@dataclass
class WebSession:
    """A browser that came by a link or with a token."""

    id: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    form_token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    """Every form that changes something carries it (CSRF)."""
    used: float = 0.0
    viewer: Viewer | None = None
    """Whose rights it has; None: those of whoever started the page."""

    def end(self) -> None:
        """Forget what was read with its rights, and the token."""
        if self.viewer is not None:
            self.viewer.close()


class Sessions:
    """All links and sessions of one server. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._links: list[str] = []
        self._sessions: dict[str, WebSession] = {}

    def link(self) -> str:
        """The secret of a new link."""
        secret = secrets.token_urlsafe(32)
        with self._lock:
            self._links = [*self._links, secret][-LINKS:]
        return secret

    def open(self, secret: str) -> WebSession | None:
        """The session that a link opens, once."""
        with self._lock:
            taken = _take(self._links, secret)
        return self.begin(None) if taken else None

    def begin(self, viewer: Viewer | None) -> WebSession:
        """A new session; the one that was not used for longest ends where there are too many."""
        with self._lock:
            session = WebSession(used=self._clock(), viewer=viewer)
            self._sessions[session.id] = session
            now = self._clock()
            over = [one for one in self._sessions.values() if now - one.used > IDLE_SECONDS]
            over += sorted(self._sessions.values(), key=lambda one: one.used)[:-SESSIONS]
            for old in over:
                self._sessions.pop(old.id, None)
        for old in over:
            old.end()
        return session

    def find(self, session_id: str) -> WebSession | None:
        """The session of a cookie, if it was used in the last twelve hours."""
        with self._lock:
            now = self._clock()
            session = self._sessions.get(session_id)
            if session is None:
                return None
            if now - session.used <= IDLE_SECONDS:
                session.used = now
                return session
            del self._sessions[session_id]
        session.end()
        return None

    def close(self, session: WebSession) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(session.id, None)
        session.end()

    def close_all(self) -> None:
        """The server ends."""
        with self._lock:
            ending = list(self._sessions.values())
            self._sessions.clear()
        for one in ending:
            one.end()


def same(one: str, other: str) -> bool:
    """Compared in a time that says nothing about either."""
    return secrets.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


def _take(links: list[str], secret: str) -> bool:
    match = [same(link, secret) for link in links]
    if True not in match:
        return False
    del links[match.index(True)]
    return True
