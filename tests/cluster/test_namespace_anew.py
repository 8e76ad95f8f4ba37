"""A namespace that is deleted and made anew under the same name has nothing of the cache of the one before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cluster.kit import namespace, task_run
from tests.cluster.operator_process import Operator, without_installed

from podtask.core.storage import Store

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

NAME = "podtask-made-anew"
VALUE = "def main():\n    return 1\n"
CACHE = {"key": "predictable"}


def test_a_namespace_made_anew_begins_with_an_empty_cache(store: Store, tmp_path: Path) -> None:
    with without_installed():
        operator = Operator(tmp_path, NAME)
        try:
            with namespace(NAME) as first:
                first.apply(task_run("first", VALUE, cache=CACHE))
                assert first.finished("first")["status"]["state"] == "Completed"
                first.apply(task_run("hit", VALUE, cache=CACHE))
                assert first.finished("hit")["status"]["state"] == "Cached"
                entry = first.bucket.cache("predictable")
                assert store.head(entry) is not None
                assert json.loads(store.get(first.bucket.owner))["namespaceUID"] == first.bucket.namespace_uid
            with namespace(NAME, empty=False) as anew:
                anew.apply(task_run("anew", VALUE, cache=CACHE))
                status = anew.finished("anew")["status"]
                assert (status["state"], status["cache"]["outcome"]) == ("Completed", "Miss")
                assert store.head(entry) is not None, "it is still there, and nobody's"
                assert anew.bucket.namespace_uid != first.bucket.namespace_uid
                assert json.loads(store.get(anew.bucket.owner))["namespaceUID"] == anew.bucket.namespace_uid
        finally:
            operator.end()
