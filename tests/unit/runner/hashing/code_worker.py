"""Run by `interpreters.Worker`: a list of programs in, the identities of their `f` out (see mutations)."""

import importlib
import json
import shutil
import sys
import tempfile
from pathlib import Path

from podtask_runner.hashing import modules
from podtask_runner.hashing.content_hash import code_identity
from podtask_runner.hashing.tokens import Unhashable

FLOW = "flow.py"


def identity(program: str) -> str:
    folder = Path(tempfile.mkdtemp())
    path, loaded = list(sys.path), set(sys.modules)
    try:
        for part in ("#= " + FLOW + "\n" + program).split("#= ")[1:]:
            name, _, text = part.partition("\n")
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        sys.path[:0] = [str(folder), str(folder / "site-packages")]
        modules._installed_version.cache_clear()
        return code_identity(importlib.import_module("flow").f)
    except Unhashable as found:
        return str(found)
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - loaded:
            if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]
        shutil.rmtree(folder)


sys.dont_write_bytecode = True
for line in sys.stdin:
    print(json.dumps([identity(program) for program in json.loads(line)]), flush=True)
