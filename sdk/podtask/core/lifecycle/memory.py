"""How much memory an attempt gets after out-of-memory kills: `spec.onOutOfMemory`. Pure, exact, and from the status.

The growth is a function of `status.outOfMemoryUsed`, so a restarted operator builds the same pod.
Asked by: `judge` (is there more to give?), `transitions` (what the attempt's record says), the operator's `build`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from podtask.core.api.quantity import MEBIBYTE, in_words


@dataclass(frozen=True)
class MemoryGrowth:
    """`spec.onOutOfMemory`, with what the first attempt has. Amounts in bytes."""

    factor: float
    most: int
    attempts: int
    """Attempts with more memory than the first, at most."""
    base: int
    """Memory of the first attempt: its limit, else its request."""

    def grown(self, amount: int, kills: int) -> int:
        """What `amount` becomes after so many out-of-memory kills: never more than `most`, whole mebibytes."""
        exact = amount * Fraction(repr(self.factor)) ** kills
        step = MEBIBYTE if amount >= MEBIBYTE else 1
        return amount if kills == 0 else max(amount, min(self.most, -(-exact // step) * step))

    def next_after(self, kills: int) -> int | None:
        """Memory of the attempt after one more kill; None where that would be no more than the last one had."""
        more = self.grown(self.base, kills + 1)
        return more if kills < self.attempts and more > self.grown(self.base, kills) else None

    def text(self, kills: int) -> str:
        """Memory after so many kills, as Kubernetes writes it."""
        return in_words(self.grown(self.base, kills))
