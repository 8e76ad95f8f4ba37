"""The operator's process: its parts, the Lease before them, and an end that loses nothing.

    health (at once) ──> Lease (waits) ──> first list ──> watches, queue, Events, lists ──> drain ──> Lease released

Before: `__main__`. A part that ends is started again (`supervise`); a Lease that is lost ends the process at once.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

from podtask.core import clock
from podtask.core.lifecycle.concurrency import Slots
from podtask.core.storage.layout import namespace_of
from podtask.core.storage.url import store_address
from podtask_operator.controller.cluster_cache import ClusterCache
from podtask_operator.controller.event_recorder import EventRecorder
from podtask_operator.controller.flow_run_keeper import FlowRunKeeper
from podtask_operator.controller.reconciler import Reconciler
from podtask_operator.events import intake, kopf_source
from podtask_operator.events.doorbell import Doorbell
from podtask_operator.events.pod_watch import PodWatch
from podtask_operator.events.resync import Resync
from podtask_operator.kube.client import Api
from podtask_operator.ownership import keeper as ownership
from podtask_operator.ownership.served import Served
from podtask_operator.pools.keeper import PoolKeeper
from podtask_operator.process import leader_election, probes
from podtask_operator.process.leader_election import Lease
from podtask_operator.runtime import health, tracing
from podtask_operator.runtime.supervise import forever
from podtask_operator.settings import Settings
from podtask_operator.storage.calls import StoreCalls
from podtask_operator.storage.fenced import Fenced
from podtask_operator.storage.objects import Objects
from podtask_operator.storage.owners import Owners
from podtask_operator.sweep import Sweeper
from podtask_operator.task_runs.trace import subject_of

log = logging.getLogger(__name__)

DEAF_AT_MOST = 3.0
"""Seconds between two tries to watch pods: an API server that is back must not wait for us."""
DRAIN_SECONDS = 20.0
EVENTS_SECONDS = 2.0
HAND_OVER_SECONDS = 5.0


class OperatorParts:
    """All parts of the operator, connected and not yet running."""

    def __init__(self, settings: Settings, api: Api) -> None:
        self._settings, self._api = settings, api
        self.drained = False
        """Everything that was begun is done, so the next operator need not wait for late writes of this one."""
        self._slow: set[asyncio.Task[None]] = set()
        """Keys that are added slowly, of namespaces whose owner changed."""
        self.traces = traces = tracing.of_environment(os.environ)
        served = Served(everything=False)
        self.cluster = ClusterCache(
            slots=Slots(settings.limits),
            served=served,
            ended=lambda run, obj: traces.ended(subject_of(run, obj), run.status),
        )
        self.recorder = EventRecorder(api)
        self.owner = ownership.MarkKeeper(
            api, served, release_of(settings), alive=self._alive, changed=self._owner_changed
        )
        address = store_address(settings.store, settings.endpoint_url, settings.region)
        store = address.store(conditional_writes=settings.conditional_writes)
        signer = address.signer(conditional_writes=settings.conditional_writes)
        calls = StoreCalls()
        gone = self.cluster.deletions
        self._owners = Owners(api, store, address.prefix, deletions=gone, home=settings.lease_namespace, calls=calls)
        quick = address.store(conditional_writes=settings.conditional_writes, quick=True)
        fenced = Fenced(quick, api.fence, lambda key: served.may_write(namespace_of(address.prefix, key)))
        objects = Objects(fenced, address.prefix, self._owners, calls)
        self.flow_runs = FlowRunKeeper(api, self.cluster, clock.now)
        self.pools = PoolKeeper(api, self.cluster, settings, clock.now)
        ended = self.flow_runs.task_run_ended
        self.queue = Reconciler(
            api, self.cluster, objects, signer, self.recorder, settings, clock.now, ended, traces
        ).queue
        self._sweeper = Sweeper(api, store, address.prefix, settings, self._owners, served)
        self.resync = Resync(api, self.cluster, settings)
        self._intake = intake.Intake(self.cluster, self.queue.add, self.flow_runs.queue.add)
        spaces: tuple[str | None, ...] = settings.namespaces or (None,)
        self._spaces = len(spaces)
        self._task_runs = health.Watches(expected=self._spaces)
        self._pods = [PodWatch(api, self.cluster, space, self._intake.pod) for space in spaces]
        self.liveness = health.Liveness([self._task_runs, *(watch.sign for watch in self._pods)])

    async def serve(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set, then let running reconciles finish their writes."""
        self.traces.serving(clock.now())
        await forever("the first list", self._fill, stop, once=True)

        async def task_runs() -> None:
            with self._task_runs.up(stop):
                known = self.cluster.flow_runs.readable
                pools = self.cluster.stock.readable
                heard, listed = self._task_runs.heard, self.resync.soon
                await kopf_source.serve(
                    self._settings,
                    self._intake,
                    stop,
                    heard,
                    listed=listed,
                    echoes=self._api.echoes,
                    flow_runs=known,
                    warm_pools=pools,
                )

        services = {
            "the watch of TaskRuns": task_runs,
            "queue": self.queue.run,
            "the queue of FlowRuns": self.flow_runs.queue.run,
            "the queue of WarmPools": self.pools.queue.run,
            "events": self.recorder.run,
            "sweeps": self._sweeper.run,
            "owners": self._owners.run,
            "the owner's marks": self.owner.run,
            "lists": lambda: self.resync.run(self.queue.add),
            **self._doorbell(stop),
        }
        tasks = [
            asyncio.create_task(self.queue.add_slowly(self.cluster.finished())),
            *(asyncio.create_task(forever(name, serve, stop)) for name, serve in services.items()),
            *(
                asyncio.create_task(forever(str(pods), partial(pods.serve, stop), stop, last=DEAF_AT_MOST))
                for pods in self._pods
            ),
        ]
        log.info("serving %s", ", ".join(self._settings.namespaces) or "all namespaces")
        try:
            await stop.wait()
            queues = (self.queue, self.flow_runs.queue, self.pools.queue)
            drained = await asyncio.gather(*(queue.drain(DRAIN_SECONDS) for queue in queues))
            self.drained = all(drained) and self._api.settled
            await self.recorder.flush(EVENTS_SECONDS)
        finally:
            await _end(*tasks, *self._slow)

    def _doorbell(self, stop: asyncio.Event) -> dict[str, Callable[[], Awaitable[None]]]:
        """The receiver of runners' datagrams, where the settings name a port."""
        if self._settings.doorbell is None:
            return {}
        bell = Doorbell(self.cluster, self.queue.add)
        anywhere = "::" if ":" in self._settings.doorbell_host else "0.0.0.0"  # noqa: S104
        return {"the doorbell": lambda: bell.serve(anywhere, self._settings.doorbell_port, stop)}

    async def _fill(self) -> None:
        for pods in self._pods:
            await pods.list()
        kinds = 1 + await self.resync.fill_flow_runs() + await self.resync.fill_warm_pools()
        self._task_runs.expected = kinds * self._spaces
        await self.resync.fill()
        log.info("%d TaskRuns and %d pods are known", len(self.cluster.runs), len(self.cluster.pods))
        await self.owner.take({key.namespace for key in (*self.cluster.runs, *self.cluster.flow_runs.keys())})
        for key in self.cluster.unfinished.within(None):
            self.queue.add(key)
        for key in self.cluster.flow_runs.keys():  # noqa: SIM118 - not a dict
            self.flow_runs.queue.add(key)
        self.liveness.filled = True

    def _alive(self, namespace: str) -> bool:
        """True where anything in the namespace is unfinished, or a WarmPool is there."""
        return bool(self.cluster.unfinished.within(namespace) or self.cluster.stock.named(namespace))

    def _owner_changed(self, namespace: str) -> None:
        """The owner of a namespace has changed, to or from this release. Everything in the namespace is looked at."""
        ended = []
        for key in self.cluster.owner_changed(namespace):
            run = self.cluster.runs.get(key)
            if run is not None and run.status.finished:
                ended.append(key)
            else:
                self.queue.add(key)
        if self.liveness.filled:  # before that, `serve` looks at all that have ended
            task = asyncio.create_task(self.queue.add_slowly(ended))
            self._slow.add(task)
            task.add_done_callback(self._slow.discard)
        for key in self.cluster.flow_runs.versions(namespace):
            self.flow_runs.queue.add(key)
        for key in self.cluster.stock.named(namespace):
            self.pools.queue.add(key)


