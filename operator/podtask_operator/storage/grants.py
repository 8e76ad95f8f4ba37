"""What one attempt may know and touch, as a Secret: presigned URLs for exactly its own objects, never credentials.

Up to 64 KiB are in the Secret; of more the Secret says where in the bucket they are.
`build` is pure but for signing (no network). Read by `podtask_runner.process.supervisor`; written by `pod_launcher`.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Sequence
from typing import Any

from podtask.core.api import spec as models
from podtask.core.api.names import (
    ANNOTATION_RUN_NAME,
    LABEL_FLOW,
    LABEL_FLOW_RUN,
    LABEL_MANAGED_BY,
    LABEL_TASK,
    LABEL_TASK_RUN,
    MANAGED_BY,
    RUN_NAME_LIMIT,
    SECRET_TYPE,
)
from podtask.core.api.status import ResolvedInput, Status
from podtask.core.storage import Signer, checkpoints
from podtask.core.storage.layout import Bucket, secret_key, secret_name
from podtask_operator.pods import owner
from podtask_operator.settings import Settings
from podtask_operator.task_runs.parse import TaskRun, policy
from podtask_runner import names, protocol

LOG_CHUNK_LIMIT = 8 * 1024 * 1024
"""Bytes of one log chunk."""


SECRET_LIMIT = 64 * 1024
"""Bytes of grants inside a Secret; larger ones go into the bucket. Up to that size they are not compressed, so that a
runner that is older than this operator reads them."""


def packed(grants: protocol.Grants) -> bytes:
    """The grants as JSON; compressed where that is more than a Secret is to hold."""
    data = protocol.dump(grants)
    return data if len(data) <= SECRET_LIMIT else gzip.compress(data, mtime=0)


def document(data: bytes, url: str, settings: Settings) -> bytes:
    """What the Secret holds instead of grants that are an object in the bucket."""
    blob = protocol.Blob(hashlib.sha256(data).hexdigest(), len(data), url=url)
    return protocol.dump(protocol.GrantsDocument(blob, settings.store_timeout_seconds))


def secret(run: TaskRun, attempt: int, data: bytes) -> dict[str, Any]:
    """The Secret of the run with the grants of this attempt; for an idle pod, the Secret that the pod mounts."""
    claim = next((each.claim for each in run.status.attempts if each.number == attempt), None)
    name = secret_name(run.name, run.uid) if claim is None else claim.pod_name
    entry = secret_key(attempt) if claim is None else names.GRANTS_FILE
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": run.namespace,
            "labels": {LABEL_MANAGED_BY: MANAGED_BY, LABEL_TASK_RUN: run.name},
            "ownerReferences": [owner.reference(run)],
        },
        "type": SECRET_TYPE,
        "data": {entry: base64.b64encode(data).decode()},
    }


def build(
    run: TaskRun,
    attempt: int,
    inlined: dict[str, bytes],
    bucket: Bucket,
    signer: Signer,
    settings: Settings,
    saved: Sequence[checkpoints.Place] = (),
    traceparent: str | None = None,
) -> protocol.Grants:
    """The grants of one attempt of a live TaskRun. `inlined`: small results of upstreams by digest. `saved`: where
    earlier attempts have saved their progress. `traceparent`: the span of the attempt."""
    spec, life = run.spec, settings.grant_seconds
    keys = bucket.attempt(run.uid, attempt)

    def slot(key: str) -> protocol.Slot:
        return protocol.Slot(signer.sign_put(key, life), signer.sign_get(key, life))

    def blob(payload: models.Payload) -> protocol.Blob:
        if payload.inline is not None:
            raw = base64.b64decode(payload.inline)
            return protocol.Blob(hashlib.sha256(raw).hexdigest(), len(raw), names.CLOUDPICKLE, inline=payload.inline)
        digest = payload.digest or ""
        return protocol.Blob(
            digest, payload.size or 0, names.CLOUDPICKLE, url=signer.sign_get(bucket.blob(digest), life)
        )

    def upstream(up: models.Upstream, of: ResolvedInput) -> protocol.Upstream:
        if of.failed_as is None:
            return protocol.Upstream(result(of), parameter=up.parameter, ref=up.placeholder)
        failure = protocol.Failure(str(of.failed_as), of.message or "")
        if not of.digest:
            return protocol.Upstream(protocol.NOTHING, up.parameter, up.placeholder, failure)
        url = signer.sign_get(bucket.attempt(of.uid, of.attempt).error, life)
        stored = protocol.Blob(of.digest, of.size, names.CLOUDPICKLE, url=url)
        return protocol.Upstream(stored, up.parameter, up.placeholder, failure)

    def result(source: ResolvedInput) -> protocol.Blob:
        if source.digest in inlined:
            text = base64.b64encode(inlined[source.digest]).decode()
            return protocol.Blob(source.digest, source.size, source.serializer, inline=text)
        key = bucket.attempt(source.source_uid or source.uid, source.attempt).result
        return protocol.Blob(source.digest, source.size, source.serializer, url=signer.sign_get(key, life))

    task, known, asked = spec.task, run.status, policy(run)
    code = protocol.Code(
        source=task.source,
        function=task.function,
        entrypoint=task.entrypoint,
        shipped=blob(task.code) if task.code else None,
        bundle=blob(task.bundle) if task.bundle else None,
        overlay=blob(task.overlay) if task.overlay else None,
    )
    resolved = {found.task_run: found for found in known.inputs}
    inputs = tuple(upstream(up, resolved[up.task_run]) for up in spec.upstream if up.task_run in resolved)
    return protocol.Grants(
        namespace=run.namespace,
        task_run=run.name,
        uid=run.uid,
        attempt=attempt,
        task_name=run.labels.get(LABEL_TASK) or task.name or run.name,
        run_name=run.annotations.get(ANNOTATION_RUN_NAME, "")[:RUN_NAME_LIMIT],
        code=code,
        result=slot(keys.result),
        error=slot(keys.error),
        outcome=slot(keys.outcome),
        parameters=spec.parameters,
        inputs=blob(spec.inputs) if spec.inputs else None,
        files=tuple(
            protocol.Blob(file.digest, file.size, names.FILE, url=signer.sign_get(bucket.blob(file.digest), life))
            for file in spec.files
        ),
        upstream=inputs,
        retries_left=max(0, asked.retries - known.retries_used),
        retries_used=known.retries_used,
        tags=tuple(spec.tags),
        flow_run=run.labels.get(LABEL_FLOW_RUN, ""),
        flow_name=run.labels.get(LABEL_FLOW, ""),
        timeout_seconds=spec.timeout_seconds,
        grace_seconds=asked.grace_seconds,
        store_timeout_seconds=settings.store_timeout_seconds,
        python=task.python,
        logs=signer.sign_post(keys.log, LOG_CHUNK_LIMIT, life),
        checkpoints=checkpoints.grant(bucket, run.uid, attempt, saved, signer, life) if spec.checkpoints else None,
        doorbell=settings.doorbell,
        traceparent=traceparent,
        v=protocol.version_of(code, inputs),
    )


def small_result(status: Status) -> tuple[str, bytes] | None:
    """A result that its status carries whole: `(digest, bytes)`, checked, so that no download is needed."""
    result = status.result
    if result is None or (result.value is None and not result.inline):
        return None
    try:
        raw = base64.b64decode(result.inline or "") if result.value is None else result.value.encode()
    except ValueError:  # neither base64 nor UTF-8: whatever runs in a pod can write its outcome
        return None
    return (result.digest, raw) if hashlib.sha256(raw).hexdigest() == result.digest else None
