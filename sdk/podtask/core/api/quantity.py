"""Amounts of memory as Kubernetes writes them, exactly: `512Mi` is 536870912 bytes, not about half a gigabyte. Pure.

Used by: `podtask.core.lifecycle.memory` (growth after out-of-memory kills), the operator's `validate` and `build`.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

_QUANTITY = re.compile(r"\+?(?P<number>\d+\.?\d*|\.\d+)(?P<suffix>[KMGTPE]i|[numkMGTPE]|[eE][+-]?\d{1,2})?", re.ASCII)
"""As the API server reads it, without a sign: nobody asks for less than nothing."""
_BINARY: Final = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
MEBIBYTE: Final = 2**20


def is_quantity(amount: int | str) -> bool:
    """True for what the API server takes as a quantity that is not negative."""
    return _QUANTITY.fullmatch(str(amount)) is not None


def in_bytes(amount: int | str) -> int:
    """`"1.5Gi"` -> 1610612736; fractions of a byte are rounded up. Raises `ValueError` for anything else."""
    found = _QUANTITY.fullmatch(str(amount))
    if found is None:
        raise ValueError(f"not a quantity: {str(amount)[:60]!r}")
    suffix = found["suffix"] or ""
    number = Fraction(found["number"])
    if suffix in _BINARY:
        exact = number * _BINARY[suffix]
    else:
        power = int(suffix[1:]) if suffix[:1] in ("e", "E") and len(suffix) > 1 else _DECIMAL[suffix]
        exact = number * Fraction(10) ** power
    return -(-exact.numerator // exact.denominator)


def in_words(amount: int) -> str:
    """Bytes as the shortest exact quantity with a binary suffix: 1610612736 -> `"1536Mi"`."""
    for suffix, size in reversed(_BINARY.items()):
        if amount and amount % size == 0:
            return f"{amount // size}{suffix}"
    return str(amount)
