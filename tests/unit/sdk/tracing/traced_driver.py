"""A driver for the tests of traces; a process of its own, because a process has one tracer provider.

python traced_driver.py outer|async|looking MARK SETUP [URL]
"""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from typing import Any

from podtask import flow, task


def span(name: str) -> Any:
    from opentelemetry import trace

    return trace.get_tracer("user").start_as_current_span(name)


@task(retries=1, retry_delay_seconds=0.01)
def flaky(mark: str) -> str:
    """Fails the first time."""
    with span("work"):
        if not Path(mark).exists():
            Path(mark).write_text("once")
            raise ValueError("not yet")
        return "done"


@task
async def after(value: str) -> str:
    with span("async work"):
        await asyncio.sleep(0)
        return value


@flow
def inner(value: str) -> str:
    return str(after(value).result())


@flow
def outer(mark: str) -> str:
    with span("preparation"):
        first = flaky(mark)
    return inner(first.result())


@flow
async def outer_async(mark: str) -> str:
    return str(await after(mark))


@task
def loaded() -> list[str]:
    return sorted(name for name in sys.modules if name.startswith("opentelemetry") or name.endswith(".tracing"))


@flow
def looking() -> list[str]:
    return list(loaded().result())


def set_up(how: str) -> None:
    """What a user may have done before the first flow run."""
    if how == "own provider":
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        provider = TracerProvider(resource=Resource.create({"service.name": "mine"}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(sys.argv[4])))
        trace.set_tracer_provider(provider)
    elif how == "no packages":
        sys.modules["opentelemetry.sdk"] = None  # type: ignore[assignment]


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    _, shape, mark, how, *_ = sys.argv
    set_up(how)
    if shape == "looking":
        print(looking(), sorted(name for name in sys.modules if name.startswith("opentelemetry")))
    elif shape == "async":
        print(asyncio.run(outer_async(mark)))
    else:
        print(outer(mark))
