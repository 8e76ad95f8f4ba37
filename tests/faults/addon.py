"""The fault proxy: a mitmproxy addon that harms the requests it was told to harm, and writes down all of them.

Runs in mitmproxy's own environment (`dev/mitmproxy`), in front of the API server or of the S3 server, and imports
nothing of podtask. The tests steer it by requests to the proxy itself, so a rule is in force once it is answered:

    PUT  /__faults__/rules             rules from now on, a JSON list (see `Rule`)
    GET  /__faults__/log?since=N       every request from number N on
    POST /__faults__/cut?match=REGEX   abort the connections of these watches, in the middle of whatever they say

A request is known by its target: `PATCH /apis/…/taskruns/x/status`; a POST carries the new object's name at the end
(`POST /api/v1/namespaces/n/pods/x-1`), and a GET that watches is a WATCH.
Annotations are no strings here: mitmproxy loads a script as no module, where dataclasses could not read them.
"""

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from mitmproxy import ctx, http

CONTROL = "/__faults__/"
REASONS = {403: "Forbidden", 409: "Conflict", 410: "Expired", 429: "TooManyRequests", 500: "InternalError"}
JSON = {"Content-Type": "application/json"}


@dataclass
class Rule:
    """Which requests, and what happens to them. The log says of each request by which rule it was harmed."""

    name: str
    match: str
    """A regular expression that finds something in the target. A group `each` is counted for each of its values."""
    do: str
    """status | drop | delay | hold | replay | truncate | error event | cut line | swallow | repeat events"""
    when: str = "before"
    """`before` it reaches the server, or `after` the server did it."""
    nth: int = 1
    """The first request that is harmed, counted from 1."""
    times: int = 1
    """How many in a row are."""
    code: int = 500
    body: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    agent: str = ""
    """A regular expression for the user agent."""
    within: str = ""
    """A text that the body contains."""
    seen: Counter[str] = field(default_factory=Counter)
    kept: tuple[int, bytes] | None = None

    def strikes(self, target: str, request: http.Request) -> bool:
        """True for a request that is to be harmed; counts it."""
        found = re.search(self.match, target)
        if found is None or not re.search(self.agent, request.headers.get("User-Agent", "")):
            return False
        if self.within and self.within not in _text(request):
            return False
        each = found.groupdict().get("each") or ""
        self.seen[each] += 1
        return self.nth <= self.seen[each] < self.nth + self.times


