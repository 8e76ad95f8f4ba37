"""kopf ends by itself or is asked to: what runs beside it in the operator's loop is never touched."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import kopf
import pytest

from podtask_operator.events import kopf_source
from podtask_operator.events.intake import registry


def broken_start() -> kopf.OperatorRegistry:
    """Handlers of an operator that does not come up, so that kopf ends by itself."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.startup(registry=handlers)
    async def start(**_: Any) -> None:
        raise kopf.PermanentError("nothing works here")

    return handlers


def waiting_start(started: threading.Event, left: threading.Event) -> kopf.OperatorRegistry:
    """Handlers of an operator that never gets as far as asking the API server; `left`: kopf cancelled them."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.startup(registry=handlers)
    async def start(**_: Any) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()

    return handlers


def deaf_after_start() -> kopf.OperatorRegistry:
    """Handlers of an operator of which a part dies in a callback: seen with kopf 1.45.2 after a watch had failed."""
    handlers = kopf.OperatorRegistry()

    def die() -> None:
        raise AssertionError("request_cancel_callback")

    @kopf.on.startup(registry=handlers)
    async def start(**_: Any) -> None:
        asyncio.get_running_loop().call_soon(die)
        await asyncio.Event().wait()

    return handlers


def test_kopf_that_neither_watches_nor_ends_is_left_behind_and_said_to_have_ended() -> None:
    async def test() -> None:
        with pytest.raises(RuntimeError, match="kopf ended: AssertionError"):
            await asyncio.wait_for(kopf_source.run(deaf_after_start(), ("team",), asyncio.Event(), print), 20)

    asyncio.run(test())


@pytest.mark.filterwarnings("ignore:coroutine 'authenticator':RuntimeWarning")  # kopf forgets it on its way out
def test_kopf_that_ends_by_itself_is_an_error_and_takes_nothing_with_it() -> None:
    async def test() -> None:
        stop, beside = asyncio.Event(), asyncio.Event()
        watching = asyncio.create_task(kopf_source.run(broken_start(), ("team",), stop, print))
        await asyncio.sleep(0)
        neighbour = asyncio.create_task(beside.wait())  # as a reconcile that began after kopf did
        with pytest.raises(RuntimeError, match="kopf ended"):
            await watching
        assert not neighbour.done()
        beside.set()
        assert await neighbour

    asyncio.run(test())


def test_kopf_is_told_to_leave_when_the_operator_stops() -> None:
    async def test() -> None:
        stop, started, left = asyncio.Event(), threading.Event(), threading.Event()
        watching = asyncio.create_task(kopf_source.run(waiting_start(started, left), ("team",), stop, print))
        assert await asyncio.to_thread(started.wait, 30)
        assert not left.is_set()
        stop.set()
        await watching
        assert await asyncio.to_thread(left.wait, 30)

    asyncio.run(test())


@pytest.mark.filterwarnings("ignore:coroutine 'authenticator':RuntimeWarning")
def test_a_login_that_fails_ends_kopf_with_its_reason_instead_of_hanging(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "kubeconfig"
    broken.write_text("current-context: nowhere\nclusters: []\ncontexts: []\nusers: []\n")
    monkeypatch.setenv("KUBECONFIG", str(broken))

    async def test() -> None:
        handlers = registry(print)
        with pytest.raises(RuntimeError, match=r"kopf ended: KeyError\('nowhere'\)"):
            await asyncio.wait_for(kopf_source.run(handlers, ("team",), asyncio.Event(), print), 20)

    asyncio.run(test())
