"""The informer cache of WarmPools and their idle pods, and who has chosen which of them.

Fed by the informer cache of TaskRuns and pods (`controller.cluster_cache`) and by `pools.keeper`. A pod is offered
once: the choice is taken in with nothing awaited after it, so two reconciles never record the same pod. What is lost
here at a restart is harmless, because the claim itself is decided by the API server (`idle_pod.claim_patch`).
"""

from __future__ import annotations

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from podtask.core.api.status import Claim
from podtask.core.api.warm_pool import IdlePod
from podtask_operator.pods import status as podstatus
from podtask_operator.runtime import metrics
from podtask_operator.settings import Settings
from podtask_operator.task_runs.key import Key
from podtask_operator.task_runs.parse import Malformed, TaskRun
from podtask_operator.warm_pods import idle_pod
from podtask_operator.warm_pods.fit import fingerprint, unfit
from podtask_operator.warm_pods.pool import WarmPool

log = logging.getLogger(__name__)

Object = dict[str, Any]
K = TypeVar("K")

GIVE_BACK_SECONDS: Final = 30.0
"""For so long after a TaskRun of the namespace found no room no idle pod is made there, and those that are there go."""

NODE_BACKOFF_SECONDS: Final = 60.0
"""For so long no idle pod of a node is offered after a claim there was silent: its kubelet is slow or gone."""

ASKED_HELD: Final = 10_000


@dataclass(frozen=True)
class Offer:
    """What there is for an attempt that fits a pool."""

    pool: Key
    claim: Claim | None
    """None: it fits, and no idle pod is ready."""


@dataclass(frozen=True)
class Imports:
    """What an idle pod says of its `preload`. A hint: whoever knows the pod's UID can say it."""

    failed: tuple[int, ...] = ()
    """Places in `spec.preload`."""
    why: str = ""
    """Of the first that failed."""


@dataclass(frozen=True)
class ClaimTally:
    """Attempts that a pool has served and missed, since they were counted last."""

    claimed: int = 0
    missed: int = 0


