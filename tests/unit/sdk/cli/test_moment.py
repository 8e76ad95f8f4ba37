"""Times of other components, in every spelling that RFC 3339 allows them, on every Python that podtask promises."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from podtask.inspection.seen import moment


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("2026-01-02T03:04:06Z", 0),
        ("2026-01-02T03:04:06.5Z", 500_000),
        ("2026-01-02T03:04:06.05Z", 50_000),
        ("2026-01-02T03:04:06.500000Z", 500_000),
        ("2026-01-02T03:04:06.123456789Z", 123_456),
        ("2026-01-02T04:04:06.5+01:00", 500_000),
    ],
)
def test_a_fraction_of_a_second_has_any_number_of_digits(text: str, microseconds: int) -> None:
    assert moment(text) == datetime(2026, 1, 2, 3, 4, 6, microseconds, tzinfo=timezone.utc)
