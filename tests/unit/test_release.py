"""The files of a release: one version everywhere, the same bytes each time, and damage is found."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from dev.docs.paths import TOP
from dev.release import __main__ as release
from dev.release import images, krew, manifests, verify
from dev.release import version as versions
from dev.release.tools import CHART, Failed
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager
from tests.unit.chart_kit import helm

from podtask import __version__

EPOCH = 1_700_000_000
NEXT = "9.8.7"


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release") / "dist"
    release.build(folder, EPOCH)
    return folder


@pytest.fixture
def copy(dist: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(dist, tmp_path / "dist"))


def test_the_version_stands_in_one_place_and_everything_follows() -> None:
    assert versions.version() == __version__
    assert ProjectMetadata(str(TOP), PluginManager()).version == __version__
    assert [str(path.relative_to(TOP)) for path in versions.stale(__version__)] == [], "run 'make generate'"


def test_another_version_reaches_chart_images_and_pages() -> None:
    changed = {path.relative_to(TOP).as_posix(): text for path, text in versions.stale(NEXT).items()}
    assert {"charts/podtask/Chart.yaml", "charts/podtask/values.yaml", "examples/cron.yaml"} <= set(changed)
    chart = yaml.safe_load(changed["charts/podtask/Chart.yaml"])
    images = yaml.safe_load(changed["charts/podtask/values.yaml"])["runner"]["images"]
    assert (chart["version"], chart["appVersion"]) == (NEXT, NEXT)
    assert images == {minor: f"podtask/runner:{NEXT}-py{minor}" for minor in ("3.10", "3.11", "3.12", "3.13")}
    assert {each["image"] for each in yaml.safe_load(chart["annotations"]["artifacthub.io/images"])} == {
        f"podtask/operator:{NEXT}",
        *images.values(),
    }
    assert [path for path, text in changed.items() if f":{__version__}" in text or f"=={__version__}" in text] == []


def test_versions_of_others_stay() -> None:
    text = (
        "pip install podtask==0.1.0 mypodtask==0.1.0 torch==0.1.0; mypodtask/runner:0.1.0 podtask/runner:0.1.0-py3.11"
    )
    assert versions.with_version(text, NEXT) == (
        "pip install podtask==9.8.7 mypodtask==0.1.0 torch==0.1.0; mypodtask/runner:0.1.0 podtask/runner:9.8.7-py3.11"
    )
    assert versions.with_version("version: 0.1.0\n  version: 0.1.0\n", NEXT, chart=True) == (
        "version: 9.8.7\n  version: 0.1.0\n"
    )


@pytest.mark.parametrize("number", ["1.2", "1.2.3rc1", "1.2.3-rc.1", "v1.2.3"])
def test_a_version_that_python_and_helm_spell_differently_is_refused(
    number: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "SOURCE", tmp_path / "__init__.py")
    monkeypatch.setattr(versions, "TOP", tmp_path)
    (tmp_path / "__init__.py").write_text(f'__version__ = "{number}"\n')
    with pytest.raises(ValueError, match="three numbers"):
        versions.version()


def test_the_notes_are_the_section_of_the_version_and_no_other() -> None:
    changelog = "# Changelog\n\n## 0.10.0\n\n- ten\n\n## 0.1.0 (2026-01-02)\n\n### Added\n- one\n\n## 0.0.9\n"
    assert versions.notes(changelog, "0.1.0") == "### Added\n- one\n"
    assert versions.notes(changelog, "0.10.0") == "- ten\n"
    for number in ("0.0.9", "0.2.0", "0.1.1"):
        with pytest.raises(ValueError, match=f"no section '## {number}'"):
            versions.notes(changelog, number)


def test_a_tag_is_released_only_with_its_changelog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "CHANGELOG", tmp_path / "CHANGELOG.md")
    monkeypatch.setattr(versions, "FRAGMENTS", tmp_path)
    versions.CHANGELOG.write_text(f"## {__version__} (2026-01-02)\n\n- one\n")
    versions.CHANGELOG.rename(tmp_path / "log")  # a fragment is any .md of the folder
    monkeypatch.setattr(versions, "CHANGELOG", tmp_path / "log")
    assert versions.unready(f"v{__version__}") == []
    (tmp_path / "12.fixed.md").write_text("x")
    (tmp_path / "log").write_text(f"## {__version__} (unreleased)\n\n- one\n")
    wrong, fragments, unreleased = versions.unready("v0.0.1")
    assert f"the tag must be v{__version__}" in wrong
    assert "12.fixed.md" in fragments
    assert "unreleased" in unreleased


def test_a_release_is_built_twice_to_the_same_bytes(dist: Path, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        release.build(tmp_path / "again", EPOCH)
    finally:
        os.umask(before)
    first, second = (
        {path.name: path.read_bytes() for path in folder.iterdir()} for folder in (dist, tmp_path / "again")
    )
    assert set(first) == {
        f"podtask-{__version__}-py3-none-any.whl",
        f"podtask-{__version__}.tar.gz",
        f"podtask-{__version__}.tgz",
        "crds.yaml",
        "install.yaml",
        "kubectl-podtask.tar.gz",
        "krew-podtask.yaml",
        "podtask-operator.cdx.json",
        "podtask-runner.cdx.json",
        "RELEASE-NOTES.md",
        "SHA256SUMS",
    }
    assert [name for name in first if first[name] != second.get(name)] == []


def test_the_time_of_the_commit_is_the_default_and_without_one_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "12")
    assert release.epoch_of_commit() == 12
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    monkeypatch.setenv("GIT_DIR", "/dev/null")
    with pytest.raises(Failed, match="set SOURCE_DATE_EPOCH"):
        release.epoch_of_commit()


def test_the_files_of_a_build_verify(dist: Path) -> None:
    for check in verify.CHECKS:
        if check is not verify.wheel:  # needs an index; `make verify-dist` does it
            check(dist)


def append(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        with (folder / name).open("ab") as file:
            file.write(b"\n")

    return damage


def more_memory(folder: Path) -> None:
    """A chart that renders otherwise than the repository's."""
    source = folder / "podtask"
    shutil.copytree(CHART, source)
    deployment = source / "templates" / "deployment.yaml"
    deployment.write_text(deployment.read_text() + "# changed\n")
    subprocess.run([helm(), "package", source, "--destination", folder], check=True, capture_output=True)


