"""The attempts of one run as far as checkpoints know them: grants for each, over files or over a server."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.unit.runner.s3like import S3Like

from podtask_runner.attempt.checkpoint import Checkpoint
from podtask_runner.protocol import Checkpoints, Code, Grants, Put, SavedCheckpoint, Slot
from podtask_runner.storage.client import Store

Damage = Callable[[bytes], bytes]
SLOTS = 2


class Clock:
    """Moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Life:
    """The attempts of one run; their objects are files, or lie on a server."""

    root: Path
    server: S3Like | None
    clock: Clock = field(default_factory=Clock)
    opened: list[Store] = field(default_factory=list)

    def slot(self, attempt: int, slot: int) -> Slot:
        name = f"checkpoints/{attempt}/{slot}"
        url = f"{self.server.url}/{name}" if self.server else (self.root / name).as_uri()
        if self.server:
            self.server.replaceable.add(f"/{name}")
        return Slot(Put(url), url)

    def grants(self, attempt: int, *earlier: int) -> Grants:
        none = Slot(Put(""), "")
        saved = [SavedCheckpoint(number, slot, self.slot(number, slot).get) for number, slot in self.saved(*earlier)]
        granted = Checkpoints(tuple(self.slot(attempt, slot) for slot in range(SLOTS)), tuple(saved))
        return Grants("", "", "", attempt, Code(), none, none, none, checkpoints=granted, store_timeout_seconds=60)

    def attempt(self, number: int, *earlier: int, reload: Any = None) -> Checkpoint:
        """As `podtask_runner.attempt.context` makes it; `earlier` attempts are granted if they have saved."""
        grants, clock = self.grants(number, *earlier), self.clock

        def opened() -> Store:
            store = Store(grants, reload, clock=lambda: clock.now, sleep=clock.sleep, jitter=lambda: 0.5)
            self.opened.append(store)
            return store

        (self.root / "tmp").mkdir(parents=True, exist_ok=True)
        return Checkpoint(number, opened, lambda: self.root / "tmp" / os.urandom(4).hex())

    def saved(self, *attempts: int) -> list[tuple[int, int]]:
        objects = set(self.objects())
        places = [(number, slot) for number in attempts for slot in range(SLOTS)]
        return [place for place in places if place in objects]

    def objects(self) -> dict[tuple[int, int], bytes]:
        if self.server:
            found = dict(self.server.objects)
        else:
            paths = (path for path in (self.root / "checkpoints").glob("*/*"))
            found = {f"/checkpoints/{path.parent.name}/{path.name}": path.read_bytes() for path in paths}
        return {
            (int(key.split("/")[2]), int(key.split("/")[3])): data
            for key, data in found.items()
            if "checkpoints" in key
        }

    def put(self, place: tuple[int, int], data: bytes) -> None:
        name = f"checkpoints/{place[0]}/{place[1]}"
        if self.server:
            self.server.objects[f"/{name}"] = data
        else:
            (self.root / name).write_bytes(data)

    def damage(self, place: tuple[int, int], damage: Damage) -> None:
        self.put(place, damage(self.objects()[place]))
