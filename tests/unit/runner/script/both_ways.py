"""Definitions of a script travel to another process and back; what went wrong is printed, by case.

The script is the driver; it starts itself again as `script.py pod FROM TO` for the other side, which has an empty
`__main__`. A case is a value and a question about it that is answered with True here, there (the question travels as
well), and of what came back. Used by the scripts beside this module.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from podtask_runner.script import main_module
from podtask_runner.serialization import pickling

Cases = dict[str, tuple[Any, Any]]


def main(cases: Cases, noted: Callable[[], Any], once: Collection[str] = ()) -> None:
    """What the script does when it is run. `noted`: what hooks have noted; `once`: what the question changes."""
    if sys.argv[1] == "pod":
        pod(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        print(json.dumps(driver(Path(sys.argv[1]), cases, noted, once)))


def pod(source: Path, target: Path) -> None:
    main_module.adopt()
    wrong, back = {}, {}
    for name, payload in pickle.loads(source.read_bytes()).items():
        try:
            value, question = pickling.loads(payload)
            if question(value) is not True:
                wrong[name] = "the answer there is no"
            back[name] = pickling.dumps(value)
            if not callable(value) and "tuple" not in str(type(value)):
                pickle.loads(pickle.dumps(value))
        except BaseException:  # noqa: BLE001
            wrong[name] = traceback.format_exc()
    target.write_bytes(pickle.dumps((wrong, back)))


def state() -> list[tuple[Any, str, Any]]:
    script = vars(sys.modules["__main__"])
    kinds = [value for value in script.values() if isinstance(value, type) and value.__module__ == "__main__"]
    members = [(kind, name, value) for kind in kinds for name, value in vars(kind).items()]
    return [*members, *((script, name, value) for name, value in script.items())]


def changed(before: list[tuple[Any, str, Any]]) -> list[str]:
    caches = {"__abstractmethods__", "_abc_impl"}
    return [
        f"{owner if isinstance(owner, type) else 'global'} {name}"
        for owner, name, value in before
        if (owner if isinstance(owner, dict) else vars(owner)).get(name) is not value and name not in caches
    ]


def driver(folder: Path, cases: Cases, noted: Callable[[], Any], once: Collection[str]) -> dict[str, str]:
    sent = {name: pickling.dumps(case) for name, case in cases.items()}
    before, heard = state(), json.dumps(noted())
    (folder / "there").write_bytes(pickle.dumps(sent))
    again = [sys.executable, "-W", "error", str(sys.modules["__main__"].__file__), "pod"]
    subprocess.run([*again, folder / "there", folder / "back"], check=True)
    wrong, back = pickle.loads((folder / "back").read_bytes())
    for name, (value, question) in cases.items():
        for way, payload in (("at once", pickling.dumps(value)), ("and back", back.get(name))):
            try:
                came = pickling.loads(payload)
                if type(came) is not type(value):
                    wrong[f"{name}, {way}"] = f"a stranger: {type(came)}"
                if question(came) is not True and name not in once:
                    wrong[f"{name}, {way}"] = "the answer is no"
            except BaseException:  # noqa: BLE001
                wrong[f"{name}, {way}"] = traceback.format_exc()
    for what in changed(before):
        wrong[what] = "changed"
    if heard != json.dumps(noted()):
        wrong["hooks"] = "ran again"
    return wrong
