"""What must hold whatever went wrong, read from the history that the watches brought."""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import datetime
from itertools import pairwise
from typing import Any

from tests.cluster.kit import Object, World

from podtask.core.cache.entry import CacheEntry
from podtask.core.storage import Store

EVIDENCE = "user code runs"
"""A task of these tests prints it first."""


def when(text: str) -> datetime:
    """A time of the API."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def container_state(pod: Object) -> Object:
    """`waiting`, `running` or `terminated`, with what the kubelet says about it; empty before."""
    containers = pod["status"].get("containerStatuses") or [{}]
    state: Object = containers[0].get("state", {})
    return state


def outcomes(run: Object) -> list[tuple[str, str]]:
    """Outcome and reason of each attempt."""
    return [(a.get("outcome", "runs"), a.get("reason", "")) for a in run["status"].get("attempts", ())]


def check(world: World, store: Store, name: str) -> Object:
    """I1, I2, I3, I5, I7 and I9 of a run that has ended; the run."""
    run = world.runs[name]
    one_pod_at_a_time(world, run)
    each_number_once_and_budgets_kept(world, run)
    the_end_is_written_once(world, run)
    the_result_is_stored(world, store, run)
    no_retry_is_early(run)
    user_code_started_no_more_often_than_recorded(world, store, run)
    a_hit_is_of_its_key(world, store, run)
    the_entry_is_true(world, store, run)
    return run


def one_pod_at_a_time(world: World, run: Object) -> None:
    """I1: never two unfinished pods, and no number has two.

    A pod is finished with its container, which never starts again; its phase follows up to 2 s later (kubelet 1.35).
    """
    unfinished: dict[str, str] = {}
    uids: dict[str, str] = {}
    for seen in world.history:
        pod, meta = seen.object, seen.object["metadata"]
        if pod["kind"] != "Pod" or all(o["uid"] != run["metadata"]["uid"] for o in meta.get("ownerReferences", ())):
            continue
        assert uids.setdefault(meta["name"], meta["uid"]) == meta["uid"], f"there were two pods {meta['name']}"
        if seen.type == "DELETED" or "terminated" in container_state(pod) or pod["status"]["phase"] == "Failed":
            unfinished.pop(meta["uid"], None)
        else:
            unfinished[meta["uid"]] = meta["name"]
        assert len(unfinished) <= 1, f"two pods at a time: {sorted(unfinished.values())}"


def each_number_once_and_budgets_kept(world: World, run: Object) -> None:
    """I2: attempts are appended, counted from 1, and no budget is overdrawn."""
    spec, status = run["spec"], run["status"]
    attempts = status.get("attempts", [])
    assert [a["number"] for a in attempts] == list(range(1, status.get("attemptsTotal", 0) + 1))
    causes = Counter(a["cause"] for a in attempts)
    assert causes["Retry"] == status.get("retriesUsed", 0) <= spec.get("retries", 0)
    lost = sum(reason == "Lost" for _, reason in outcomes(run))
    assert causes["Disruption"] - lost <= status.get("disruptionsUsed", 0) <= spec.get("maxDisruptions", 5)
    known: dict[int, Any] = {}
    for version in _versions(world, run["metadata"]["uid"]):
        for attempt in version.get("status", {}).get("attempts", ()):
            judged = known.get(attempt["number"])
            assert judged in (None, attempt), f"a judged attempt was changed: {judged} became {attempt}"
            if "outcome" in attempt:
                known[attempt["number"]] = attempt


def the_end_is_written_once(world: World, run: Object) -> None:
    """I3: a status with an end never changes."""
    ends = [v["status"] for v in _versions(world, run["metadata"]["uid"]) if v.get("status", {}).get("finishedAt")]
    assert all(end == ends[0] for end in ends)


def the_result_is_stored(world: World, store: Store, run: Object) -> None:
    """I3: Completed means that the object is there, with the digest of the status."""
    if run["status"]["state"] != "Completed":
        return
    result = run["status"]["result"]
    _is_stored(store, world.bucket.attempt(run["metadata"]["uid"], result["attempt"]).result, result["digest"])


def no_retry_is_early(run: Object) -> None:
    """I5: from the end of an attempt to the record of the next, at least the delay."""
    delays, retry = run["spec"].get("retryDelaySeconds") or [0], 0
    for before, after in pairwise(run["status"].get("attempts", ())):
        if after["cause"] == "Retry":
            delay = delays[min(retry, len(delays) - 1)]
            retry += 1
            assert (when(after["recordedAt"]) - when(before["finishedAt"])).total_seconds() >= delay


def user_code_started_no_more_often_than_recorded(world: World, store: Store, run: Object) -> None:
    """I7: by what the task printed, once per attempt at most."""
    for attempt in run["status"].get("attempts", ()):
        chunks = store.list(world.bucket.attempt(run["metadata"]["uid"], attempt["number"]).log)
        printed = b"".join(store.get(chunk.key) for chunk in chunks)
        assert printed.count(EVIDENCE.encode()) <= 1, f"attempt {attempt['number']} ran twice"


def a_hit_is_of_its_key(world: World, store: Store, run: Object) -> None:
    """I9: a cached result is the one that its source stored, under this very key, and had not expired."""
    status = run["status"]
    if status["state"] != "Cached":
        return
    cache, result = status["cache"], status["result"]
    source = _versions(world, result["sourceUID"])[-1]
    made, stored_as = source["status"]["result"], source["status"]["cache"]
    assert source["metadata"]["name"] == cache["sourceRun"]
    assert stored_as["key"] == cache["key"]
    assert (made["attempt"], made["digest"]) == (result["attempt"], result["digest"])
    assert "expiresAt" not in stored_as or when(status["finishedAt"]) < when(stored_as["expiresAt"])
    _is_stored(store, world.bucket.attempt(result["sourceUID"], result["attempt"]).result, result["digest"])


def the_entry_is_true(world: World, store: Store, run: Object) -> None:
    """I9: what lies under the run's key, whoever put it there, is of that key and names a result that is there."""
    key = run["status"].get("cache", {}).get("key")
    if key is None or store.head(world.bucket.cache(key)) is None:
        return
    entry = CacheEntry.load(store.get(world.bucket.cache(key)))
    assert entry.key == key
    _is_stored(store, world.bucket.attempt(entry.producer.uid, entry.producer.attempt).result, entry.result.digest)


def nothing_is_left(world: World, name: str) -> None:
    """I6: delete the run; its pods and its Secret go, and nothing holds the run itself."""
    assert "finalizers" not in world.runs[name]["metadata"]
    secret = world.secret_of(name)
    world.kubectl("delete", "ptr", name, "--wait=false")

    def gone() -> bool:
        pods = world.pods.values()
        return name not in world.runs and all(
            p["metadata"].get("labels", {}).get("podtask.dev/task-run") != name for p in pods
        )

    world.until(f"{name} and its pods are gone", gone)
    world.kubectl("wait", f"secret/{secret}", "--for=delete", "--timeout=60s")


def _is_stored(store: Store, key: str, digest: str) -> None:
    assert hashlib.sha256(store.get(key)).hexdigest() == digest


def _versions(world: World, uid: str) -> list[Object]:
    return [s.object for s in world.history if s.type != "DELETED" and s.object["metadata"]["uid"] == uid]
