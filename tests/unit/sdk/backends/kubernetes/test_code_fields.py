"""How a project gets to the cluster: once into the bucket, named by every TaskRun; what it lacks is named before."""

from __future__ import annotations

import importlib
import json
import sys
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import pytest
from tests.support.travel import written
from tests.unit.sdk.backends.kubernetes.harness import FakeCluster, run_of

from podtask import Task, task_input_hash
from podtask.backends.kubernetes.backend import KubernetesBackend
from podtask.backends.kubernetes.module_check import CompiledModule, ModuleMissing
from podtask.core.api.runner_image import PUBLISHED
from podtask.core.gc import Marks
from podtask.core.storage.memory import MemoryStore
from podtask.kube.bucket_access import SMALL, NoBucket
from podtask.payloads.arguments import bind, prepare
from podtask.payloads.module_policy import is_own, policy_of
from podtask.payloads.project.snapshot import Snapshot
from podtask_runner.bundle import archive
from podtask_runner.hashing import code
from podtask_runner.names import INLINE_LIMIT

LINES = 1500
"""Of one module: about 60 KB, which do not shrink to nothing."""
Import = Callable[..., Any]
PUTS: list[str] = []
"""Keys of uploads."""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Import]:
    """Write modules, import the first one."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def imported(files: dict[str, str]) -> Any:
        written(tmp_path, files)
        importlib.invalidate_caches()
        return importlib.import_module(next(iter(files)).removesuffix(".py").removesuffix("/__init__"))

    yield imported
    for name, module in list(sys.modules.items()):
        if name == "comp._fast" or str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
    is_own.cache_clear()


@pytest.fixture
def store(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    """A bucket that the cluster publishes, and that can be used from here."""
    made = MemoryStore(fault=lambda verb, key, when: PUTS.append(key) if (verb, when) == ("put", "after") else None)
    PUTS.clear()
    monkeypatch.setattr("podtask.core.storage.open_store", lambda *_, **__: made)
    cluster.published["team"] = {"bucket": "data", PUBLISHED: "numpy"}
    return made


def large(name: str = "x") -> str:
    body = "\n".join(
        f"    {name}{n} = '{hash((n, name)) & 0xFFFFFFFF:x} {hash(n * 7919) & 0xFFFF:x}'" for n in range(LINES)
    )
    return f"def work(x=0):\n{body}\n    return x\n"


def call(backend: KubernetesBackend, fn: Any, *args: Any, number: str = "0", **options: Any) -> None:
    task = Task(fn, exclude=["tests"], **options)
    run = run_of(task, *args, backend=backend, number=number)
    run.inputs = prepare(task.name, bind(task.signature, args, {}), lambda _: None, policy_of(task).packing())
    backend.submit(run)


def task_of(cluster: FakeCluster, at: int = -1) -> dict[str, Any]:
    found: dict[str, Any] = cluster.posted[at]["spec"]["task"]
    return found


class TestWithBucket:
    def test_the_project_is_uploaded_once_and_a_taskrun_stays_small(
        self, backend: KubernetesBackend, cluster: FakeCluster, store: MemoryStore, project: Import
    ) -> None:
        found = project({"large_a.py": large() + "\nimport large_b\n", "large_b.py": large("y")})
        for number in range(20):
            call(backend, found.work, number, number=str(number))
        sizes = {len(json.dumps(body)) for body in cluster.posted}
        assert max(sizes) < 4096
        bundles = {json.dumps(body["spec"]["task"]["bundle"]) for body in cluster.posted}
        assert len(bundles) == 1
        digest = task_of(cluster)["bundle"]["digest"]
        stored = store.get(f"team/blobs/{digest}")
        assert len(stored) == task_of(cluster)["bundle"]["size"]
        assert {"large_a", "large_b"} <= set(archive.read(stored).modules)
        assert [f"team/blobs/{digest}"] == PUTS

    def test_the_sweep_keeps_it_as_long_as_a_taskrun_names_it(
        self, backend: KubernetesBackend, cluster: FakeCluster, store: MemoryStore, project: Import
    ) -> None:
        call(backend, project({"large_a.py": large()}).work)
        marks = Marks()
        marks.add_run(cluster.posted[0])
        assert task_of(cluster)["bundle"]["digest"] in marks.digests

    def test_tasks_and_arguments_of_one_project_name_the_same_bundle(
        self, backend: KubernetesBackend, cluster: FakeCluster, store: MemoryStore, project: Import
    ) -> None:
        found = project({"large_a.py": large() + "def other(x): return x\nclass Row: pass\n"})
        call(backend, found.work)
        call(backend, found.other, found.Row(), number="1")
        assert task_of(cluster, 0)["bundle"] == task_of(cluster, 1)["bundle"]

    def test_settings_that_were_changed_travel_beside_it(
        self, backend: KubernetesBackend, cluster: FakeCluster, store: MemoryStore, project: Import
    ) -> None:
        found = project({"conf_a.py": "RATE = 0.1\ndef work(): return RATE\n"})
        call(backend, found.work)
        found.RATE = 0.5
        call(backend, found.work, number="1")
        assert "overlay" not in task_of(cluster, 0)
        assert b64decode(task_of(cluster, 1)["overlay"]["inline"])
        assert task_of(cluster, 0)["bundle"] == task_of(cluster, 1)["bundle"]

    @pytest.mark.parametrize("kilobytes", [3, 40])
    def test_code_of_a_script_is_stored_once_when_many_calls_carry_it(
        self, backend: KubernetesBackend, cluster: FakeCluster, store: MemoryStore, kilobytes: int
    ) -> None:
        text = "".join(f"{n:x} " for n in range(kilobytes * 200))[: kilobytes * 1024]
        of_the_script: dict[str, Any] = {"__name__": "nowhere"}
        exec(f"def work(x):\n    return {text!r}, x", of_the_script)
        for number in range(40):
            call(backend, of_the_script["work"], number, number=str(number))
        codes = [body["spec"]["task"]["code"] for body in cluster.posted]
        inline = [code for code in codes if "inline" in code]
        assert 0 < sum(len(b64decode(code["inline"])) for code in inline) <= INLINE_LIMIT
        assert codes == inline + codes[-1:] * (40 - len(inline))
        assert len(json.dumps(cluster.posted[-1])) < 4096
        # A global that another test has changed travels, too: that is one more, once.
        key = f"team/blobs/{codes[-1]['digest']}"
        assert PUTS.count(key) == 1
        assert len(PUTS) == len(set(PUTS)) <= 2
        assert store.get(key) == b64decode(codes[0]["inline"])

    def test_what_is_deep_inside_of_a_change_travels_as_it_is_now(
        self, backend: KubernetesBackend, cluster: FakeCluster, store: MemoryStore, project: Import
    ) -> None:
        found = project({"conf_a.py": "ITEMS = []\nclass Item: rate = 1\ndef work(): return ITEMS[0].rate\n"})
        found.ITEMS.append(found.Item())
        overlays = []
        for number in range(3):
            call(backend, found.work, number=str(number))
            overlays.append(task_of(cluster)["overlay"]["inline"])
            if number == 1:
                found.ITEMS[0].rate = 2
        assert overlays[0] == overlays[1] != overlays[2]

    def test_the_functions_of_a_project_are_walked_once_for_ten_calls_as_for_a_hundred(
        self,
        backend: KubernetesBackend,
        cluster: FakeCluster,
        store: MemoryStore,
        project: Import,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        helpers = "".join(f"def f{n}(x): return x + RATE\n" for n in range(50))
        uses = " + ".join(f"f{n}(x)" for n in range(50))
        found = project({"wide_a.py": f"RATE = 1\n{helpers}def work(x): return {uses}\n"})
        parts, compare = code.function_parts, Snapshot.changes
        counts: Counter[str] = Counter()
        monkeypatch.setattr(code, "function_parts", lambda fn: counts.update(["walked"]) or parts(fn))
        monkeypatch.setattr(Snapshot, "changes", lambda *of: counts.update(["compared"]) or compare(*of))
        task = Task(found.work, exclude=["tests"], cache_key_fn=task_input_hash)
        for at, calls in enumerate((10, 100)):
            counts.clear()
            found.RATE = 1 + at
            for number in range(calls):
                changed = task.with_options(tags=[str(number)])
                backend.submit(run_of(changed, number, backend=backend, number=f"{at}-{number}"))
            assert counts["walked"] == 51
            assert counts["compared"] < 20
        digests = {body["spec"]["client"]["callDigest"] for body in cluster.posted}
        codes = {body["spec"]["cache"]["components"]["code"] for body in cluster.posted}
        assert not any("overlay" in body["spec"]["task"] for body in cluster.posted[:10]), "nothing was changed"
        assert (len(digests), len(codes)) == (110, 2)


class TestWithoutBucket:
    def test_code_of_a_script_stays_inside(self, backend: KubernetesBackend, cluster: FakeCluster) -> None:
        of_the_script: dict[str, Any] = {"__name__": "nowhere"}
        exec(f"def work(x):\n    return {'x' * 30_000!r}, x", of_the_script)
        for number in range(5):
            call(backend, of_the_script["work"], number, number=str(number))
        assert len({task_of(cluster, at)["code"]["inline"] for at in range(5)}) == 1

    def test_a_small_project_travels_inside(
        self, backend: KubernetesBackend, cluster: FakeCluster, project: Import
    ) -> None:
        call(backend, project({"small_a.py": "def work(): return 1\n"}).work)
        assert "small_a" in archive.read(b64decode(task_of(cluster)["bundle"]["inline"])).modules

    def test_of_a_larger_one_what_the_call_reaches(
        self, backend: KubernetesBackend, cluster: FakeCluster, project: Import, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("podtask.kube.bucket_access.INLINE_LIMIT", 4 * SMALL)
        monkeypatch.setattr("podtask.backends.kubernetes.code_fields.INLINE_LIMIT", 4 * SMALL)
        found = project(
            {"small_a.py": "import small_b\ndef work(): return 1\n", "small_b.py": "", "large_c.py": large()}
        )
        importlib.import_module("large_c")
        call(backend, found.work)
        assert set(archive.read(b64decode(task_of(cluster)["bundle"]["inline"])).modules) == {"small_a", "small_b"}

    def test_what_does_not_fit_names_the_setting(
        self, backend: KubernetesBackend, project: Import, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("podtask.kube.bucket_access.INLINE_LIMIT", 4 * SMALL)
        monkeypatch.setattr("podtask.backends.kubernetes.code_fields.INLINE_LIMIT", 4 * SMALL)
        found = project({"large_a.py": large()})
        with pytest.raises(NoBucket, match=r"The project that task 'work' belongs to.*PODTASK_STORE"):
            call(backend, found.work)


class TestMissing:
    @pytest.fixture(autouse=True)
    def known(self, cluster: FakeCluster) -> None:
        """What the image has is published."""
        cluster.published["team"] = {PUBLISHED: "numpy"}

    def test_a_module_that_a_module_needs_is_named_before_anything_is_submitted(
        self, backend: KubernetesBackend, cluster: FakeCluster, project: Import
    ) -> None:
        found = project({"needs_a.py": "import needs_b\ndef work(): return 1\n", "needs_b.py": "import moto\n"})
        with pytest.raises(ModuleMissing, match="'moto'"):
            call(backend, found.work)
        assert cluster.posted == []

    @pytest.mark.parametrize(
        "guard",
        [
            "try:\n    import moto\nexcept ImportError:\n    moto = None\n",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import moto\n",
            "if __name__ == '__main__':\n    import moto\n",
            "def later():\n    import moto\n",
        ],
        ids=["try", "types", "main", "function"],
    )
    def test_one_that_it_can_do_without_is_not(
        self, backend: KubernetesBackend, cluster: FakeCluster, project: Import, guard: str
    ) -> None:
        call(backend, project({"guarded_a.py": guard + "def work(): return 1\n"}).work)
        assert len(cluster.posted) == 1

    def test_nor_one_of_modules_that_the_call_does_not_reach(
        self, backend: KubernetesBackend, cluster: FakeCluster, project: Import
    ) -> None:
        found = project({"apart_a.py": "def work(): return 1\n", "apart_b.py": "import moto\n"})
        importlib.import_module("apart_b")
        call(backend, found.work)
        assert len(cluster.posted) == 1

    def test_a_compiled_module_of_the_project_is_named_with_the_cure(
        self, backend: KubernetesBackend, cluster: FakeCluster, project: Import, tmp_path: Path
    ) -> None:
        files = {
            "comp/__init__.py": "",
            "comp/work.py": "try:\n    from comp import _fast\nexcept ImportError:\n    pass\n",
        }
        files["comp/work.py"] += "def work(): return 1\n"
        project(files)
        (tmp_path / "comp" / f"_fast{EXTENSION_SUFFIXES[0]}").write_bytes(b"")
        work = importlib.import_module("comp.work")
        call(backend, work.work)
        needs = "from comp import _fast\ndef work(): return 1\n"
        written(tmp_path, {"comp/needs.py": needs})
        sys.modules["comp._fast"] = type(sys)("comp._fast")
        importlib.invalidate_caches()
        with pytest.raises(CompiledModule, match=r"'comp._fast'.*_fast.*exclude=\['comp._fast'\]"):
            call(backend, importlib.import_module("comp.needs").work, number="1")
        assert len(cluster.posted) == 1
