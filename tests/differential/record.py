"""Record what prefect 2.0b5 does: `make differential`, in the environment that dev/prefect-beta builds.

With the argument `new` only the scenarios that are not recorded yet: seconds instead of minutes.
Writes tests/differential/recorded/*.json, and fails where that changes what was recorded before.
Home and database are temporary, and every connection beyond this machine is refused.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "recorded"
QUIET = {
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_SERVER_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_ORION_ENABLED": "false",
    "PREFECT_ORION_ANALYTICS_ENABLED": "false",
    "PREFECT_ORION_SERVICES_SCHEDULER_ENABLED": "false",
    "PREFECT_ORION_SERVICES_LATE_RUNS_ENABLED": "false",
}


def main() -> int:
    sys.addaudithook(_stay_here)
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(QUIET, PREFECT_HOME=home)
        os.environ.pop("PREFECT_API_URL", None)
        warnings.simplefilter("ignore")
        from tests.differential.scenarios import all_scenarios
        from tests.differential.sides import beta

        return _write(all_scenarios(), beta, new_only=sys.argv[1:] == ["new"])


def _write(sections: dict[str, dict[str, Any]], side: Any, *, new_only: bool) -> int:
    from tests.differential.tracing import Trace, leaves

    drift = 0
    for section, scenarios in sections.items():
        path = FOLDER / f"{section}.json"
        before = json.loads(path.read_text()) if path.exists() else {}
        found = {}
        for name, scenario in scenarios.items():
            if new_only and name in before:
                found[name] = before[name]
                continue
            trace = Trace(side)
            scenario(side, trace)
            found[name] = trace.as_data()
        path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
        old, new = leaves(before), leaves(json.loads(json.dumps(found)))
        changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
        for key in changed:
            print(f"drift: {section} {key}: was {old.get(key, '(absent)')}, is {new.get(key, '(absent)')}")
        drift += len(changed)
        print(f"{section}: {len(found)} scenarios, {len(changed)} facts changed", flush=True)
    return 1 if drift else 0


def _stay_here(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(args[1], tuple) and args[1][0] not in ("127.0.0.1", "::1"):
        raise PermissionError(f"the recording stays on this machine; something asked for {args[1][0]}")


if __name__ == "__main__":
    sys.exit(main())