def release_of(settings: Settings) -> str:
    """The name of this release in owners' marks: namespace and name of its Lease."""
    return f"{settings.lease_namespace}/{leader_election.name_of(settings.namespaces)}"


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until `stop`. Raises `leader_election.Lost` and `probes.PortTaken`."""
    api = await Api.connect()
    held = Lease(
        api,
        settings.lease_namespace,
        leader_election.name_of(settings.namespaces),
        settings.identity,
        pod_uid=settings.pod_uid,
    )
    api.fence, api.late = held.valid, held.late
    parts = OperatorParts(settings, api)
    api.fence_in = parts.cluster.served.may_write
    server = probes.Server(settings.health_port, parts.liveness, parts.queue, parts.cluster, held)
    try:
        await server.start()
        if await _first(held.acquire(), stop.wait()):
            return
        await _first(held.keep(), parts.serve(stop))
    finally:
        await held.release(drained=parts.drained)
        if parts.drained:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(parts.owner.hand_over(), HAND_OVER_SECONDS)
        await server.stop()
        await parts.traces.stop()
        await api.close()


async def _first(one: Awaitable[object], other: Awaitable[object]) -> bool:
    """Wait until one of the two ends, and cancel the other. True when the second ended. Raises what it raised."""
    tasks = [asyncio.ensure_future(one), asyncio.ensure_future(other)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        return tasks[1] in done
    finally:
        await _end(*tasks)


async def _end(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
