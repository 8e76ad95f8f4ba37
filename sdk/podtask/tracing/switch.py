"""Whether this process traces. Nothing of OpenTelemetry is imported before somebody asks for it.

    a tracer provider that the user has set, else OTEL_EXPORTER_OTLP_ENDPOINT with podtask[otel] ──begin──> FlowTrace

Asked by: `podtask.engine.flow_engine`, once for each flow run. Next on the road: `podtask.tracing.flow_trace`.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Final

from podtask_runner import tracing

if TYPE_CHECKING:
    from podtask.context import FlowRunInfo
    from podtask.core.tracing.writer import SpanWriter
    from podtask.tracing.flow_trace import FlowTrace

log = logging.getLogger("podtask.tracing")

SERVICE: Final = "podtask-driver"
"""`service.name` of what a driver exports, where `OTEL_SERVICE_NAME` gives no other."""
_providing = threading.Lock()
_complained = False


def begin(info: FlowRunInfo, around: FlowTrace | None) -> FlowTrace | None:
    """The spans of a flow run; None where nobody traces. Never raises. `around`: those of the flow run around it."""
    if not tracing.has_provider() and not tracing.wanted(os.environ):
        return None
    try:
        writer = _writer()
        if writer is None:
            return None
        from podtask.tracing.flow_trace import FlowTrace

        return FlowTrace(writer, info, around)
    except ImportError:
        log.debug("No spans: podtask[otel] is not installed", exc_info=True)
    except Exception as error:  # noqa: BLE001 - no flow fails for its traces
        log.warning("The flow runs without traces: %s", error)
    return None


def _writer() -> SpanWriter | None:
    """Of the process's provider, which is made here where the variables ask for one and nobody has set any."""
    global _complained  # noqa: PLW0603 - a process hears it once
    from opentelemetry import trace

    from podtask.core.tracing.writer import SpanWriter

    with _providing:
        if not tracing.has_provider():
            refused = tracing.refused_protocol(os.environ)
            if refused is not None:
                if not _complained:
                    log.warning(refused)
                _complained = True
                return None
            trace.set_tracer_provider(tracing.provider_of_environment(SERVICE, at_exit=True))
    return SpanWriter.of(trace.get_tracer_provider())
