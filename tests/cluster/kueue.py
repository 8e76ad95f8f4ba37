"""Kueue's part, played by the tests: a webhook that gates pods with the queue label, and somebody who lets them go.

A gate can only be set while a pod is created (Kubernetes, pod scheduling readiness), so it takes a real webhook. It
listens on loopback: only an API server on this machine reaches it.
"""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.cluster.kit import Object, World, eventually, kubectl

QUEUE = "kueue.x-k8s.io/queue-name"
GATE = "kueue.x-k8s.io/admission"
TRY = ("create", "--dry-run=server", "-o", "json", "-f", "-")
QUEUED: Object = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "queued", "labels": {QUEUE: "any"}},
    "spec": {
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "any",
                "image": "any",
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    },
}
"""A pod that is meant, and never created."""


class Handler(BaseHTTPRequestHandler):
    """Answers admission reviews: the gate is added."""

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        gates = [{"op": "add", "path": "/spec/schedulingGates", "value": [{"name": GATE}]}]
        response = {"uid": review["request"]["uid"], "allowed": True, "patchType": "JSONPatch"}
        response["patch"] = base64.b64encode(json.dumps(gates).encode()).decode()
        answer = json.dumps({**review, "request": None, "response": response}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def gating(world: World, folder: Path) -> Iterator[None]:
    """While it lasts, new pods of this namespace that have the queue label are gated."""
    key, certificate = folder / "webhook.key", folder / "webhook.crt"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=webhook"]
    words += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(words, check=True, capture_output=True, timeout=60)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    name = f"podtask-{world.namespace}"
    try:
        url = f"https://127.0.0.1:{server.server_address[1]}/"
        kubectl("apply", "-f", "-", given=json.dumps(configuration(name, world.namespace, url, certificate)))
        eventually("the API server asks the webhook", lambda: GATE in world.kubectl(*TRY, given=json.dumps(QUEUED)))
        yield
    finally:
        kubectl("delete", "mutatingwebhookconfiguration", name, "--ignore-not-found")
        server.shutdown()
        server.server_close()


def configuration(name: str, namespace: str, url: str, certificate: Path) -> Object:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    webhook = {
        "name": "kueue.podtask.dev",
        "clientConfig": {"url": url, "caBundle": base64.b64encode(certificate.read_bytes()).decode()},
        "rules": [rule],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "objectSelector": {"matchExpressions": [{"key": QUEUE, "operator": "Exists"}]},
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
    }
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration"}
    return {**kind, "metadata": {"name": name}, "webhooks": [webhook]}


def admit(world: World, pod: str) -> None:
    """Let a gated pod go."""
    world.kubectl("patch", "pod", pod, "--type=merge", "-p", json.dumps({"spec": {"schedulingGates": None}}))


def preempt(world: World, pod: str) -> None:
    """What Kueue does to a pod whose place another one gets: it deletes it."""
    world.kubectl("delete", "pod", pod, "--wait=false")
