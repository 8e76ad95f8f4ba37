"""What holds for all tests: hypothesis tries the same examples every time, and does not look at the clock."""

from __future__ import annotations

from hypothesis import settings

settings.load_profile("ci")  # an example nobody has seen before, or a stall of 200 ms, is no failure of a change
