"""A user's text in a path of the API: one segment, or the name of no object."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podtask.core.api.url_path import NoSuchName, url_path


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "a/b", "../../podtask-demo/taskruns/hello", "held/status", "a%2Fb", "%2e%2e", "/", "a/", "/a"],
)
def test_what_would_leave_its_segment_is_no_name(text: str) -> None:
    with pytest.raises(NoSuchName, match="name of no object"):
        url_path("api", "v1", "namespaces", "team", "pods", text)


@pytest.mark.parametrize("text", ["asb?x=1", "a#b", "a b", "a;b", "a&b", "é", "a\nb", "\ud800", "...", "~"])
def test_everything_else_is_quoted(text: str) -> None:
    parts = urlsplit("http://host" + url_path("pods", text))
    assert parts.path.count("/") == 2
    assert (parts.query, parts.fragment) == ("", "")
    assert unquote(parts.path, errors="surrogatepass") == f"/pods/{text}"


@given(st.text(max_size=40))
def test_no_text_ever_makes_two_segments(text: str) -> None:
    try:
        path = url_path("namespaces", text, "pods")
    except NoSuchName:
        return
    decoded = unquote(path, errors="surrogatepass").split("/")
    assert decoded == ["", "namespaces", text, "pods"]
