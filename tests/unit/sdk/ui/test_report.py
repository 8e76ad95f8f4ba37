"""A flow run as SVG and as Mermaid: goldens, hostile names, many task runs. PODTASK_UPDATE_GOLDEN=1 writes anew."""

from __future__ import annotations

import copy
import os
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from tests.unit.sdk.ui import worlds
from tests.unit.sdk.ui.live_api import LiveCluster
from tests.unit.sdk.ui.test_chromium import HOSTILE, Start, complaints

from podtask.ui.report import Report, mermaid, plain, svg

GOLDEN = Path(__file__).parents[2] / "golden"
BEGIN = 1767323045.0  # 2026-01-02T03:04:05Z
SVG = "{http://www.w3.org/2000/svg}"


def fixed(value: Any) -> Any:
    """The same with the times of `worlds`, which are today's, as of a day in 2026."""
    if isinstance(value, dict):
        return {name: fixed(item) for name, item in value.items()}
    if isinstance(value, list):
        return [fixed(item) for item in value]
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]+Z", value):
        from podtask.ui.view.moments import epoch, iso

        moment = epoch(value)
        assert moment is not None
        return iso(moment - worlds.NOW.timestamp() + BEGIN)
    return value


def report(fill: Any, name: str) -> Report:
    cluster = LiveCluster()
    fill(cluster)
    assert cluster.flow_runs is not None
    runs = [run for run in cluster.runs.values() if run["metadata"]["labels"].get("podtask.dev/flow-run") == name]
    return Report(fixed(copy.deepcopy(cluster.flow_runs["team", name])), fixed(copy.deepcopy(runs)), BEGIN)


REPORTS = {
    "etl": lambda: report(worlds.day, "etl-1f3a52b7"),
    "train": lambda: report(worlds.day, "train-77c0de"),
}


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize(("form", "draw"), [("svg", svg), ("md", mermaid)])
def test_goldens(name: str, form: str, draw: Any) -> None:
    text = draw(REPORTS[name]())
    golden = GOLDEN / f"flow-run-{name}.{form}"
    if os.environ.get("PODTASK_UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8"), "PODTASK_UPDATE_GOLDEN=1 writes it anew"


@pytest.mark.parametrize(
    ("fill", "name"),
    [
        (worlds.one, "hello-5f1c"),
        (worlds.longest, "f" * 63),
        (worlds.failed, "night-03"),
        (lambda cluster: worlds.many(cluster, 2000), "wide-10k"),
        (lambda cluster: cluster.put(worlds.flow_run("empty-1")), "empty-1"),
    ],
)
def test_every_flow_run_is_a_document_without_variables_and_links(fill: Any, name: str) -> None:
    made = report(fill, name)
    text = svg(made)
    root = ET.fromstring(text)
    assert root.tag == f"{SVG}svg"
    assert "var(--" not in text
    assert "color-mix" not in text
    assert "href" not in text
    assert len(text) < 300_000
    assert mermaid(made).count("```") % 2 == 0


def test_a_group_row_and_a_gantt_bar_stand_for_many() -> None:
    made = report(lambda cluster: worlds.many(cluster, 2000), "wide-10k")
    assert svg(made).count("At most") == 4
    text = mermaid(made)
    assert text.count("section ") == 4
    assert re.search(r"500 task runs, .* :crit, \d+, \d+", text)


def hostile() -> Report:
    bad = HOSTILE + "\n```\nA[click] --> B; %% :::x `` # & <b> \x00\x1f\ufffe\ud800"
    tried = worlds.attempt(1, 100, 50, "Failed", reason=bad, node=bad)
    runs = [
        worlds.task_run(f"evil-{number}", "Failed", task=f"{bad}{number}", attempts=[tried], needs=needs)
        for number, needs in enumerate(((), ("evil-0",)))
    ]
    flow = worlds.flow_run("evil", bad, flow=bad, title=bad, status={"message": bad})
    return Report(fixed(flow), fixed(runs), BEGIN)


def test_hostile_texts_in_svg_are_texts(chromium: Start, tmp_path: Path) -> None:
    """For a parser of XML, and for a browser that opens the file."""
    text = svg(hostile())
    root = ET.fromstring(text)
    allowed = {"svg", "title", "style", "rect", "text", "tspan", "path", "circle", "line", "g"}
    assert {one.tag.removeprefix(SVG) for one in root.iter()} <= allowed
    assert not [name for one in root.iter() for name in one.attrib if name.startswith("on") or "href" in name]
    assert "<img src=x" in "".join(root.itertext())
    file = tmp_path / "evil.svg"
    file.write_text(text, encoding="utf-8")
    driver = chromium()
    driver.get(file.as_uri())
    assert driver.execute_script("return document.documentElement.tagName") == "svg"
    assert driver.execute_script("return document.querySelectorAll('parsererror, img, script').length") == 0
    assert driver.title != "taken"
    assert complaints(driver) == []


def test_hostile_texts_in_mermaid_are_letters_and_entities() -> None:
    text = mermaid(hostile())
    assert text.count("```") == 4
    assert {"n0[", "n1["} <= {line.lstrip()[:3] for line in text.splitlines()}
    assert " :crit, " in text
    for line in text.splitlines():
        assert not set(line) & set("\x00\x1b\u202e"), line
        assert "<" not in line.replace("<br/>", ""), line
        if line.lstrip().startswith(("n0[", "n1[")):
            inside = line.partition('["')[2].rpartition('"]')[0]
            assert re.fullmatch(r"(?:[\w .,()/+-]|#\d+;|<br/>)+", inside), line
        if " :crit, " in line:
            assert re.fullmatch(r" +(?:[\w .,()/+-]|#\d+;)+ :crit, \d+, \d+", line), line


@pytest.mark.parametrize(("text", "shown"), [("load", "load"), ("a:b#c", "a#58;b#35;c"), ("", "-"), ("ü", "ü")])
def test_plain(text: str, shown: str) -> None:
    assert plain(text) == shown
