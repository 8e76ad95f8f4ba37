"""docs/explanation/lifecycle.svg: the states and what leads from one to the next, on one picture.

Boxes and arrows have their places here; that the arrows are neither too many nor too few is checked against the
rules (`lifecycle.transitions`), so a changed rule fails the generator until the picture says so, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from xml.etree import ElementTree as ET

from dev.docs.lifecycle import transitions

from podtask.core.api.names import State

WIDTH, HEIGHT = 890, 460
BOX_WIDTH, BOX_HEIGHT = 132, 42
INK, SOFT, PAPER, FRAME = "#1f2933", "#52606d", "#ffffff", "#cbd2d9"
COLOURS = {True: "#d8f3dc", False: "#ffe0e0", None: "#dbeafe"}
"""Fill of a good end, of a bad one, and of what is under way; the word in the box says the same."""

PLACES: dict[State, tuple[int, int]] = {
    State.PENDING: (80, 100),
    State.RUNNING: (380, 78),
    State.RETRYING: (380, 126),
    State.AWAITING_RETRY: (230, 262),
    State.COMPLETED: (720, 66),
    State.FAILED: (720, 118),
    State.CRASHED: (720, 170),
    State.TIMED_OUT: (720, 222),
    State.CANCELLED: (720, 310),
    State.CACHED: (80, 396),
    State.NOT_READY: (260, 396),
}
FRAMES = (("under way", 30, 40, 520, 290), ("ends", 696, 40, 180, 234))


@dataclass(frozen=True)
class Arrow:
    """One arrow: it stands for every pair of its sources and targets."""

    sources: tuple[State, ...]
    targets: tuple[State, ...]
    path: str
    text: str
    at: tuple[int, int]
    anchor: str = "middle"


STARTED = (State.RUNNING, State.RETRYING)
ARROWS = (
    Arrow((State.PENDING,), STARTED, "M212,112 H374", "its container runs", (294, 105)),
    Arrow(STARTED, (State.PENDING,), "M380,134 H218", "the next pod", (296, 151)),
    Arrow((State.RUNNING,), (State.RETRYING,), "M512,90 C540,90 540,152 518,152", "more memory", (516, 70), "end"),
    Arrow(STARTED, (State.AWAITING_RETRY,), "M440,168 L358,258", "attempt ended", (414, 218), "start"),
    Arrow((State.PENDING,), (State.AWAITING_RETRY,), "M150,142 L236,258", "attempt ended", (208, 240), "end"),
    Arrow((State.AWAITING_RETRY,), (State.PENDING,), "M268,262 L186,148", "due", (236, 206), "start"),
    Arrow((State.AWAITING_RETRY,), (State.RETRYING,), "M318,262 L392,173", "due", (346, 206), "end"),
    Arrow(
        (State.PENDING, *STARTED),
        (State.COMPLETED, State.FAILED, State.CRASHED, State.TIMED_OUT),
        "M512,123 H690",
        "the last end is judged",
        (622, 115),
    ),
    Arrow(
        (State.PENDING, *STARTED, State.AWAITING_RETRY),
        (State.CANCELLED,),
        "M550,318 C600,331 640,331 714,331",
        "spec.cancel",
        (640, 320),
    ),
    Arrow(
        (State.AWAITING_RETRY,), (State.TIMED_OUT,), "M362,284 C480,284 590,243 714,243", "deadlineSeconds", (640, 266)
    ),
    Arrow((State.PENDING,), (State.CACHED,), "M104,142 V390", "the cache has it", (112, 384), "start"),
    Arrow(
        (State.PENDING,), (State.NOT_READY,), "M104,352 H326 V390", "an upstream did not complete", (334, 384), "start"
    ),
)
LEGEND = (
    "Short phases are not written: a run can go from Pending straight to an end.",
    "An invalid spec ends a run as Failed before any pod.",
)


def text() -> str:
    """The picture as SVG. Raises `AssertionError` where it and the rules differ."""
    drawn = {pair for arrow in ARROWS for pair in product(arrow.sources, arrow.targets)}
    known = set(transitions())
    assert drawn == known, f"dev/docs/picture.py; not drawn: {known - drawn}; drawn and impossible: {drawn - known}"
    svg = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {WIDTH} {HEIGHT}", "role": "img"})
    svg.set("font-family", "system-ui, sans-serif")
    ET.SubElement(svg, "title").text = "States of a TaskRun and what leads from one to the next"
    marker = ET.SubElement(ET.SubElement(svg, "defs"), "marker", _marker())
    ET.SubElement(marker, "path", {"d": "M0,0 L8,4 L0,8 z", "fill": SOFT})
    ET.SubElement(svg, "rect", {"width": str(WIDTH), "height": str(HEIGHT), "fill": PAPER})
    for title, *frame in FRAMES:
        _rectangle(svg, *frame, fill=PAPER, stroke=FRAME)
        _text(svg, title, frame[0] + 10, frame[1] + 20, size=13, colour=SOFT, anchor="start")
    for arrow in ARROWS:
        ET.SubElement(svg, "path", {"d": arrow.path, "fill": "none", "stroke": SOFT, "marker-end": "url(#end)"})
        _text(svg, arrow.text, *arrow.at, size=12, colour=SOFT, anchor=arrow.anchor)
    for state, (x, y) in PLACES.items():
        fill = COLOURS[state.succeeded if state.finished else None]
        _rectangle(svg, x, y, BOX_WIDTH, BOX_HEIGHT, fill=fill, stroke=INK)
        _text(svg, str(state), x + BOX_WIDTH // 2, y + 27, size=15, colour=INK, anchor="middle")
    for line, words in enumerate(LEGEND):
        _text(svg, words, 876, 420 + 18 * line, size=12, colour=SOFT, anchor="end")
    ET.indent(svg)
    return ET.tostring(svg, encoding="unicode") + "\n"


def _marker() -> dict[str, str]:
    return {"id": "end", "markerWidth": "8", "markerHeight": "8", "refX": "7", "refY": "4", "orient": "auto"}


def _rectangle(svg: ET.Element, x: int, y: int, width: int, height: int, *, fill: str, stroke: str) -> None:
    shape = {"x": x, "y": y, "width": width, "height": height, "rx": 6}
    ET.SubElement(svg, "rect", {**{k: str(v) for k, v in shape.items()}, "fill": fill, "stroke": stroke})


def _text(svg: ET.Element, words: str, x: int, y: int, *, size: int, colour: str, anchor: str) -> None:
    given = {"x": str(x), "y": str(y), "font-size": str(size), "fill": colour, "text-anchor": anchor}
    ET.SubElement(svg, "text", given).text = words
