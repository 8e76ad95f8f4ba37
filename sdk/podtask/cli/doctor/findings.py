"""What a check finds, and how findings are printed. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import click

from podtask.cli.common import output


class Severity(str, enum.Enum):
    """How it is."""

    OK = "ok"
    WARNING = "warning"
    """It works, but not all of it."""
    FAILED = "FAILED"
    SKIPPED = "skipped"

    __str__ = str.__str__


COLOURS = {Severity.OK: "green", Severity.WARNING: "yellow", Severity.FAILED: "red"}
WIDTH = 20


@dataclass(frozen=True)
class Finding:
    """One answer of one check."""

    check: str
    verdict: Severity
    message: str
    cure: str | None = None


def ok(check: str, message: str) -> Finding:
    """All is well."""
    return Finding(check, Severity.OK, message)


def warning(check: str, message: str, cure: str) -> Finding:
    """Something is amiss that not everybody needs."""
    return Finding(check, Severity.WARNING, message, cure)


def failed(check: str, message: str, cure: str | None = None) -> Finding:
    """Without this nothing works."""
    return Finding(check, Severity.FAILED, message, cure)


def skipped(check: str, why: str) -> Finding:
    """Could not be asked."""
    return Finding(check, Severity.SKIPPED, why)


def line(finding: Finding) -> str:
    """As a person reads it."""
    word = f"{finding.verdict:<8}"
    colour = COLOURS.get(finding.verdict)
    if colour and output.colours():
        word = click.style(word, fg=colour)
    cure = f"\n{' ' * 9}{'':<{WIDTH}} cure: {finding.cure}" if finding.cure else ""
    return f"{word} {finding.check:<{WIDTH}} {finding.message}{cure}"


def document(findings: Iterable[Finding]) -> list[dict[str, str]]:
    """As a program reads it."""
    return [{name: str(value) for name, value in asdict(one).items() if value is not None} for one in findings]
