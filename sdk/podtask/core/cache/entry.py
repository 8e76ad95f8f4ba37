"""The cache: how a key is composed, and the pointer that is stored under it. Pure.

    components (code, a hash per argument, image) ──compose──> key ──Bucket.cache──> object with a `CacheEntry`

A pointer names a result by producer, attempt and digest, never by object key: whoever reads it derives the key
itself and checks size and ETag. Whatever is odd about a pointer is a miss.
Next: `podtask.core.cache.repository` (what is stored). Beside: `podtask.core.cache.explain` (why there is no entry),
`podtask_runner.hashing.encoder` (content hashes).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any, Final

from podtask.core.api.status import PAYLOAD_LIMIT, WORD_LIMIT, ResultInfo
from podtask.core.cache.source import NotCacheable, source_identity
from podtask.core.storage.layout import checked_digest

KEY_PREFIX: Final = "k1:"
"""Version of the composition. Change the composition, change the prefix: old keys then miss instead of lying."""
ADDED: Final = "added:"
"""Begins the name of what counts beside the arguments, where the arguments stand."""
POINTER_VERSION: Final = 1
POINTER_LIMIT: Final = 256 * 1024
"""Bytes of a pointer; more is not one of ours."""

_KEY_LIMIT: Final = 1024
"""Characters of a key that somebody chose (`spec.cache.key`), of an image, of an ETag."""
_NAME_LIMIT: Final = 253
_MOST: Final = 2**31 - 1
"""Of attempts."""
_MOST_BYTES: Final = 2**63 - 1
_UID = re.compile(r"[A-Za-z0-9-]{1,64}")


@dataclass(frozen=True)
class Components:
    """What a composed key stands for."""

    code: str
    """Identity of the code that runs."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    """Argument -> canonical hash of its value; for an upstream result, the content hash in its status."""
    image: str | None = None
    """Image reference, as in the spec."""
    environment: str | None = None
    """Hash of the environment that the spec asks for; None: it asks for none."""

    def completed(
        self, upstream: Mapping[str, str | None], image: str | None, environment: str | None = None
    ) -> Components:
        """With what only the operator knows: upstream results by name, image, environment. Raises `NotCacheable`.

        An argument that is nothing but an upstream's result names that upstream instead of a hash, and gets the
        hash of its value here: so `f(one())` and `f(1)` have one key.
        """
        known: dict[str, str] = {}
        for name, content_hash in upstream.items():
            if not content_hash:
                raise NotCacheable(f"the upstream result for {name!r} has no content hash, so no key can be made of it")
            if name in self.arguments:
                raise NotCacheable(f"argument {name!r} is given twice: as a value and by an upstream")
            known[name] = content_hash
        values = {name: known.get(value, value) for name, value in self.arguments.items()}
        beside = {name: value for name, value in known.items() if name not in self.arguments.values()}
        return replace(self, arguments={**values, **beside}, image=image, environment=environment)


def compose(components: Components) -> str:
    """The key: `k1:` and a sha256 over the length-prefixed parts, so that no two components share an encoding."""
    parts = ["code", components.code, "image", *([] if components.image is None else [components.image]), "arguments"]
    for name, content_hash in sorted(components.arguments.items()):
        parts += (name, content_hash)
    if components.environment is not None:  # in front, where nothing else begins so
        parts = ["environment", components.environment, *parts]
    counted = [str(len(parts)), *parts]
    return KEY_PREFIX + hashlib.sha256(b"".join(_length_prefixed(counted))).hexdigest()


def for_manifest(
    *,
    source: str | None = None,
    function: str = "main",
    entrypoint: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    upstream: Mapping[str, str | None] | None = None,
    image: str | None = None,
    environment: str | None = None,
    add: Mapping[str, str] | None = None,
) -> Components:
    """The components of a run written as YAML. Raises `NotCacheable`.

    `parameters` are hashed one by one; `upstream` maps parameter -> content hash of the result it gets; `add` is what
    counts beside them.
    An entrypoint lives in the image, so it is identified by an image that is pinned by digest.
    """
    if source is not None:
        code = source_identity(source, function)
    elif entrypoint is not None:
        if image is None or "@sha256:" not in image:
            raise NotCacheable(
                "task.entrypoint with cache needs an image pinned by digest (name@sha256:…), because a rebuilt tag"
                " would be a stale hit; pin the image or choose cache.key yourself"
            )
        code = f"entrypoint:{entrypoint}"
    else:
        raise NotCacheable("task.code is identified by cache.components, and there are none; set cache.key")
    given = parameters or {}
    if add and any(name.startswith(ADDED) for name in [*given, *(upstream or {})]):
        raise NotCacheable(f"names of parameters that begin with {ADDED!r} cannot be told from those of cache.add")
    counted = {**given, **{ADDED + name: value for name, value in (add or {}).items()}}
    return Components(code, _argument_hashes(counted)).completed(upstream or {}, image, environment)


@dataclass(frozen=True)
class Producer:
    """The attempt that stored the result."""

    task_run: str
    uid: str
    attempt: int


@dataclass(frozen=True)
class CacheEntry:
    """The pointer stored under a cache key. Times are timezone-aware."""

    key: str
    result: ResultInfo
    """As in the status of the producer, which alone says who made it."""
    etag: str
    producer: Producer
    created_at: datetime
    components: Components | None = None
    expires_at: datetime | None = None
    """None: for ever."""

    @classmethod
    def load(cls, data: bytes) -> CacheEntry:
        """The pointer in `data`; unknown fields are ignored. Raises `ValueError` for anything odd."""
        if len(data) > POINTER_LIMIT:
            raise ValueError(f"not a cache pointer: {len(data)} bytes")
        try:
            return _entry(Fields(json.loads(data)))
        except RecursionError:
            raise ValueError("not a cache pointer: nested too deeply") from None

    def live(self, now: datetime) -> bool:
        """True until it expires."""
        return self.expires_at is None or now < self.expires_at

    def dump(self) -> bytes:
        """The document as it is stored: JSON, camelCase, nothing empty."""
        producer = {"taskRun": self.producer.task_run, "uid": self.producer.uid, "attempt": self.producer.attempt}
        parts, result = self.components, self.result
        document = {
            "v": POINTER_VERSION,
            "key": self.key,
            "digest": result.digest,
            "size": result.size,
            "etag": self.etag,
            "serializer": result.serializer,
            "contentHash": result.content_hash,
            "value": result.value,
            "inline": result.inline,
            "producer": producer,
            "components": parts and document_of(parts),
            "createdAt": self.created_at.isoformat(),
            "expiresAt": self.expires_at and self.expires_at.isoformat(),
        }
        return json.dumps({name: item for name, item in document.items() if item is not None}).encode()


class Fields:
    """A JSON object of somebody else, read field by field; each reader raises `ValueError` where it is not so."""

    def __init__(self, parsed: Any) -> None:
        if not isinstance(parsed, dict):
            raise ValueError("not a cache pointer: expected an object")  # noqa: TRY004 - readers promise ValueError
        self._parsed: dict[str, Any] = parsed

    def text(self, name: str, most: int = WORD_LIMIT) -> str:
        """Some text."""
        value = self.maybe_text(name, most)
        if not value:
            raise ValueError(f"not a cache pointer: no {name}")
        return value

    def maybe_text(self, name: str, most: int = WORD_LIMIT) -> str | None:
        """Text of at most so many characters, or None: what is longer no status takes."""
        value = self._parsed.get(name)
        if value is not None and not isinstance(value, str):
            raise ValueError(f"not a cache pointer: {name[:80]} is no text")
        if value is not None and len(value) > most:
            raise ValueError(f"not a cache pointer: {name[:80]} has {len(value)} characters")
        return value

    def number(self, name: str, least: int, most: int) -> int:
        """A whole number between two others."""
        value = self._parsed.get(name)
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"not a cache pointer: {name} is no whole number from {least} to {most}")
        return value

    def time(self, name: str) -> datetime:
        """A time with its zone, in UTC: one that UTC has no date for is none."""
        when = datetime.fromisoformat(self.text(name).replace("Z", "+00:00"))
        if when.tzinfo is None:
            raise ValueError(f"not a cache pointer: {name} has no time zone")
        try:
            return when.astimezone(timezone.utc)
        except OverflowError:
            raise ValueError(f"not a cache pointer: {name} is beyond the calendar") from None

    def part(self, name: str) -> Fields:
        """An object."""
        return Fields(self._parsed.get(name))

    def texts(self, name: str) -> dict[str, str]:
        """An object of texts."""
        inner = self.part(name)
        return {item: inner.text(item, POINTER_LIMIT) for item in inner.names()}

    def parts(self, name: str) -> list[Fields]:
        """A list of objects."""
        value = self._parsed.get(name)
        if not isinstance(value, list):
            raise ValueError(f"not a cache pointer: {name} is no list")  # noqa: TRY004
        return [Fields(item) for item in value]

    def names(self) -> Iterable[str]:
        """Of all fields."""
        return self._parsed

    def has(self, name: str) -> bool:
        """Whether it is there and not null."""
        return self._parsed.get(name) is not None


def _entry(fields: Fields) -> CacheEntry:
    if fields.number("v", 1, _MOST) != POINTER_VERSION:
        raise ValueError("a cache pointer of another version")
    maker = fields.part("producer")
    producer = Producer(maker.text("taskRun", _NAME_LIMIT), maker.text("uid"), maker.number("attempt", 1, _MOST))
    if not _UID.fullmatch(producer.uid):
        raise ValueError(f"not a UID: {producer.uid[:80]!r}")
    components = components_of(fields.part("components")) if fields.has("components") else None
    result = ResultInfo(
        digest=checked_digest(fields.text("digest")),
        size=fields.number("size", 0, _MOST_BYTES),
        serializer=fields.text("serializer"),
        content_hash=fields.maybe_text("contentHash"),
        value=fields.maybe_text("value", PAYLOAD_LIMIT),
        inline=fields.maybe_text("inline", PAYLOAD_LIMIT),
    )
    return CacheEntry(
        key=fields.text("key", _KEY_LIMIT),
        result=result,
        etag=fields.text("etag", _KEY_LIMIT),
        producer=producer,
        components=components,
        created_at=fields.time("createdAt"),
        expires_at=fields.time("expiresAt") if fields.has("expiresAt") else None,
    )


def components_of(fields: Fields) -> Components:
    """The components in a document. Raises `ValueError`. No status holds them, so only the document bounds them."""
    arguments, image = fields.texts("arguments"), fields.maybe_text("image", POINTER_LIMIT)
    return Components(fields.text("code", POINTER_LIMIT), arguments, image, fields.maybe_text("environment"))


def document_of(parts: Components) -> dict[str, Any]:
    """The components as they are stored."""
    told = {"code": parts.code, "arguments": dict(parts.arguments), "image": parts.image}
    return told if parts.environment is None else {**told, "environment": parts.environment}


def _argument_hashes(parameters: Mapping[str, Any]) -> dict[str, str]:
    from podtask_runner.hashing.content_hash import content_hash
    from podtask_runner.hashing.tokens import Unhashable

    try:
        return {name: content_hash(value, name=name) for name, value in parameters.items()}
    except Unhashable as found:
        raise NotCacheable(f"parameter {found}") from None


def _length_prefixed(parts: Iterable[str]) -> Iterable[bytes]:
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        yield b"%d:%b" % (len(data), data)
