"""`helm test`: one real TaskRun, from its creation to its stored result, with nothing but the standard library.

Runs in a pod of its own with a service account that may create, get, watch and delete TaskRuns. Exit code 0: the
TaskRun succeeded and its value is the right one. Everything it made is gone afterwards, whatever happened.
"""

from __future__ import annotations

import argparse
import json
import signal
import ssl
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from os import environ
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from podtask.core.api.names import API_VERSION, CONDITION_FINISHED, CONDITION_SUCCEEDED, GROUP, KIND, PLURAL, VERSION

Object = dict[str, Any]

ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
SOURCE: Final = 'def main(name):\n    return f"hello {name}"\n'
EXPECTED: Final = '"hello ada"'
PAUSE: Final = 2.0
"""Seconds between two tries while the API server is away."""


class SmokeError(Exception):
    """The test failed; the text says how far it came and where to look."""


@dataclass(frozen=True)
class Api:
    """TaskRuns of one namespace, by the pod's own service account."""

    server: str
    namespace: str
    account: Path = ACCOUNT

    def call(self, method: str, name: str = "", body: Object | None = None, **query: str) -> Object:
        """One request, at most 30 s. Raises `OSError` (HTTPError included)."""
        with self._open(method, name, body, query, timeout=30) as response:
            answer: Object = json.load(response)
            return answer

    def watch(self, name: str, version: str, seconds: int) -> Iterator[Object]:
        """Events of one TaskRun after `version`, until the server ends the watch after `seconds`."""
        query = {
            "watch": "true",
            "fieldSelector": f"metadata.name={name}",
            "resourceVersion": version,
            "timeoutSeconds": str(seconds),
        }
        with self._open("GET", "", None, query, timeout=seconds + 10) as response:
            for line in response:
                yield json.loads(line)

    def _open(self, method: str, name: str, body: Object | None, query: Object, timeout: float) -> HTTPResponse:
        path = f"/apis/{GROUP}/{VERSION}/namespaces/{self.namespace}/{PLURAL}"
        url = self.server + path + (f"/{name}" if name else "") + (f"?{urlencode(query)}" if query else "")
        # The token is read each time: the kubelet renews it.
        token = (self.account / "token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        data = json.dumps(body).encode() if body is not None else None
        context = ssl.create_default_context(cafile=str(self.account / "ca.crt"))
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # as kubectl verifies: see `podtask.kube.tls`
        request = Request(url, data=data, headers=headers, method=method)  # noqa: S310 - https, from the kubelet
        opened: HTTPResponse = urlopen(request, timeout=timeout, context=context)  # noqa: S310
        return opened


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


def run(api: Api, timeout_seconds: float) -> str:
    """Create, wait, judge, delete. Returns the value as JSON text. Raises `SmokeError`."""
    deadline = time.monotonic() + timeout_seconds
    try:
        created = api.call("POST", body=task_run(timeout_seconds))
    except (OSError, HTTPException) as error:
        raise SmokeError(f"creating a TaskRun in namespace {api.namespace} was refused: {sentence(error)}") from None
    name = created["metadata"]["name"]
    say(f"created {PLURAL}.{GROUP}/{name} in namespace {api.namespace}")
    try:
        return judge(wait(api, created, deadline))
    finally:
        try:
            api.call("DELETE", name, propagationPolicy="Background")
            say(f"deleted {name}")
        except (OSError, HTTPException) as error:
            say(f"could not delete {name}: {sentence(error)}. Run: kubectl -n {api.namespace} delete ptr {name}")


def wait(api: Api, run: Object, deadline: float) -> Object:
    """Follow the TaskRun until it finished, over ended watches and short outages. Raises `SmokeError`."""
    name, told = run["metadata"]["name"], ""
    trouble = ""
    while True:
        told = tell(run, told)
        left = deadline - time.monotonic()
        if condition(run, CONDITION_FINISHED).get("status") == "True":
            return run
        if left <= 0:
            raise SmokeError(stuck(run, trouble))
        try:
            for event in api.watch(name, run["metadata"]["resourceVersion"], max(1, int(left))):
                trouble = ""
                if event["type"] == "DELETED":
                    raise SmokeError(f"{name} was deleted by somebody else before it finished")
                if event["type"] == "ERROR":  # 410: the version is too old
                    break
                run = event["object"]
                told = tell(run, told)
                if condition(run, CONDITION_FINISHED).get("status") == "True":
                    return run
            run = api.call("GET", name)
        except (OSError, HTTPException, ValueError) as error:
            if isinstance(error, HTTPError) and error.code in (401, 403, 404):
                raise SmokeError(f"{name} cannot be followed: {sentence(error)}") from None
            trouble = sentence(error)
            time.sleep(PAUSE)


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


def tell(run: Object, told: str) -> str:
    """Print state and reason when they change."""
    status = run.get("status", {})
    text = " ".join(str(status[key]) for key in ("state", "reason") if status.get(key))
    if text and text != told:
        say(text)
    return text or told


def stuck(run: Object, trouble: str) -> str:
    """Why it is not finished, as far as can be seen from here."""
    status = run.get("status", {})
    if trouble:
        return f"the API server does not answer: {trouble}"
    if not status:
        return "nothing happened to the TaskRun: is the operator's pod running, and does it serve this namespace?"
    message = condition(run, CONDITION_SUCCEEDED).get("message", "")
    return f"it is still {status.get('state')} ({status.get('reason')}). {message}".rstrip()


def sentence(error: Exception) -> str:
    """The API server's own sentence, where there is one."""
    if isinstance(error, HTTPError):
        try:
            return str(json.load(error)["message"])
        except (OSError, ValueError, KeyError, TypeError):
            return f"{error.code} {error.reason}"
    return str(error) or type(error).__name__


def say(text: str) -> None:
    """One line of progress."""
    print(text, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Entry point of the chart's test pod."""
    parser = argparse.ArgumentParser(
        prog="podtask.inspection.smoke", description="Run one TaskRun and check its result."
    )
    parser.add_argument("--namespace", help="default: that of this pod")
    parser.add_argument("--timeout-seconds", type=float, default=240.0)
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped from outside"))  # so that `finally` deletes the run
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        say("podtask smoke test needs a pod with a service account: run it by `helm test`")
        return 2
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    api = Api(server, options.namespace or (ACCOUNT / "namespace").read_text().strip())
    begin = time.monotonic()
    try:
        value = run(api, options.timeout_seconds)
    except SmokeError as error:
        say(f"FAILED after {time.monotonic() - begin:.1f} s: {error}")
        return 1
    say(f"PASSED in {time.monotonic() - begin:.1f} s: the task returned {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
