"""Spans of the driver; off unless OpenTelemetry is set up in the process or by the standard variables."""