class Faults:
    """The addon."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []
        self.log: list[dict[str, Any]] = []
        self.watches: dict[str, http.HTTPFlow] = {}

    async def request(self, flow: http.HTTPFlow) -> None:
        """A request arrived whole; the server has not seen it."""
        if flow.request.path.startswith(CONTROL):
            flow.response = self._control(flow.request)
            return
        target = _target(flow.request)
        rule = next((rule for rule in self.rules if rule.strikes(target, flow.request)), None)
        agent = flow.request.headers.get("User-Agent", "")
        entry = {"number": len(self.log), "at": time.time(), "target": target, "agent": agent, "status": None}
        entry["body"] = _text(flow.request) if target.endswith("/status") else None
        entry["fault"] = rule and rule.name
        self.log.append(entry)
        flow.metadata.update(entry=entry, rule=rule, target=target)
        if rule is not None and rule.when == "before":
            await self._harm(flow, rule)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """A watch is passed on piece by piece; everything else is small enough to wait for."""
        target = flow.metadata.get("target", "")
        if not target.startswith("WATCH"):
            return
        self.watches[flow.id] = flow
        flow.metadata["entry"]["status"] = flow.response.status_code
        rule = flow.metadata["rule"]
        flow.response.stream = self._spoiled(flow, rule) if rule is not None and rule.when == "after" else True

    async def response(self, flow: http.HTTPFlow) -> None:
        """The server has answered; its client has not heard of it."""
        self.watches.pop(flow.id, None)
        if "entry" not in flow.metadata:
            return
        flow.metadata["entry"]["status"] = flow.response.status_code
        rule = flow.metadata["rule"]
        if rule is not None and rule.when == "after" and not flow.response.stream:
            await self._harm(flow, rule)
            flow.metadata["entry"]["told"] = flow.response.status_code

    def error(self, flow: http.HTTPFlow) -> None:
        """The connection broke, or was broken."""
        self.watches.pop(flow.id, None)

    async def _harm(self, flow: http.HTTPFlow, rule: Rule) -> None:
        if rule.do == "status":
            flow.response = http.Response.make(rule.code, rule.body or _status(rule.code), {**JSON, **rule.headers})
        elif rule.do == "drop":
            flow.kill()
        elif rule.do == "delay":
            await asyncio.sleep(rule.seconds)
        elif rule.do == "hold":  # no answer until its client loses patience
            await asyncio.sleep(rule.seconds)
            flow.kill()
        elif rule.do == "truncate":
            whole = flow.response.raw_content
            flow.response.raw_content = whole[: len(whole) // 2]
            flow.response.headers.update({"Content-Length": str(len(whole)), "Connection": "close"})
        elif rule.do == "replay":
            self._replay(flow, rule)
        elif rule.do == "error event":
            event = {"type": "ERROR", "object": json.loads(_status(rule.code))}
            flow.response = http.Response.make(200, json.dumps(event) + "\n", JSON)
        else:
            raise ValueError(f"{rule.do} {rule.when} is no fault of a whole request")

    def _replay(self, flow: http.HTTPFlow, rule: Rule) -> None:
        """The first answer is kept and told again and again: an API server whose cache lies behind."""
        if rule.kept is None:
            rule.kept = (flow.response.status_code, flow.response.raw_content)
        flow.response = http.Response.make(*rule.kept, dict(flow.response.headers))

    def _spoiled(self, flow: http.HTTPFlow, rule: Rule) -> Callable[[bytes], bytes | list[bytes]]:
        """What happens to the pieces of a watch."""
        told: list[bytes] = []

        def swallow(piece: bytes) -> list[bytes]:
            return [] if piece else [b""]  # an empty piece would be sent as the end of the answer

        def cut_line(piece: bytes) -> bytes:
            if piece:
                asyncio.get_running_loop().call_later(0.2, self._abort, flow)  # after the half line was sent
            return piece[: len(piece) // 2]

        rest = bytearray()

        def repeat_events(piece: bytes) -> list[bytes]:
            rest.extend(piece)
            if not piece:
                return [b""]
            whole, newline, begun = bytes(rest).rpartition(b"\n")
            rest[:] = begun
            told.extend(line + b"\n" for line in whole.split(b"\n") if newline)
            return [b"".join([*told, *reversed(told)])] if newline else []

        return {"swallow": swallow, "cut line": cut_line, "repeat events": repeat_events}[rule.do]

    def _abort(self, flow: http.HTTPFlow) -> None:
        """End a client's connection without a word, as a dying load balancer does."""
        connections = ctx.master.addons.get("proxyserver").connections
        handler = connections.get(flow.client_conn.id)
        io = handler and handler.transports.get(flow.client_conn)
        if io and io.writer:
            io.writer.transport.abort()

    def _control(self, request: http.Request) -> http.Response:
        where = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(where.query).items()}
        what = where.path.removeprefix(CONTROL)
        if (request.method, what) == ("PUT", "rules"):
            self.rules = [Rule(**given) for given in json.loads(request.get_text() or "[]")]
            return _answer(len(self.rules))
        if (request.method, what) == ("GET", "log"):
            return _answer(self.log[int(query.get("since", "0")) :])
        if (request.method, what) == ("POST", "cut"):
            cut = [f for f in self.watches.values() if re.search(query["match"], f.metadata["target"])]
            for flow in cut:
                self._abort(flow)
            return _answer([flow.metadata["target"] for flow in cut])
        return http.Response.make(404, f"no such order: {request.method} {request.path}")


def _target(request: http.Request) -> str:
    """Verb and path, with the name of what is created."""
    where = urlsplit(request.path)
    path, verb = where.path, request.method
    if verb == "GET" and parse_qs(where.query).get("watch", ["false"])[0] in ("true", "1"):
        verb = "WATCH"
    if verb == "POST" and path.startswith("/api"):
        try:
            path += "/" + json.loads(_text(request))["metadata"]["name"]
        except (ValueError, KeyError):  # generateName
            path += "/"
    return f"{verb} {path}"


def _text(request: http.Request) -> str:
    return (request.get_content(strict=False) or b"").decode(errors="replace")


def _status(code: int) -> str:
    """A refusal in the API server's words."""
    reason = REASONS.get(code, "ServiceUnavailable")
    told = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return json.dumps({**told, "message": f"injected {code}", "reason": reason, "code": code})


def _answer(told: Any) -> http.Response:
    return http.Response.make(200, json.dumps(told), JSON)


addons = [Faults()]
