"""Settings and the choice of a backend."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from podtask import BackendNotInstalled, UnknownBackend, backends, settings
from podtask.engine import registry
from podtask.errors import SettingsError

needs_toml = pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib is in the standard library since 3.11")


def project(folder: Path, text: str) -> Path:
    folder.joinpath("pyproject.toml").write_text(text)
    inner = folder / "a" / "b"
    inner.mkdir(parents=True)
    return inner


def test_without_anything_it_is_local_in_the_home_folder(tmp_path: Path) -> None:
    found = settings.load({}, tmp_path)
    assert (found.backend, found.home, found.namespace) == ("local", Path("~/.podtask").expanduser(), None)
    assert found.sources is not None
    assert set(found.sources.values()) == {"default"}


@needs_toml
def test_argument_beats_environment_beats_nearest_file_beats_default(tmp_path: Path) -> None:
    inner = project(tmp_path, '[tool.podtask]\nbackend = "process"\nnamespace = "file"\nstore = "s3://file"\n')
    found = settings.load({"PODTASK_NAMESPACE": "env", "PODTASK_STORE": "s3://env"}, inner, store="s3://argument")
    assert (found.backend, found.namespace, found.store) == ("process", "env", "s3://argument")
    assert found.sources is not None
    assert [found.sources[name] for name in ("backend", "namespace", "store", "s3_endpoint_url")] == [
        str(tmp_path / "pyproject.toml"), "PODTASK_NAMESPACE", "argument", "default",
    ]  # fmt: skip


@needs_toml
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tool.podtask]\nbakend = 'local'\n", "has no setting 'bakend'; the settings are backend"),
        ("[tool.podtask]\nbackend = 1\n", "backend must be text in quotes, not 1"),
        ("[tool.podtask\n", "is not TOML"),
    ],
)
def test_a_mistake_in_the_file_is_said_with_its_path(tmp_path: Path, text: str, said: str) -> None:
    inner = project(tmp_path, text)
    with pytest.raises(SettingsError, match=said) as caught:
        settings.load({}, inner)
    assert str(tmp_path / "pyproject.toml") in str(caught.value)


def test_a_file_without_our_table_is_not_even_parsed(tmp_path: Path) -> None:
    assert settings.load({}, project(tmp_path, "not toml at all [")).backend == "local"


def test_a_table_that_this_python_cannot_read_is_an_error_and_not_ignored(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "tomllib", None)
    monkeypatch.setitem(sys.modules, "tomli", None)
    with pytest.raises(SettingsError, match="pip install tomli"):
        settings.load({}, project(tmp_path, '[tool.podtask]\nbackend = "local"\n'))


def test_an_unknown_backend_is_named_with_the_known_ones(monkeypatch) -> None:
    monkeypatch.setenv("PODTASK_BACKEND", "kubernets")
    with pytest.raises(UnknownBackend, match="no backend 'kubernets'; the known ones are local, process, kubernetes"):
        backends.get()


def test_a_missing_extra_is_a_sentence_with_the_command(monkeypatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name="kubernetes")

    monkeypatch.setattr(registry.importlib, "import_module", missing)
    monkeypatch.setattr(registry, "_instances", {})
    with pytest.raises(BackendNotInstalled, match=r"pip install 'podtask\[kubernetes\]'"):
        backends.get("kubernetes")


def test_there_is_one_instance_per_process_and_settings(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PODTASK_HOME", str(tmp_path))
    first = backends.get("local")
    assert backends.get("local") is first
    monkeypatch.setenv("PODTASK_HOME", str(tmp_path / "other"))
    assert backends.get("local") is not first