class Stock:
    """All pools, with their idle pods."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.pools: dict[Key, WarmPool] = {}
        self.readable = False
        """False where there are no WarmPools to read: a CRD or a right is missing."""
        self.wake: Callable[[Key], None] = lambda _: None
        """Told of each pool that something happened to."""
        self._clock = clock
        self._names: defaultdict[str, set[Key]] = defaultdict(set)
        """Namespace -> its pools."""
        self._wanted: dict[str, str | None] = {}
        """UID of a pool -> fingerprint of its pods, which never changes."""
        self._pods: dict[Key, Object] = {}
        """Idle pods, by name."""
        self._idle: defaultdict[Key, set[Key]] = defaultdict(set)
        """Pool, as the label of a pod names it -> its idle pods."""
        self._keys: dict[str, Key] = {}
        """Their names by UID."""
        self._posted: dict[str, IdlePod] = {}
        """Those that the operator has posted: only they are offered. By UID."""
        self._chosen: dict[str, Key] = {}
        """UID of an idle pod -> the TaskRun that has chosen it."""
        self._spent: set[str] = set()
        """UIDs of idle pods that were chosen once and not taken: grants may have been written for them."""
        self._claimed: Counter[Key] = Counter()
        self._missed: Counter[Key] = Counter()
        self._imports: dict[str, Imports] = {}
        """UID of a pool -> what the latest of its pods has said."""
        self._short: dict[str, float] = {}
        """Namespace -> when a TaskRun found no room there."""
        self._silent: dict[str, float] = {}
        """Node -> when a claim there was silent for too long."""
        self._asked: set[tuple[str, int]] = set()
        """Attempts for which idle pods have made room."""

    # pools

    def put_pool(self, obj: Object) -> None:
        """A WarmPool is there or has changed."""
        meta = obj["metadata"]
        key = Key(meta["namespace"], meta["name"])
        held = self.pools.get(key)
        if held is not None and held.uid == meta["uid"] and not _newer(meta["resourceVersion"], held.resource_version):
            return
        try:
            pool = self.pools[key] = WarmPool.parse(obj)
        except Malformed as why:
            self._remove(key)
            log.warning("%s", why)
            return
        self._names[key.namespace].add(key)
        for listed in pool.status.pods:
            if listed.uid in self._keys or held is None:
                self._posted.setdefault(listed.uid, listed)
        self.wake(key)

    def forget_pool(self, key: Key, uid: str | None = None) -> None:
        """A WarmPool is gone; one that took its name meanwhile stays."""
        held = self.pools.get(key)
        if held is not None and uid in (None, held.uid):
            self._remove(key)
        self.wake(key)

    def within(self, namespace: str | None) -> dict[Key, WarmPool]:
        """The pools of one namespace, or all."""
        return (
            dict(self.pools) if namespace is None else {key: self.pools[key] for key in self._names.get(namespace, ())}
        )

    def named(self, namespace: str) -> set[Key]:
        """The pools of a namespace, and those that are gone and whose idle pods are still there."""
        return {*self._names.get(namespace, ()), *(key for key in self._idle if key.namespace == namespace)}

    def _remove(self, key: Key) -> None:
        held = self.pools.pop(key, None)
        if held is not None:
            self._wanted.pop(held.uid, None)
            self._imports.pop(held.uid, None)
        _discard(self._names, key.namespace, key)

    # pods

    def put_pod(self, key: Key, pod: Object) -> None:
        """A pod as the informer cache has it; others than those of pools are passed over."""
        name = idle_pod.pool_of(pod)
        if name is None:
            return
        uid, before = pod["metadata"]["uid"], self._pods.get(key)
        if before is not None and before["metadata"]["uid"] != uid:
            self._drop(key)
        if idle_pod.is_idle(pod):
            self._drop_label(key)
            self._pods[key], self._keys[uid] = pod, key
            self._idle[Key(key.namespace, name)].add(key)
        else:
            self._drop(key)
        self.wake(Key(key.namespace, name))

    def forget_pod(self, key: Key, uid: str) -> None:
        """A pod is gone."""
        held = self._pods.get(key)
        if held is not None and held["metadata"]["uid"] == uid:
            self._drop(key)
            self.wake(Key(key.namespace, idle_pod.pool_of(held) or ""))

    def posted(self, pod: IdlePod) -> None:
        """The operator has created the pod."""
        self._posted[pod.uid] = pod

    def idle(self, pool: Key) -> list[Object]:
        """The idle pods with the label of the pool, by name."""
        return [self._pods[key] for key in sorted(self._idle.get(pool, ()))]

    def proof(self, uid: str) -> IdlePod | None:
        """What was posted, of a pod that the operator has posted."""
        return self._posted.get(uid)

    def is_chosen(self, uid: str) -> bool:
        """Whether a TaskRun is about to take the pod."""
        return uid in self._chosen

    def is_spent(self, uid: str) -> bool:
        """Whether the pod was chosen once and not taken."""
        return uid in self._spent and uid not in self._chosen

    def _drop_label(self, key: Key) -> None:
        held = self._pods.get(key)
        if held is not None:
            _discard(self._idle, Key(key.namespace, idle_pod.pool_of(held) or ""), key)

    def _drop(self, key: Key) -> None:
        self._drop_label(key)
        pod = self._pods.pop(key, None)
        uid = pod["metadata"]["uid"] if pod is not None else ""
        self._keys.pop(uid, None)
        self._posted.pop(uid, None)
        self._chosen.pop(uid, None)
        self._spent.discard(uid)

    def heard(self, pod_uid: str, imports: Imports) -> bool:
        """An idle pod says what came of its imports; whether it is one, of a pool that is there."""
        key = self._keys.get(pod_uid)
        if key is None or pod_uid not in self._posted:
            return False
        pod = self._pods[key]
        pool = self.pools.get(Key(key.namespace, idle_pod.pool_of(pod) or ""))
        if pool is None or not idle_pod.is_of(pod, pool):
            return False
        if self._imports.get(pool.uid) != imports:
            self._imports[pool.uid] = imports
            self.wake(pool.key)
        return True

    def imports(self, pool: WarmPool) -> Imports | None:
        """What the pool's pods have said last."""
        return self._imports.get(pool.uid)

    @property
    def ready(self) -> int:
        """Idle pods that an attempt could take at once."""
        return sum(idle_pod.is_ready(pod) and pod["metadata"]["uid"] in self._posted for pod in self._pods.values())

    # attempts

    def offer(self, run: TaskRun, settings: Settings, now: datetime) -> Offer | None:
        """An idle pod for the next attempt of a run; None: the run fits no pool."""
        here = [self.pools[key] for key in sorted(self._names.get(run.namespace, ()))]
        if not here or unfit(run) is not None:
            return None
        wanted = fingerprint(run, settings)
        fitting = [pool for pool in here if wanted is not None and self._fingerprint(pool, settings) == wanted]
        for pool in fitting:
            ready = [pod for pod in self._offered(pool, wanted or "") if idle_pod.age(pod, now) < _latest(pool)]
            if ready:
                meta = max(ready, key=lambda pod: idle_pod.age(pod, now))["metadata"]  # it would go first anyway
                return Offer(pool.key, Claim(meta["name"], meta["uid"]))
        return Offer(fitting[0].key, None) if fitting else None

    def _fingerprint(self, pool: WarmPool, settings: Settings) -> str | None:
        if pool.uid not in self._wanted:
            self._wanted[pool.uid] = fingerprint(pool.as_run(), settings)
        return self._wanted[pool.uid]

    def _offered(self, pool: WarmPool, wanted: str) -> Iterator[Object]:
        for pod in self.idle(pool.key):
            uid = pod["metadata"]["uid"]
            proof = self._posted.get(uid)
            if proof is None or proof.spec_hash != wanted or uid in self._chosen or uid in self._spent:
                continue
            if idle_pod.is_of(pod, pool) and idle_pod.is_ready(pod) and not self._backs_off(podstatus.read(pod).node):
                yield pod

    def back_off(self, node: str) -> None:
        """A claimed pod of the node has not said in time that it started: for a while its idle pods are not offered."""
        self._silent[node] = self._clock()

    def _backs_off(self, node: str | None) -> bool:
        since = self._silent.get(node or "")
        if since is not None and self._clock() - since >= NODE_BACKOFF_SECONDS:
            del self._silent[node or ""]
            return False
        return since is not None

    def choose(self, offer: Offer, run: Key) -> None:
        """The run is about to record its choice; or there was none for it."""
        if offer.claim is None:
            self._missed[offer.pool] += 1
            metrics.WARM_CLAIMS.labels("missed").inc()
        else:
            self._chosen[offer.claim.pod_uid] = run
        self.wake(offer.pool)

    def release(self, run: Key) -> None:
        """The record of the run was refused: what it had chosen is free again."""
        for uid in [uid for uid, chooser in self._chosen.items() if chooser == run]:
            del self._chosen[uid]

    def recorded(self, key: Key, run: TaskRun) -> None:
        """What the stored status of a run says of idle pods: the one that it takes, and those that it did not take."""
        running = run.status.running
        now = running.claim.pod_uid if running is not None and running.claim is not None else None
        for uid in [uid for uid, chooser in self._chosen.items() if chooser == key and uid != now]:
            del self._chosen[uid]
            self._spent.add(uid)
        for attempt in run.status.attempts:
            if attempt.claim is None or attempt.claim.pod_uid not in self._keys:
                continue
            uid = attempt.claim.pod_uid
            if attempt is running:
                self._chosen[uid] = key
            elif self._chosen.get(uid) in (None, key):
                self._chosen.pop(uid, None)
                self._spent.add(uid)

    def forget_run(self, key: Key) -> None:
        """A TaskRun is gone: what it had chosen and not taken is nobody's."""
        for uid in [uid for uid, chooser in self._chosen.items() if chooser == key]:
            del self._chosen[uid]
            self._spent.add(uid)
            self.wake(Key(key.namespace, idle_pod.pool_of(self._pods.get(self._keys.get(uid, key))) or ""))

    def claimed(self, pool: Key) -> None:
        """An attempt has taken a pod of the pool."""
        self._claimed[pool] += 1

    def tally(self, pool: Key) -> ClaimTally:
        """What was counted for a pool since `counted`."""
        return ClaimTally(self._claimed[pool], self._missed[pool])

    def counted(self, pool: Key, tally: ClaimTally) -> None:
        """The pool's status has it."""
        self._claimed[pool] -= tally.claimed
        self._missed[pool] -= tally.missed

    # room

    def needs_room(self, namespace: str, run_uid: str, attempt: int) -> None:
        """An attempt of the namespace found no room: idle pods go first. Once for each attempt: if that did not help,
        idle pods are not what is in its way."""
        if (run_uid, attempt) in self._asked:
            return
        if len(self._asked) >= ASKED_HELD:
            self._asked.clear()
        self._asked.add((run_uid, attempt))
        self._short[namespace] = self._clock()
        for key in self._names.get(namespace, ()):
            self.wake(key)

    def short_for(self, namespace: str) -> float:
        """Seconds for which idle pods still make room in the namespace; 0: they need not."""
        since = self._short.get(namespace)
        return 0.0 if since is None else max(0.0, GIVE_BACK_SECONDS - (self._clock() - since))


def _latest(pool: WarmPool) -> float:
    """Age up to which an idle pod is taken: one that is about to be replaced is not."""
    return float(pool.spec.max_idle_seconds)


def _discard(index: defaultdict[K, set[Key]], name: K, key: Key) -> None:
    found = index.get(name)
    if found is not None:
        found.discard(key)
        if not found:
            del index[name]


def _newer(version: str, held: str) -> bool:
    return int(version) > int(held) if version.isdecimal() and held.isdecimal() else version != held
