"""podtask's local backend beside prefect 2.0b5: the same script, the same trace, but for the table of differences."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.differential import document
from tests.differential.beyond import BEYOND, Beyond
from tests.differential.conftest import NAMES, RECORDED, SECTIONS, compared, recorded
from tests.differential.differences import DIFFERENCES
from tests.differential.table import At, Difference, Fact, facts, gone, unexplained

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_goes_as_recorded_or_as_the_table_says(name) -> None:
    found = unexplained(compared(name), DIFFERENCES)
    assert not found, "not in the table of differences:\n" + "\n".join(str(fact) for fact in found)


def test_every_line_of_the_table_still_covers_a_difference() -> None:
    stale = gone([fact for name in NAMES for fact in compared(name)], DIFFERENCES)
    assert not stale, "these differ no more:\n" + "\n".join(f"{row.name}: {at}" for row, at in stale)


def test_everything_recorded_belongs_to_a_scenario() -> None:
    assert sorted(path.stem for path in RECORDED.glob("*.json")) == sorted(SECTIONS)
    for section, scenarios in SECTIONS.items():
        assert sorted(recorded(section)) == sorted(scenarios), "run 'make differential'"


def test_every_difference_says_what_why_and_where_it_is_asked_for() -> None:
    for row in DIFFERENCES:
        assert row.beta
        assert row.podtask
        assert row.why.endswith(".")
        assert re.fullmatch(r"(§\d(, )?)+|Naming", row.source), row.name
    assert len({row.name for row in DIFFERENCES}) == len(DIFFERENCES)


@pytest.mark.parametrize("row", BEYOND, ids=lambda row: row.name)
def test_what_no_trace_shows_names_tests_that_there_are(row: Beyond) -> None:
    assert row.tests
    for test in row.tests:
        path, _, name = test.partition("::")
        assert f"def {name}(" in (TESTS / path).read_text(), test


def test_the_document_shows_the_table_as_it_is() -> None:
    assert document.PATH.read_text() == document.text(), "run 'make generate'"


def test_a_fact_on_one_side_only_differs_and_a_row_covers_only_what_it_names() -> None:
    found = facts("s.case", {"a": "1", "b": "2"}, {"a": "1", "c": "3"})
    assert found == [Fact("s.case.b", "2", "(absent)"), Fact("s.case.c", "(absent)", "3")]
    row = Difference("one", "x", "y", "z.", "§9", (At(r"s\.case\.b", "2"), At(r"s\.case\.d")))
    assert unexplained(found, [row]) == [found[1]]
    assert gone(found, [row]) == [(row, row.at[1])]
