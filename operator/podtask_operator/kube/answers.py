"""What the API server answers: an object, a beginning of one, events, or an error.

    ApiError           the server answered with a refusal: `status`, `reason` and its sentence
    ApiUnavailable     no answer, or one that says "later" (401, 429, 5xx): try again with back-off

Used by: `client`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from podtask.core.api.names import KIND
from podtask_operator.task_runs import held

Object = dict[str, Any]

TOO_LARGE = (b"request is too large", b"larger than max")
"""In an answer 500: what etcd, or the way to it, says about an object beyond its limit. Later it is no smaller."""


class ApiError(Exception):
    """The API server refused. `reason` is its CamelCase word, the text its sentence.

    `resume`: of a list whose token has expired (410), the token that goes on from there with what is there now.
    """

    def __init__(self, status: int, reason: str, message: str, resume: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.resume = resume


class ApiUnavailable(Exception):
    """No answer, or "later". Nothing is known about whether a write was applied.

    `answer`: what the API server said of it, where it said anything: a webhook that does not answer is told so (500).
    """

    def __init__(self, message: str, answer: ApiError | None = None) -> None:
        super().__init__(message)
        self.answer = answer


async def beginning(answer: aiohttp.ClientResponse, most: int) -> bytes:
    """The body, or so much of it that everybody sees that it is longer; the connection is closed then."""
    data = bytearray()
    async for chunk in answer.content.iter_any():
        data += chunk
        if len(data) > most:
            answer.close()
            break
    return bytes(data)


def parsed(data: bytes) -> Object:
    """One object; a TaskRun that is too large is cut before anything else is done, so that two never add up."""
    obj: Object = dict(json.loads(data))
    return held.bounded(obj) if obj.get("kind") == KIND and held.heavy(data) else obj


async def events(stream: aiohttp.StreamReader) -> AsyncIterator[Object]:
    """The events of a watch, a line each; what follows the last end of line was cut off with the connection."""
    rest = b""
    async for chunk in stream.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            event: Object = json.loads(line)
            if event["type"] == "ERROR":
                status = event["object"]
                raise ApiError(status.get("code") or 0, status.get("reason") or "", status.get("message") or "")
            yield event


def check(status: int, data: bytes, what: str) -> None:
    """Raise what an answer with this status means."""
    if status >= 500 and any(sign in data[:4096] for sign in TOO_LARGE):
        raise ApiError(413, "RequestEntityTooLarge", f"{what}: {data[:300].decode(errors='replace')}")
    if status in (401, 429) or status >= 500:  # 401: our token is being exchanged
        refusal = _refusal(status, data, what)
        raise ApiUnavailable(f"{what}: {status} {refusal.message.strip()}", refusal if status >= 500 else None)
    if status >= 400:
        raise _refusal(status, data, what)


def _refusal(status: int, data: bytes, what: str) -> ApiError:
    """The server's sentence; what stands in front of it may answer without one."""
    try:
        said = json.loads(data)
    except ValueError:
        said = {"message": data[:300].decode(errors="replace")}
    told = said if isinstance(said, dict) else {}
    meta = told.get("metadata")
    resume = meta.get("continue") if isinstance(meta, dict) else ""
    return ApiError(status, told.get("reason") or "", told.get("message") or what, resume or "")
