"""What only a folder has to get right: paths, leftovers, other processes, file systems, `file://` grants."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from subprocess import PIPE
from urllib.parse import unquote, urlsplit
from urllib.request import urlopen

import pytest

from podtask.core.storage import StoreError, StoreRefused, StoreUnavailable
from podtask.core.storage.directory import DirectorySigner, DirectoryStore


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


def files(store: DirectoryStore) -> list[str]:
    return sorted(str(path.relative_to(store.root)) for path in store.root.rglob("*"))


def test_opening_a_folder_that_does_not_exist_makes_nothing(tmp_path: Path) -> None:
    assert list(DirectoryStore(tmp_path / "store").list("")) == []
    assert list(tmp_path.iterdir()) == []


def test_an_object_is_a_plain_file_at_its_key(store: DirectoryStore) -> None:
    store.put("ns/runs/u/1/result", b"x")
    assert (store.root / "ns/runs/u/1/result").read_bytes() == b"x"


def test_other_users_cannot_look_inside(store: DirectoryStore) -> None:
    store.put("a/b", b"x")
    assert store.root.stat().st_mode & 0o777 == 0o700


def test_the_last_object_takes_its_folders_along(store: DirectoryStore) -> None:
    store.put("a/b/c", b"x")
    store.put("a/d", b"x")
    store.delete("a/b/c")
    assert files(store) == [".tmp", "a", "a/d"]
    store.delete("a/d")
    assert files(store) == [".tmp"]


def test_unfinished_writes_are_no_objects_and_go_after_a_day(store: DirectoryStore) -> None:
    store.put("a", b"x")
    young, old = store.root / ".tmp/young", store.root / ".tmp/old"
    for path in (young, old):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 90_000,) * 2)
    assert [info.key for info in DirectoryStore(store.root).list("")] == ["a"]
    assert (young.exists(), old.exists()) == (True, False)


def test_the_folder_of_unfinished_writes_is_no_key(store: DirectoryStore) -> None:
    with pytest.raises(ValueError, match="unfinished"):
        store.put(".tmp/x", b"x")


@pytest.mark.parametrize("if_absent", [False, True])
def test_a_failed_write_leaves_nothing_behind(
    store: DirectoryStore, if_absent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    monkeypatch.setattr(os, "link", full)
    with pytest.raises(StoreUnavailable, match=r"'a/b'.*No space left on device; make room") as caught:
        store.put("a/b", b"x", if_absent=if_absent)
    assert (caught.value.code, isinstance(caught.value, StoreRefused)) == ("ENOSPC", False)
    assert list(store.list("")) == []
    assert list((store.root / ".tmp").iterdir()) == []


def test_a_file_system_without_hard_links_is_named(store: DirectoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(StoreRefused, match="hard links"):
        store.put("a", b"x", if_absent=True)


@pytest.mark.parametrize(("first", "second"), [("a", "a/b"), ("a/b", "a")])
@pytest.mark.parametrize("if_absent", [False, True])
def test_a_key_that_is_a_folder_of_another_is_refused(
    store: DirectoryStore, first: str, second: str, if_absent: bool
) -> None:
    store.put(first, b"x")
    with pytest.raises(StoreError, match="one key is a folder of another"):
        store.put(second, b"y", if_absent=if_absent)
    assert store.get(first) == b"x"


def test_a_file_written_by_others_has_the_etag_of_its_content(store: DirectoryStore) -> None:
    etag = store.put("a", b"x")
    (store.root / "b").write_bytes(b"x")
    assert [info.etag for info in store.list("")] == [etag, etag]


def test_a_file_changed_in_place_has_another_etag(store: DirectoryStore) -> None:
    etag = store.put("a", b"aaa")
    (store.root / "a").write_bytes(b"bbb")
    os.utime(store.root / "a", ns=(1, 1))
    info = store.head("a")
    assert info is not None
    assert info.etag != etag


def test_etags_are_the_same_on_a_file_system_without_attributes(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    etag = store.put("a", b"x")

    def refuse(*args: object) -> bytes:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(os, "setxattr", refuse)
    monkeypatch.setattr(os, "getxattr", refuse)
    assert store.put("b", b"x") == etag
    assert [info.etag for info in store.list("")] == [etag, etag]


RACE = """
import sys
from podtask.core.storage import AlreadyStored
from podtask.core.storage.directory import DirectoryStore
store, name = DirectoryStore(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
for number in range(200):
    try:
        store.put(f"race/{number}/object", name.encode() * 1000, if_absent=True)
        print(number)
    except AlreadyStored:
        pass
    store.put(f"churn/{number}", b"x")
    store.delete(f"churn/{number}")  # takes the folder along, from under the others
"""


def test_of_many_processes_exactly_one_writes_a_key_and_removed_folders_do_no_harm(store: DirectoryStore) -> None:
    command = [sys.executable, "-c", RACE, str(store.root)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    won: dict[str, str] = {}
    with ExitStack() as stack:
        processes = {
            name: stack.enter_context(
                subprocess.Popen([*command, name], stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True, env=environment)
            )
            for name in ("a", "b", "c", "d")
        }
        for process in processes.values():
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes.values():
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for name, process in processes.items():
            output, errors = process.communicate(timeout=60)
            assert (process.returncode, errors) == (0, "")
            for number in output.split():
                assert won.setdefault(number, name) == name
    assert len(won) == 200
    for number, name in won.items():
        assert store.get(f"race/{number}/object") == name.encode() * 1000
    assert {path.name for path in store.root.iterdir()} == {".tmp", "race"}


def test_a_grant_to_read_is_a_file_url(store: DirectoryStore) -> None:
    store.put("ns/with space/ü", b"x")
    with urlopen(DirectorySigner(store.root).sign_get("ns/with space/ü", 60)) as answer:
        assert answer.read() == b"x"


def test_a_grant_to_write_is_a_file_url_without_headers_in_an_existing_folder(store: DirectoryStore) -> None:
    put = DirectorySigner(store.root).sign_put("ns/runs/u/1/result", 60)
    assert put.headers == {}
    Path(unquote(urlsplit(put.url).path)).write_bytes(b"x")
    assert store.get("ns/runs/u/1/result") == b"x"


def test_a_grant_for_log_chunks_is_the_root_and_a_prefix(store: DirectoryStore) -> None:
    post = DirectorySigner(store.root).sign_post("ns/runs/u/1/log/", 1000, 60)
    (Path(unquote(urlsplit(post.url).path)) / (post.prefix + "000001")).write_bytes(b"x")
    assert store.get("ns/runs/u/1/log/000001") == b"x"
    assert (post.max_bytes, post.fields) == (1000, {})


def test_nothing_outside_of_the_folder_is_granted(store: DirectoryStore) -> None:
    signer = DirectorySigner(store.root)
    for sign in (signer.sign_get, signer.sign_put):
        with pytest.raises(ValueError, match="not an object key"):
            sign("../../etc/passwd", 60)
    with pytest.raises(ValueError, match="not an object key"):
        signer.sign_post("../", 1, 60)
    with pytest.raises(ValueError, match="opens the whole store"):
        signer.sign_post("", 1, 60)
