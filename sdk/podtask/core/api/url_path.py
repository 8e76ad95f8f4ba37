"""Paths of the Kubernetes API from names that somebody else wrote. Pure.

A name in a TaskRun (`waitFor`, `upstream`) is a user's text; put into a path as it is, `../../other/pods/x` would be
asked for with the rights of whoever reads it. Quoting alone is not enough: the API server decodes `%2F` before it
splits the path. So the rule is that of client-go (`IsValidPathSegmentName`): such a name is the name of no object.
Asked by: the clients of the operator and of the SDK, for every request.
"""

from __future__ import annotations

from urllib.parse import quote


class NoSuchName(ValueError):
    """A text that is the name of no object; the sentence says so."""


def url_path(*segments: str) -> str:
    """`/api/v1/namespaces/…`, each segment quoted. Raises `NoSuchName` for one that would be no segment."""
    return "".join(f"/{_segment(text)}" for text in segments)


def _segment(text: str) -> str:
    if text in ("", ".", "..") or "/" in text or "%" in text:
        raise NoSuchName(f"{text[:80]!r} is the name of no object in Kubernetes.")
    return quote(text, safe="", errors="surrogatepass")
