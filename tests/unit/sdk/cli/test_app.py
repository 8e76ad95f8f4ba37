"""The command itself: help without imports, mistakes, exit statuses, what is said when things go wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module

import click
import pytest
import yaml
from tests.unit.sdk.cli.apiserver import Refuse
from tests.unit.sdk.cli.conftest import Terminal
from tests.unit.sdk.cli.runs import run

from podtask.cli.app import COMMANDS

HEAVY = {"kubernetes", "boto3", "botocore", "pydantic", "rich", "yaml", "podtask.kube.client"}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_of_a_command_what_it_says_itself(name: str, podtask: Terminal) -> None:
    where, sentence = COMMANDS[name]
    module, _, function = where.partition(":")
    command: click.Command = getattr(import_module(f"podtask.cli.{module}"), function)
    assert (command.name, (command.help or "").splitlines()[0]) == (name, sentence)
    said = podtask(f"{name} --help")
    assert (said.status, said.out.startswith(f"Usage: podtask {name}")) == (0, True)


def test_help_loads_no_client() -> None:
    code = "import sys; from podtask.cli import app; app.main(['--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        line = [sys.executable, "-m", "podtask.cli", "list", "--help"]
        done = subprocess.run(line, stdout=writer, stderr=subprocess.PIPE, check=False)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_where_the_locale_is_not_utf_8_pages_are_shown_and_data_is_whole(podtask: Terminal, encoding: str) -> None:
    podtask.cluster.add(run("load", "Completed", spec={"task": {"name": "héllo ☃ 😀", "source": "x\n# ☃\n"}}))

    def said(*line: str) -> str:
        env = {**os.environ, "PYTHONIOENCODING": encoding}
        done = subprocess.run([sys.executable, "-m", "podtask.cli", *line], capture_output=True, check=True, env=env)
        return done.stdout.decode(encoding)

    assert "\nState:       Completed\n" in said("describe", "load")
    assert "\\u2603" in said("list", "-o", "wide")
    whole = podtask.cluster.runs["team", "load"]["spec"]
    assert json.loads(said("list", "load", "-o", "json"))["spec"] == whole
    assert yaml.safe_load(said("list", "load", "-o", "yaml"))["spec"] == whole


def test_as_a_plugin_of_kubectl_it_calls_itself_so(podtask: Terminal) -> None:
    assert podtask("--help", "/usr/bin/kubectl-podtask").out.startswith("Usage: kubectl podtask [OPTIONS]")


@pytest.mark.parametrize(
    ("line", "sentence"),
    {
        "a command that is nearly one": ("lst", "There is no command 'lst'. Did you mean 'list'?"),
        "a command that is none": ("xyz", "There is no command 'xyz'. 'podtask --help' lists them."),
        "an option that is none": ("list --frobnicate", "No such option"),
        "a duration that is none": ("list --since soon", "'soon' is no duration; write 30s, 10m, 2h or 1d."),
        "a state that is none": (
            "list --state sleeping",
            "There is no state 'sleeping'; the states are Pending, Running",
        ),
        "two wishes at once": ("list -w -o json", "--watch prints lines of a table; it cannot be -o json."),
    }.values(),
)
def test_a_wrong_command_line(podtask: Terminal, line: str, sentence: str) -> None:
    said = podtask(line)
    assert (said.status, said.out) == (2, "")
    assert sentence in said.err


def test_a_cluster_that_is_not_there(podtask: Terminal) -> None:
    path = podtask.file("no-kubeconfig", "")
    said = podtask(f"list --kubeconfig {path}")
    assert said.status == 1
    assert said.err.startswith(f"podtask: There is no usable kube config ({path}): ")
    said = podtask("list --context there")
    assert "there is no context 'there'" in said.err or "there" in said.err


def test_who_may_not_is_told_how_to_be_allowed_and_debug_shows_where(podtask: Terminal) -> None:
    no = 'taskruns.podtask.dev is forbidden: User "ada" cannot list resource "taskruns" in API group "podtask.dev"'
    podtask.cluster.refuse["list taskruns"] = Refuse(403, "Forbidden", no)
    said = podtask("list")
    assert said.status == 1
    assert said.err.startswith(
        "podtask: 'ada' may not list taskruns in namespace 'team'. An administrator can allow it"
    )
    for line in ("--debug list", "list --debug"):
        assert podtask(line).err.startswith("Traceback (most recent call last):\n")


def test_what_nobody_foresaw_is_a_sentence_too(podtask: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    podtask.cluster.add(run("x", "Completed"))
    monkeypatch.setattr("podtask.cli.commands.describe.text", lambda page: 1 / 0)
    said = podtask("describe x")
    sentence = "podtask: ZeroDivisionError: division by zero. This was not foreseen; --debug shows where it happened.\n"
    assert (said.status, said.err) == (1, sentence)


def test_a_namespace_is_chosen_by_option_then_variable_then_context(
    podtask: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    for where in ("team", "other", "third"):
        podtask.cluster.add(run(f"in-{where}", "Completed", namespace=where))
    assert podtask("list -o name").out == "taskrun.podtask.dev/in-team\n"
    monkeypatch.setenv("PODTASK_NAMESPACE", "other")
    assert podtask("list -o name").out == "taskrun.podtask.dev/in-other\n"
    assert podtask("list -o name -n third").out == "taskrun.podtask.dev/in-third\n"
