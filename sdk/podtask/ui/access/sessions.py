"""Links that work once, and the sessions that they open. In memory only, bounded.

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

SESSIONS = 32
"""At a time; the one that was not used for longest ends."""
IDLE_SECONDS = 12 * 3600.0
LINKS = 8
"""That have not been used yet."""


@dataclass
class WebSession:
    """A browser that came by a link."""

    id: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    form_token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    """Every form that changes something carries it (CSRF)."""
    used: float = 0.0


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
            if not _take(self._links, secret):
                return None
            session = WebSession(used=self._clock())
            self._sessions[session.id] = session
            for old in sorted(self._sessions.values(), key=lambda one: one.used)[:-SESSIONS]:
                del self._sessions[old.id]
            return session

    def find(self, session_id: str) -> WebSession | None:
        """The session of a cookie, if it was used in the last twelve hours."""
        with self._lock:
            now = self._clock()
            session = self._sessions.get(session_id)
            if session is None or now - session.used > IDLE_SECONDS:
                self._sessions.pop(session_id, None)
                return None
            session.used = now
            return session

    def close(self, session: WebSession) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(session.id, None)


def same(one: str, other: str) -> bool:
    """Compared in a time that says nothing about either."""
    return secrets.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


def _take(links: list[str], secret: str) -> bool:
    match = [same(link, secret) for link in links]
    if True not in match:
        return False
    del links[match.index(True)]
    return True
