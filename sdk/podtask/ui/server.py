"""A server for the page: `podtask ui` on 127.0.0.1 for one person, until Ctrl-C; `__main__` in a pod for many.

The port is bound before the link is printed, so that the link works when it is read. Next on the road: `application`.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn

from podtask.errors import PodtaskError
from podtask.ui.access.logins import LinkLogin
from podtask.ui.access.sessions import Sessions
from podtask.ui.access.viewer import Viewer
from podtask.ui.application import application
from podtask.ui.routes.ui_state import UiState

ADDRESS = "127.0.0.1"


class Serving:
    """A server that is bound, and serves when it is told to."""

    def __init__(
        self, ui: UiState, listening: socket.socket, announce: Callable[[], object], *, debug: bool = False
    ) -> None:
        self._socket = listening
        self.ui = ui
        config = uvicorn.Config(
            application(ui, announce),
            log_level="info" if debug else "critical",
            lifespan="off",
            access_log=debug,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=2,
            ws="none",
        )
        self._server = _Server(config, self.ui.streams.close)

    @property
    def port(self) -> int:
        """Where browsers find it."""
        return self.ui.port

    def serve(self) -> None:
        """Serve until a signal."""
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self.ui.close()
            self._socket.close()

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve in a thread, as tests do."""
        thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._server.handle_exit(2, None)
            thread.join()
            self.ui.close()
            self._socket.close()


class PageServer(Serving):
    """`podtask ui`."""

    def __init__(self, viewer: Viewer, port: int, announce: Callable[[str], object], *, debug: bool = False) -> None:
        listening = bound(port)
        self._sessions = Sessions()
        self._announce = announce
        port = int(listening.getsockname()[1])
        ui = UiState(LinkLogin(self._sessions), viewer.namespace, viewer, port=port)
        super().__init__(ui, listening, self._again, debug=debug)

    def link(self) -> str:
        """A link that works once."""
        return f"http://{ADDRESS}:{self.port}/login?token={self._sessions.link()}"

    def serve(self) -> None:
        """Print a link, and serve until a signal."""
        self._announce(self.link())
        super().serve()

    def _again(self) -> None:
        """A link was used: the next is for another browser."""
        self._announce(self.link())


class _Server(uvicorn.Server):
    """Streams have no end of their own, so they are ended before the server waits for them."""

    def __init__(self, config: uvicorn.Config, close_streams: Callable[[], object]) -> None:
        super().__init__(config)
        self._close_streams = close_streams

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """At a signal."""
        self._close_streams()
        super().handle_exit(sig, frame)


def bound(port: int) -> socket.socket:
    """A listening socket on this machine only; port 0: any. Raises `PodtaskError` where it is taken."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((ADDRESS, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise PodtaskError(
            f"Port {port} of {ADDRESS} cannot be used ({error.strerror}): give another with --port."
        ) from error
    return listening
