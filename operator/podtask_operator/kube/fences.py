"""Whether a write may begin: by the operator's Lease, and by the owner's mark of the namespace. Asked by `client`."""

from __future__ import annotations

from collections.abc import Callable


def refusal(path: str, fence: Callable[[], bool], fence_in: Callable[[str], bool]) -> str | None:
    """Why another operator may be at work by now; None: none can be."""
    if not fence():
        return "not sent, because the operator's Lease is not renewed at present"
    namespace = path.partition("/namespaces/")[2].partition("/")[0]
    if namespace and not fence_in(namespace):
        return f"not sent, because the owner's mark of namespace {namespace} is not renewed at present"
    return None
