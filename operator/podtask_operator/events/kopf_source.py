"""kopf as the source of the TaskRuns' events, in a thread and an event loop of its own. (Pods: `pod_watch`.)

In the operator's loop it would be no guest: whenever it ends, it cancels all tasks that began after it (`run_tasks` in
kopf's `running.py`), so a watch that failed would take timers and reconciles in flight with it; at a shutdown it waits
5 s for them; and 10 minutes after a failure it kills the process (`ultimate_exiting_timeout`), by then a healthy one.

Before: the API server. Next: `intake`, whose methods run in the operator's loop. `supervise` starts this
again when it ends.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import kopf

from podtask_operator.events.intake import Event, Intake, kopf_settings, registry
from podtask_operator.events.kopf_memory import NoMemories
from podtask_operator.kube.echoes import Echoes
from podtask_operator.kube.login import Heard, by_session
from podtask_operator.settings import Settings

LEAVE_SECONDS = 2.0
"""How long a shutdown waits for kopf to close its connections."""


async def serve(
    settings: Settings,
    intake: Intake,
    stop: asyncio.Event,
    heard: Heard,
    *,
    listed: Callable[[], None] = lambda: None,
    echoes: Echoes | None = None,
    flow_runs: bool = False,
    warm_pools: bool = False,
) -> None:
    """Run kopf until it ends or `stop` is set. Raises what ended kopf (a watch error that is not a 410, a refusal).

    `listed`: called after each list of kopf, which hands on no objects.
    `echoes`: own writes, of which kopf is not told.
    `flow_runs`, `warm_pools`: whether the cluster knows FlowRuns and WarmPools.
    """
    loop = asyncio.get_running_loop()

    handlers = registry(
        lambda event: _tell(loop, intake.task_run, event),
        (lambda event: _tell(loop, intake.flow_run, event)) if flow_runs else None,
        (lambda event: _tell(loop, intake.warm_pool, event)) if warm_pools else None,
    )
    await run(handlers, settings.namespaces, stop, heard, listed, echoes)


async def run(
    handlers: kopf.OperatorRegistry,
    namespaces: tuple[str, ...],
    stop: asyncio.Event,
    heard: Heard,
    listed: Callable[[], None] = lambda: None,
    echoes: Echoes | None = None,
) -> None:
    """kopf with these handlers, in its thread, until it ends or `stop` is set."""
    loop = asyncio.get_running_loop()
    leave, ended = threading.Event(), asyncio.Event()
    failure: list[BaseException] = []

    def no_login(why: Exception) -> None:
        failure.append(why)
        leave.set()

    kopf.on.login(registry=handlers, errors=kopf.ErrorsMode.PERMANENT)(
        by_session(heard, no_login, lambda: _tell(loop, lambda _: listed(), {}), echoes or Echoes())
    )

    def broken(running: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A part of kopf died and nobody awaits it: kopf 1.45 then neither watches nor ends by itself."""
        running.default_exception_handler(context)
        error = context.get("exception")
        if error is not None and not leave.is_set():
            failure.append(error)
            leave.set()
            _tell(loop, lambda _: ended.set(), {})

    async def operate() -> None:
        asyncio.get_running_loop().set_exception_handler(broken)
        try:
            await kopf.operator(
                registry=handlers,
                settings=kopf_settings(),
                memories=NoMemories(),
                standalone=True,
                clusterwide=not namespaces,
                namespaces=list(namespaces),
                stop_flag=leave,
            )
        finally:
            leave.set()  # a thread of kopf waits for it

    def live() -> None:
        try:
            asyncio.run(operate())
        except BaseException as error:  # noqa: BLE001 - raised again where somebody awaits it
            failure.append(error)
        _tell(loop, lambda _: ended.set(), {})

    threading.Thread(target=live, name="kopf", daemon=True).start()
    waits = [asyncio.create_task(ended.wait()), asyncio.create_task(stop.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        leave.set()
        waits[1].cancel()
        await asyncio.wait(waits[:1], timeout=LEAVE_SECONDS)
        waits[0].cancel()
    if failure and not stop.is_set():
        raise RuntimeError(f"kopf ended: {failure[0]!r}") from failure[0]


def _tell(loop: asyncio.AbstractEventLoop, take: Callable[[Event], None], event: Event) -> None:
    try:
        loop.call_soon_threadsafe(take, event)
    except RuntimeError:  # the operator's loop is closed: the process is about to end
        return
