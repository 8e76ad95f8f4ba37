"""One version in one place: `sdk/podtask/__init__.py`. Everything else that names it follows by `make generate`.

python -m dev.release.version              writes chart, how-tos and examples anew where they name another version
python -m dev.release.version --check      writes nothing, and fails if something would change
python -m dev.release.version --print      prints the version
python -m dev.release.version --tag v1.2.3 fails unless this is the version's tag, and the changelog is ready for it

hatch reads the same place for wheel and sdist (`[tool.hatch.version]` in pyproject.toml).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from dev.docs.paths import TOP

SOURCE = TOP / "sdk" / "podtask" / "__init__.py"
FRAGMENTS = TOP / "changes"
CHANGELOG = TOP / "CHANGELOG.md"
NUMBER = r"\d+\.\d+\.\d+"
"""No pre-releases: Python and Helm would spell one of them in two ways."""
MENTIONED = re.compile(rf"((?<![\w-])podtask/(?:operator|runner):|(?<![\w-])podtask==){NUMBER}")
"""The images of a release, and the requirement of the package."""
CHART = re.compile(rf"^(version: |appVersion: ){NUMBER}$", re.MULTILINE)


def version() -> str:
    """The version of this checkout, read without an import. Raises `ValueError` for one that is no release."""
    match = re.search(rf'^__version__ = "({NUMBER})"$', SOURCE.read_text(), flags=re.MULTILINE)
    if match is None:
        raise ValueError(
            f'{SOURCE.relative_to(TOP)} has no line __version__ = "1.2.3": three numbers, as Helm wants them'
        )
    return match[1]


def files() -> Iterator[Path]:
    """Every file that may name the version."""
    yield TOP / "charts" / "podtask" / "Chart.yaml"
    yield TOP / "charts" / "podtask" / "values.yaml"
    yield from sorted((TOP / "docs" / "how-to").glob("*.md"))
    yield from sorted((TOP / "examples").glob("*.yaml"))


def stale(number: str) -> dict[Path, str]:
    """Path -> its text with this version, where it names another one."""
    texts = {path: path.read_text() for path in files()}
    wanted = {path: with_version(text, number, chart=path.name == "Chart.yaml") for path, text in texts.items()}
    return {path: text for path, text in wanted.items() if text != texts[path]}


def with_version(text: str, number: str, *, chart: bool = False) -> str:
    """The text with this version in every place of one."""
    text = MENTIONED.sub(rf"\g<1>{number}", text)
    return CHART.sub(rf"\g<1>{number}", text) if chart else text


def notes(changelog: str, number: str) -> str:
    """What the changelog says of this version. Raises `ValueError` when it says nothing."""
    match = re.search(rf"^## {re.escape(number)}\b[^\n]*\n(.*?)(?=^## |\Z)", changelog, flags=re.MULTILINE | re.DOTALL)
    if match is None or not match[1].strip():
        raise ValueError(f"CHANGELOG.md has no section '## {number}': run 'towncrier build --version {number}'")
    return match[1].strip() + "\n"


def unready(tag: str) -> list[str]:
    """What keeps this tag from being released, a sentence each."""
    number, sentences = version(), []
    if tag != f"v{number}":
        sentences.append(
            f"the tag is '{tag}', the version in {SOURCE.relative_to(TOP)} is {number}: the tag must be v{number}"
        )
    left = sorted(path.name for path in FRAGMENTS.glob("*.md") if path.name != "README.md")
    if left:
        sentences.append(f"changes/ still has {', '.join(left)}: run 'towncrier build --version {number}'")
    sentences += [f"{path.relative_to(TOP)} names another version: run 'make generate'" for path in stale(number)]
    changelog = CHANGELOG.read_text()
    try:
        notes(changelog, number)
    except ValueError as error:
        sentences.append(str(error))
    if re.search(rf"^## {re.escape(number)} \(unreleased\)", changelog, flags=re.MULTILINE):
        sentences.append(f"CHANGELOG.md calls {number} unreleased: put the date of the release there")
    return sentences


def main(arguments: list[str]) -> int:
    """Exit code 0: nothing had to change, or it is written."""
    if "--print" in arguments:
        print(version())
        return 0
    if "--tag" in arguments:
        sentences = unready(arguments[arguments.index("--tag") + 1])
        print(*sentences, sep="\n", end="\n" if sentences else "", file=sys.stderr)
        return 1 if sentences else 0
    changed = stale(version())
    for path, text in changed.items():
        if "--check" in arguments:
            print(f"{path.relative_to(TOP)} names another version: run 'make generate'", file=sys.stderr)
        else:
            path.write_text(text)
    return 1 if changed and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