def other_image(folder: Path) -> None:
    path = folder / "install.yaml"
    path.write_text(path.read_text().replace(f"podtask/operator:{__version__}", "podtask/operator:0.0.1"))


def one_component_less(folder: Path) -> None:
    path = folder / "podtask-operator.cdx.json"
    bill = json.loads(path.read_text())
    bill["components"] = [each for each in bill["components"] if each["name"] != "kopf"]
    path.write_text(json.dumps(bill))


@pytest.mark.parametrize(
    ("check", "damage", "sentence"),
    [
        (verify.sums, append("crds.yaml"), "crds.yaml: SHA256SUMS says"),
        (verify.sums, lambda folder: (folder / "extra").write_text(""), "extra: SHA256SUMS says nothing"),
        (verify.sums, lambda folder: (folder / "crds.yaml").unlink(), "the file has no bytes"),
        (verify.documents, other_image, "install.yaml runs podtask/operator:0.0.1"),
        (verify.documents, lambda folder: (folder / "crds.yaml").write_text("{}"), "crds.yaml is not the CRD"),
        (verify.bills, one_component_less, "podtask-operator.cdx.json lacks kopf=="),
        (verify.plugin, append("kubectl-podtask.tar.gz"), "has another digest than kubectl-podtask.tar.gz"),
        (verify.chart, more_memory, "renders cluster-values.yaml otherwise"),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", None),
)
def test_damage_is_found(
    check: Callable[[Path], None], damage: Callable[[Path], object], sentence: str, copy: Path
) -> None:
    damage(copy)
    with pytest.raises(Failed, match=sentence):
        check(copy)


def test_a_folder_without_a_release_is_told_how_to_make_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main([str(tmp_path)]) == 2
    assert "run 'make dist'" in capsys.readouterr().err


def test_install_yaml_holds_no_test_and_says_what_to_replace(dist: Path) -> None:
    text = (dist / "install.yaml").read_text()
    objects = [each for each in yaml.safe_load_all(text) if each]
    assert "Pod" not in {each["kind"] for each in objects}
    assert [each for each in objects if "helm.sh/hook" in each["metadata"].get("annotations", {})] == []
    head = manifests.INSTALL_HEAD.format(version=__version__, namespace=manifests.NAMESPACE)
    assert text.startswith(head)
    body = text.removeprefix(head)
    assert [value for value in ("my-bucket", "https://s3.example.com", "us-east-1") if value not in body] == []


def test_a_bill_of_materials_says_where_each_package_comes_from(dist: Path) -> None:
    bill = json.loads((dist / "podtask-runner.cdx.json").read_text())
    assert (bill["bomFormat"], bill["specVersion"], bill["metadata"]["component"]["type"]) == (
        "CycloneDX",
        "1.6",
        "container",
    )
    urls = {each["purl"] for each in bill["components"]}
    assert f"pkg:pypi/podtask@{__version__}" in urls
    assert [url for url in urls if url.startswith("pkg:pypi/cloudpickle@")]


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("podtask", "list -n x"),
        ("uvx", f"--quiet --from podtask[cli]=={__version__} podtask list -n x"),
        ("pipx", f"run --spec podtask[cli]=={__version__} podtask list -n x"),
    ],
)
def test_the_plugin_runs_podtask_by_what_there_is(tool: str, arguments: str, dist: Path, tmp_path: Path) -> None:
    shutil.unpack_archive(dist / krew.ARCHIVE, tmp_path, filter="data")
    there = tmp_path / "bin"
    there.mkdir()
    (there / tool).write_text(f'#!/bin/sh\necho {tool} "$@"\n')
    (there / tool).chmod(0o755)
    command = ["/bin/sh", tmp_path / "kubectl-podtask", "list", "-n", "x"]
    done = subprocess.run(command, env={"PATH": str(there)}, capture_output=True, text=True, check=True)
    assert done.stdout == f"{tool} {arguments}\n"


