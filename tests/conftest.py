"""What holds for all tests: hypothesis looks for wrong answers, and not at the clock."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# Its 200 ms for one example, and the second or so for drawing the first ones, would make a busy machine a failure.
settings.register_profile("podtask", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("podtask")
