"""`helm test`: one real TaskRun, from its creation to its stored result, by the client of the SDK.

Runs in a pod of its own with a service account that may create, get, list, watch and delete TaskRuns. Exit code 0: the
TaskRun succeeded and its value is the right one. Everything it made is gone afterwards, whatever happened.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from os import environ
from typing import Any, Final

from podtask.core.api.names import API_VERSION, CONDITION_FINISHED, CONDITION_SUCCEEDED, GROUP, KIND, PLURAL
from podtask.inspection.cluster import Cluster
from podtask.inspection.owner_mark import owner_mark, shown
from podtask.kube.client import connect
from podtask.kube.errors import ClusterRefused, ClusterUnreachable
from podtask.kube.list_watch import ListWatch
from podtask.kube.resumable_watch import Change, Listed, ResumableWatch

Object = dict[str, Any]

SOURCE: Final = 'def main(name):\n    return f"hello {name}"\n'
EXPECTED: Final = '"hello ada"'
PAUSE: Final = 2.0
"""Seconds between two tries while the API server is away."""
FINAL: Final = frozenset({401, 403, 404})
"""Refusals that waiting does not change."""


class SmokeError(Exception):
    """The test failed; the text says how far it came and where to look."""


def task_run(timeout_seconds: float) -> Object:
    """The TaskRun to try; it expires by itself should this process be killed."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"generateName": "podtask-smoke-"},
        "spec": {
            "task": {"name": "smoke", "source": SOURCE},
            "parameters": {"name": "ada"},
            "pendingTimeoutSeconds": timeout_seconds,
            "ttlSecondsAfterFinished": 300,
        },
    }


def run(cluster: Cluster, timeout_seconds: float) -> str:
    """Create, wait, judge, delete. Returns the value as JSON text. Raises `SmokeError`."""
    deadline, namespace = time.monotonic() + timeout_seconds, cluster.namespace
    try:
        created = cluster.create(task_run(timeout_seconds), namespace)
    except (ClusterRefused, ClusterUnreachable) as error:
        raise SmokeError(f"creating a TaskRun in namespace {namespace} was refused: {sentence(error)}") from None
    name = created["metadata"]["name"]
    say(f"created {PLURAL}.{GROUP}/{name} in namespace {namespace}")
    try:
        return judge(wait(cluster, created, deadline))
    finally:
        try:
            cluster.remove(namespace, name)
            say(f"deleted {name}")
        except (ClusterRefused, ClusterUnreachable) as error:
            say(f"could not delete {name}: {sentence(error)}. Run: kubectl -n {namespace} delete ptr {name}")


def check_owner(cluster: Cluster, expected: str | None) -> None:
    """A TaskRun that another release has run says nothing about this one. Raises `SmokeError`."""
    try:
        owner = str(owner_mark(cluster).get("holderIdentity") or "")
    except (ClusterRefused, ClusterUnreachable) as error:
        say(f"which release works in namespace {cluster.namespace} could not be read: {sentence(error)}")
        return
    if expected is not None and owner not in ("", expected):
        raise SmokeError(
            f"another release works in namespace {cluster.namespace} ({shown(owner)}), and this one ({expected})"
            " leaves it alone. No two releases must serve one namespace: take it out of watchNamespaces of one of them"
        )


def wait(cluster: Cluster, run: Object, deadline: float) -> Object:
    """Follow the TaskRun until it finished, over ended watches and outages. Raises `SmokeError`."""
    name, state, trouble = run["metadata"]["name"], "", ""

    def failed(error: ClusterRefused | ClusterUnreachable, _: int) -> float:
        nonlocal trouble
        trouble = sentence(error)
        if isinstance(error, ClusterRefused) and error.status in FINAL:
            raise SmokeError(f"{name} cannot be followed: {trouble}") from None
        return PAUSE

    source = ListWatch(cluster.api, cluster.namespace, fields=f"metadata.name={name}")
    watch = ResumableWatch(source, run["metadata"]["resourceVersion"])
    for step in watch.follow(lambda: deadline - time.monotonic(), failed, time.sleep):
        match step:
            case Listed([]) | Change("DELETED", _):
                raise SmokeError(f"{name} was deleted by somebody else before it finished")
            case Listed([seen]) | Change("ADDED" | "MODIFIED", seen):
                run, trouble = seen, ""
                state = tell(run, state)
                if condition(run, CONDITION_FINISHED).get("status") == "True":
                    return run
    raise SmokeError(stuck(run, trouble))


def judge(run: Object) -> str:
    """The value of a TaskRun that succeeded. Raises `SmokeError` for every other end."""
    status = run["status"]
    succeeded = condition(run, CONDITION_SUCCEEDED)
    if succeeded.get("status") != "True":
        cures = [attempt.get("cure") for attempt in status.get("attempts", [])]
        text = [f"it ended as {status.get('state')} ({succeeded.get('reason')}): {succeeded.get('message')}"]
        raise SmokeError(" ".join(text + [cure for cure in cures[-1:] if cure]))
    value = str((status.get("result") or {}).get("value"))
    if value != EXPECTED:
        raise SmokeError(f"it ended as {status.get('state')}, but with the value {value} instead of {EXPECTED}")
    return value


def condition(run: Object, name: str) -> Object:
    """One condition; empty when it is not there yet."""
    found: list[Object] = run.get("status", {}).get("conditions", [])
    return next((each for each in found if each.get("type") == name), {})


def tell(run: Object, last: str) -> str:
    """Print state and reason when they change."""
    status = run.get("status", {})
    text = " ".join(str(status[key]) for key in ("state", "reason") if status.get(key))
    if text and text != last:
        say(text)
    return text or last


def stuck(run: Object, trouble: str) -> str:
    """Why it is not finished, as far as can be seen from here."""
    status = run.get("status", {})
    if trouble:
        return f"the API server does not answer: {trouble}"
    if not status:
        return "nothing happened to the TaskRun: is the operator's pod running, and does it serve this namespace?"
    message = condition(run, CONDITION_SUCCEEDED).get("message", "")
    return f"it is still {status.get('state')} ({status.get('reason')}). {message}".rstrip()


def sentence(error: ClusterRefused | ClusterUnreachable) -> str:
    """The API server's own sentence, where there is one."""
    return (error.message if isinstance(error, ClusterRefused) else "") or str(error)


def say(text: str) -> None:
    """One line of progress."""
    print(text, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Entry point of the chart's test pod."""
    parser = argparse.ArgumentParser(
        prog="podtask.inspection.smoke", description="Run one TaskRun and check its result."
    )
    parser.add_argument("--namespace", help="default: that of this pod")
    parser.add_argument("--owner", help="the release as the owner's mark of the namespace is to name it")
    parser.add_argument("--timeout-seconds", type=float, default=240.0)
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped from outside"))  # so that `finally` deletes the run
    if not environ.get("KUBERNETES_SERVICE_HOST"):
        say("podtask smoke test needs a pod with a service account: run it by `helm test`")
        return 2
    begin = time.monotonic()
    try:
        api = connect()
        cluster = Cluster(api, options.namespace or api.namespace)
        value = run(cluster, options.timeout_seconds)
        check_owner(cluster, options.owner)
    except (SmokeError, ClusterUnreachable) as error:
        say(f"FAILED after {time.monotonic() - begin:.1f} s: {error}")
        return 1
    say(f"PASSED in {time.monotonic() - begin:.1f} s: the task returned {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