def test_the_plugin_says_what_to_install(dist: Path, tmp_path: Path) -> None:
    shutil.unpack_archive(dist / krew.ARCHIVE, tmp_path, filter="data")
    command = ["/bin/sh", tmp_path / "kubectl-podtask"]
    done = subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"pip install 'podtask[cli]=={__version__}'" in done.stderr


def oci_archive(path: Path, reference: str) -> None:
    index = json.dumps({"manifests": [{"annotations": {"org.opencontainers.image.ref.name": reference}}]}).encode()
    with tarfile.open(path, "w") as tar:
        entry = tarfile.TarInfo("index.json")
        entry.size = len(index)
        tar.addfile(entry, io.BytesIO(index))


def test_images_are_all_there_or_none_and_each_has_the_name_that_the_chart_asks_for(copy: Path) -> None:
    verify.archives(copy)
    for name in images.names(__version__):
        image, _, tag = name.removeprefix("podtask-").removesuffix(".oci.tar").partition("-")
        oci_archive(copy / name, f"docker.io/podtask/{image}:{tag}")
    verify.archives(copy)
    asked = yaml.safe_load((CHART / "values.yaml").read_text())["runner"]["images"]
    assert set(asked) == set(images.MINORS)
    runner = images.names(__version__)[-1]
    oci_archive(copy / runner, "docker.io/podtask/runner:latest")
    with pytest.raises(Failed, match=f"{re.escape(runner)} holds .*latest"):
        verify.archives(copy)
    (copy / runner).unlink()
    with pytest.raises(Failed, match="the images are"):
        verify.archives(copy)
