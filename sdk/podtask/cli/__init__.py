"""The `podtask` command, also as `kubectl podtask`. One module per group of commands; all of them on this road:

    app ──> options ──> session ──> selection ──> (one command) ──> printers
                          │  cluster, bucket                           failures: errors ──> sentence, exit status

`app` names the commands and imports the one that is asked for; `view` is a TaskRun as commands read it. What a
command knows of Kubernetes is `podtask.backends.kubernetes`; what a state means is `podtask.core`.
"""

from __future__ import annotations

import sys
from io import TextIOWrapper


def main() -> None:
    """Entry point of `podtask` and `kubectl-podtask`."""
    try:
        from podtask.cli import app
    except ModuleNotFoundError as missing:
        if missing.name not in ("click", "rich", "yaml", "kubernetes"):
            raise
        sys.exit(f"podtask: the command needs the package '{missing.name}': pip install 'podtask[cli]'")
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr; where the locale is not UTF-8
    sys.exit(app.main(sys.argv[1:], sys.argv[0]))
