"""How long the watch goes on while its rounds fail, and the sentence about the end of it.

An API server is away for minutes while a control plane is upgraded, and for longer behind a VPN that broke off. So the
bound is two hours without one good answer. What nobody has foreseen (a proxy's answer that is no JSON, a defect) is
tried 30 times in a row, about five minutes: news may come in between and be followed by the same failure. Used by:
`watch`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

AWAY_SECONDS: Final = 2 * 3600.0
UNFORESEEN_ROUNDS: Final = 30
_CURE: Final = (
    "The task itself may go on in the cluster: look with `kubectl get ptr`, and run the flow again with the same "
    "PODTASK_FLOW_RUN_ID, which takes its task runs over."
)


class WatchPatience:
    """Decides whether a failed watch is tried again."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._since: float | None = None
        self._unforeseen = 0

    def answered(self) -> None:
        """The API server gave a good answer."""
        self._since = None

    def ended_well(self) -> None:
        """A whole round of the watch ended without an error."""
        self._since, self._unforeseen = None, 0

    def over_by(self, error: Exception) -> str | None:
        """A round failed with this error. Returns why no other round is tried, or None."""
        now = self._monotonic()
        self._since = now if self._since is None else self._since
        if now - self._since < AWAY_SECONDS:
            return None
        self.ended_well()  # runs that are submitted later have the whole time
        return f"for {AWAY_SECONDS / 3600:g} hours the API server gave no good answer, the last was: {error} {_CURE}"

    def over_by_unforeseen(self, error: Exception) -> str | None:
        """A round failed with an unexpected error. Returns the same as `over_by`."""
        self._unforeseen += 1
        if self._unforeseen < UNFORESEEN_ROUNDS:
            return None
        self.ended_well()
        return (
            f"its news could not be read {UNFORESEEN_ROUNDS} times in a row ({type(error).__name__}: {error}). If a "
            f"proxy stands before the API server, ask its administrator; otherwise please report this. {_CURE}"
        )
