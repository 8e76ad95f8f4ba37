"""The trace that an attempt belongs to: what the user's own spans become children of, and how they leave the process.

    grants (traceparent) ──> begin ──> the user's code and its spans ──> flush

OpenTelemetry is the image's own, or not there at all: then nothing happens but the variable `TRACEPARENT`, which other
tools read. The standard variables (`OTEL_EXPORTER_OTLP_ENDPOINT` and so on) say where spans go; podtask has none of its
own. Nothing of OpenTelemetry is imported unless it is asked for. Used by the child of a pod
(`podtask_runner.process.child`), by the driver (`podtask.tracing`) and by the operator
(`podtask_operator.runtime.tracing`).
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

log = logging.getLogger("podtask.tracing")

ENV_TRACEPARENT: Final = "TRACEPARENT"
"""How a trace context travels to programs: OpenTelemetry's environment carrier."""
SERVICE_OF_TASKS: Final = "podtask-task"
"""`service.name` of what a task exports, where `OTEL_SERVICE_NAME` gives no other."""
FLUSH_SECONDS: Final = 5.0
"""How long the end of an attempt waits for its last spans, where `OTEL_BSP_EXPORT_TIMEOUT` gives no other. A collector
that does not answer costs no more."""
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_HTTP: Final = "http/protobuf"

_ours: TracerProvider | None = None


def wanted(environ: Mapping[str, str]) -> bool:
    """Whether the standard variables ask for traces by OTLP."""
    exporters = (environ.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp").split(",")
    disabled = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return any(environ.get(name) for name in _ENDPOINTS) and not disabled and "otlp" in map(str.strip, exporters)


def refused_protocol(environ: Mapping[str, str]) -> str | None:
    """The sentence about a protocol that is not spoken here; None where all is well."""
    protocol = next((environ[name] for name in _PROTOCOLS if environ.get(name)), _HTTP)
    if protocol == _HTTP:
        return None
    return (
        f"podtask exports no spans: it speaks OTLP by {_HTTP}, and OTEL_EXPORTER_OTLP_PROTOCOL says {protocol!r:.40}. "
        f"Set it to {_HTTP} with the collector's HTTP port (usually 4318), or set a tracer provider of your own."
    )


def provider_of_environment(
    service: str,
    processor: Callable[[SpanExporter], SpanProcessor] | None = None,
    *,
    at_exit: bool = False,
) -> TracerProvider:
    """A provider as the standard variables describe it. Raises `ImportError` where packages are missing.

    `service`: the `service.name` where no variable gives one. `at_exit`: flush when the interpreter ends.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    named = "service.name" in OTELResourceDetector().detect().attributes
    resource = Resource.create({} if named else {"service.name": service})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor((processor or BatchSpanProcessor)(OTLPSpanExporter()))
    if at_exit:
        _flush_at_exit(provider, _seconds_of("OTEL_EXPORTER_OTLP_TIMEOUT", 10.0))
    return provider


def _flush_at_exit(provider: TracerProvider, seconds: float) -> None:
    """Within a bound: the provider's own shutdown takes that long for each 512 spans. The thread waits from now on: at
    the end of the interpreter none can be started (Python 3.12)."""
    here, due, done = os.getpid(), threading.Event(), threading.Event()

    def flush() -> None:
        due.wait()
        _flush(provider)
        done.set()

    def end() -> None:
        if os.getpid() == here:  # a forked process has no such thread
            due.set()
            done.wait(seconds)

    threading.Thread(target=flush, name="podtask-flush-spans", daemon=True).start()
    atexit.register(end)


def _seconds_of(name: str, default: float) -> float:
    text = os.environ.get(name, "")
    return float(text) if text.isdecimal() and len(text) < 6 else default


def begin(traceparent: str | None) -> None:
    """In the process of an attempt: from now on spans are children of the attempt's. Never raises."""
    if traceparent is None:
        return
    os.environ[ENV_TRACEPARENT] = traceparent
    try:
        from opentelemetry.context import attach

        _provide()
        attach(context_of(traceparent))
    except ImportError:
        log.debug("The image has no OpenTelemetry SDK with OTLP/HTTP exporter; spans are not exported.", exc_info=True)
    except Exception as error:  # noqa: BLE001 - no task fails for its traces
        log.warning("The task runs without traces: %s", error)


def flush() -> None:
    """At the end of the attempt, once its report is written: the last spans leave, within a bound. Never raises."""
    if _ours is not None:
        limit = os.environ.get("OTEL_BSP_EXPORT_TIMEOUT", "")
        flush_within(_ours, int(limit) / 1000 if limit.isdecimal() and len(limit) < 9 else FLUSH_SECONDS)


def flush_within(provider: TracerProvider, seconds: float) -> None:
    """On a thread that may be left behind: a provider's own flush knows no bound."""
    thread = threading.Thread(target=_flush, args=(provider,), name="podtask-flush-spans", daemon=True)
    try:
        thread.start()
        thread.join(seconds)
    except RuntimeError:  # no more threads: the spans are lost
        log.debug("Spans were not flushed", exc_info=True)


@contextmanager
def inside(traceparent: str) -> Iterator[None]:
    """In a process with other things to do than this attempt: the same for the code within."""
    from opentelemetry.context import attach, detach

    token = attach(context_of(traceparent))
    try:
        yield
    finally:
        detach(token)


def context_of(traceparent: str) -> Context:
    """The context as a propagator of OpenTelemetry reads it."""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": traceparent})


def has_provider() -> bool:
    """Whether somebody has set a tracer provider in this process."""
    api: Any = sys.modules.get("opentelemetry.trace")  # whoever has set one has imported it
    return api is not None and not isinstance(api.get_tracer_provider(), api.ProxyTracerProvider)


def _provide() -> None:
    """A provider for the user's spans, unless the image or the task's module has set one."""
    global _ours  # noqa: PLW0603 - one process executes one attempt
    if has_provider() or not wanted(os.environ):
        return
    refused = refused_protocol(os.environ)
    if refused is not None:
        log.warning(refused)
        return
    from opentelemetry import trace

    _ours = provider_of_environment(SERVICE_OF_TASKS)
    trace.set_tracer_provider(_ours)


def _flush(provider: TracerProvider) -> None:
    try:
        provider.force_flush()
    except Exception:
        log.debug("Spans were not flushed", exc_info=True)
