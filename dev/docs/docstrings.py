"""What the code says about itself: docstrings of objects, and those below the attributes of a class."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from typing import Any

_REFERENCES = re.compile(r"\s*\(as in Prefect\b[^)]*\)")
"""Where a rule comes from is of interest to those who change it, not to those who use it."""


def prose(thing: Any) -> str:
    """The docstring for users: without references to the sources of a rule."""
    return _REFERENCES.sub("", inspect.getdoc(thing) or "").strip()


def first_sentence(thing: Any) -> str:
    """Its first line."""
    return prose(thing).split("\n\n")[0].replace("\n", " ")


def attributes(kind: type) -> dict[str, str]:
    """Attribute -> the docstring below it; empty where there is none. In the order of the class."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    name = None
    for node in body.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
            found[name] = ""
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and name:
            found[name] = _REFERENCES.sub("", inspect.cleandoc(str(node.value.value)))
            name = None
        else:
            name = None
    return found


def annotations(kind: type) -> dict[str, str]:
    """Attribute -> its annotation as written."""
    return {name: str(text).strip("'") for name, text in vars(kind).get("__annotations__", {}).items()}


def signature(thing: Any, name: str) -> str:
    """`name(parameters) -> result`, as written and without the object itself."""
    found = inspect.signature(thing)
    shown = [_parameter(p) for key, p in found.parameters.items() if key != "self"]
    markers = _with_markers(list(found.parameters.values()), shown)
    back = found.return_annotation
    result = "" if back is inspect.Signature.empty or inspect.isclass(thing) else f" -> {_text(back)}"
    return f"{name}({', '.join(markers)}){result}"


def _with_markers(parameters: list[inspect.Parameter], shown: list[str]) -> list[str]:
    parameters = [p for p in parameters if p.name != "self"]
    out: list[str] = []
    for index, (parameter, text) in enumerate(zip(parameters, shown, strict=True)):
        before = parameters[index - 1].kind if index else None
        starts_keywords = parameter.kind is parameter.KEYWORD_ONLY and before is not parameter.KEYWORD_ONLY
        if starts_keywords and before is not parameter.VAR_POSITIONAL:
            out.append("*")
        out.append(text)
        after = parameters[index + 1].kind if index + 1 < len(parameters) else None
        if parameter.kind is parameter.POSITIONAL_ONLY and after is not parameter.POSITIONAL_ONLY:
            out.append("/")
    return out


def _parameter(parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    text = stars + parameter.name
    if parameter.annotation is not parameter.empty:
        text += f": {_text(parameter.annotation)}"
    if parameter.default is not parameter.empty:
        text += f" = {parameter.default!r}"
    return text


def _text(annotation: Any) -> str:
    return annotation.strip("'") if isinstance(annotation, str) else inspect.formatannotation(annotation)
