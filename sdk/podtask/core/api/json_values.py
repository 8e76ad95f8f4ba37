"""Parameters of a manifest as the API server keeps them: its numbers are those of Kubernetes, not those of YAML.

A number without a fraction becomes an integer (`1.0`, `1e3`), and an integer of more than 64 bits a float, which has
another value. The first is done here as well, so that a manifest means the same everywhere; the second is refused,
like the numbers that JSON does not have. Asked by: `podtask.cli.common.manifest_files`.
"""

from __future__ import annotations

import math
from typing import Any

LEAST, MOST = -(2**63), 2**63 - 1


class NotKept(ValueError):
    """A value that would arrive as another one; the text says where, what and how to cure it."""


def as_kept(value: Any, path: str) -> Any:
    """The value as a task on the cluster gets it; `path` is where it stands. Raises `NotKept`."""
    if isinstance(value, dict):
        return {key: as_kept(inner, f"{path}.{key}") for key, inner in value.items()}
    if isinstance(value, list):
        return [as_kept(inner, f"{path}[{index}]") for index, inner in enumerate(value)]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise NotKept(
                f"{path} is {_yaml(value)}, which JSON and so Kubernetes does not have; write it as text "
                f'("{_yaml(value)}") and let the task call float().'
            )
        return int(value) if value.is_integer() and LEAST <= value <= MOST else value
    if not LEAST <= value <= MOST:
        shown = str(value) if value.bit_length() < 400 else f"an integer of {value.bit_length()} bits"
        raise NotKept(
            f"{path} is {shown}, and Kubernetes keeps integers of 64 bits; it would arrive as a float of another "
            f"value. Write it as text (in quotes) and let the task call int()."
        )
    return value


def _yaml(value: float) -> str:
    return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
