"""`podtask version` and `podtask completion`."""

from __future__ import annotations

import platform

import pytest
from tests.unit.sdk.cli.conftest import Terminal

from podtask import __version__

OURS = f"podtask {__version__} (Python {platform.python_version()}, podtask.dev/v1alpha1)\n"


def test_the_versions_of_both_sides(podtask: Terminal) -> None:
    assert podtask("version --client").out == OURS
    assert podtask.cluster.asked == []
    said = podtask("version").out
    assert said.startswith(f"{OURS}operator: not known, http://127.0.0.1:")
    published = {"version": "0.1.0", "pythons": "3.11,3.12"}
    podtask.cluster.config_maps["team", "podtask-client"] = {"data": published}
    assert podtask("version").out.startswith(f"{OURS}operator 0.1.0 (runs Python 3.11,3.12; http://127.0.0.1:")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_names_the_command(podtask: Terminal, shell: str) -> None:
    said = podtask(f"completion {shell}")
    assert said.status == 0
    assert said.out.startswith("# ")
    assert "_PODTASK_COMPLETE" in said.out


def test_completion_knows_commands_and_options(podtask: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    def completed(words: str, at: int) -> list[str]:
        monkeypatch.setenv("_PODTASK_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(at))
        return [line.partition(",")[2] for line in podtask("").out.splitlines()]

    assert completed("podtask de", 1) == ["describe", "delete"]
    assert completed("podtask list --no", 2) == ["--no-headers"]
