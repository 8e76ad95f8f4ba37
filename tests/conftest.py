"""What holds for all tests: the same examples every time, no look at the clock, and interrupts that arrive."""

from __future__ import annotations

import signal

from hypothesis import settings

settings.load_profile("ci")  # an example nobody has seen before, or a stall of 200 ms, is no failure of a change
# Started in the background, as CI may be, a shell ignores SIGINT and all of its children do; a terminal's do not.
signal.signal(signal.SIGINT, signal.default_int_handler)
