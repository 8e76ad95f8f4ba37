"""How every bench prints: one table, medians with their spread, never an assertion (machines are noisy)."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence


def spread(seconds: Sequence[float]) -> str:
    """`1.61 (1.52 - 1.90)`: median, least and most."""
    return f"{statistics.median(seconds):.2f} ({min(seconds):.2f} - {max(seconds):.2f})"


def show(title: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print one table."""
    lines = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    print(f"\n{title}")
    for line in lines:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
