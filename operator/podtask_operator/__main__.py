"""`python -m podtask_operator`: settings from the environment, wiring, and a process that supervises its watches."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys

from podtask.core import clock
from podtask.core.store.address import open_signer, open_store, parse_store_url
from podtask_operator import handlers, health, settings, watches
from podtask_operator.api import Api
from podtask_operator.apply import Applier
from podtask_operator.logs import configure
from podtask_operator.mirror import Mirror
from podtask_operator.objects import Objects
from podtask_operator.observe import Observer
from podtask_operator.reconcile import Reconciler
from podtask_operator.resync import Resync
from podtask_operator.story import Story
from podtask_operator.supervise import forever

log = logging.getLogger("podtask_operator")

DRAIN_SECONDS = 20.0


async def operate(told: settings.Settings) -> None:
    """Serve until SIGTERM or SIGINT; then finish the writes in flight."""
    stop = asyncio.Event()
    take_signals(stop)
    api = await Api.connect()
    mirror, story = Mirror(), Story(api)
    address = parse_store_url(told.store)
    store = open_store(told.store, endpoint_url=told.endpoint_url, region=told.region)
    signer = open_signer(told.store, endpoint_url=told.endpoint_url, region=told.region)
    objects = Objects(store, address.prefix)
    observer = Observer(api, mirror, objects, told)
    applier = Applier(api, mirror, objects, signer, story, told)
    reconciler = Reconciler(mirror, observer, applier, told, clock.now)
    queue, resync, pulse = reconciler.queue, Resync(api, mirror, told), health.Pulse()
    intake = handlers.Intake(mirror, queue.add)

    async def watch() -> None:
        try:
            pulse.watching(up=True)
            await watches.serve(told, intake, stop)
        finally:
            pulse.watching(up=False)

    async def fill() -> None:
        await resync.fill()
        log.info("%d TaskRuns and %d pods are known", len(mirror.runs), len(mirror.pods))

    tasks = [asyncio.create_task(health.serve(told.health_port, pulse, queue, mirror))]
    try:
        await forever("the first list", fill, stop, once=True)
        for key in mirror.runs:
            queue.add(key)
        services = {"watches": watch, "queue": queue.run, "events": story.run, "lists": lambda: resync.run(queue.add)}
        tasks += [asyncio.create_task(forever(name, serve, stop)) for name, serve in services.items()]
        log.info("serving %s", ", ".join(told.namespaces) or "all namespaces")
        await stop.wait()
        await queue.drain(DRAIN_SECONDS)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await api.close()


def take_signals(stop: asyncio.Event) -> None:
    """SIGTERM and SIGINT end the process in order."""
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)


def main() -> int:
    """Exit status 2 for a setting that is missing or wrong."""
    try:
        told = settings.load(os.environ)
    except settings.SettingsError as error:
        sys.stderr.write(f"podtask-operator: {error}\n")
        return 2
    configure(told)
    asyncio.run(operate(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
