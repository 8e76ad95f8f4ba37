"""What the viewer may do, as the API server says it (SelfSubjectAccessReview). Asked again at the moment of an action.

Buttons of what is not allowed are not shown. An answer is used for half a minute when a page is drawn, never when
something is done.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from podtask.core.api.names import GROUP
from podtask.kube.client import Api
from podtask.kube.errors import Asked, ClusterRefused, ClusterUnreachable

FRESH_SECONDS = 30.0
KEPT = 1000
_PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_ASKED = Asked("create", "selfsubjectaccessreviews", "")


class Rights:
    """Of one viewer. Thread-safe."""

    def __init__(self, api: Api, clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._clock = clock
        self._lock = threading.Lock()
        self._answers: dict[tuple[str, str, str], tuple[float, bool]] = {}

    def probably(self, namespace: str, verb: str, resource: str) -> bool:
        """For drawing a page: whether a button makes sense. Nobody is kept from reading by an answer that fails."""
        key = (namespace, verb, resource)
        with self._lock:
            at, answer = self._answers.get(key, (float("-inf"), False))
        if self._clock() - at < FRESH_SECONDS:
            return answer
        try:
            answer = self.now(namespace, verb, resource)
        except (ClusterRefused, ClusterUnreachable):
            answer = False
        with self._lock:
            if len(self._answers) >= KEPT:
                self._answers.clear()
            self._answers[key] = (self._clock(), answer)
        return answer

    def now(self, namespace: str, verb: str, resource: str) -> bool:
        """For doing it. Raises `ClusterRefused`, `ClusterUnreachable`."""
        return self._ask({"group": GROUP, "resource": resource, "namespace": namespace, "verb": verb})

    def logs(self, namespace: str) -> bool:
        """Whether the API server would show the logs of pods there. Raises as `now`."""
        return self._ask({"group": "", "resource": "pods", "subresource": "log", "namespace": namespace, "verb": "get"})

    def _ask(self, attributes: dict[str, str]) -> bool:
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        status = self._api.ask(_ASKED, "POST", _PATH, {}, review).get("status") or {}
        return bool(status.get("allowed")) and not status.get("denied")
