"""From `flow.py:my_flow` to a flow that can be called, and from `--param x=1` to its arguments.

The file is imported as a module of its folder, as a script beside it would import it, so that its tasks travel to the
cluster by the rules for the project's own modules. Asked by: `cli.commands.run`.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podtask.cli.common.exits import CommandFailed, Exit

if TYPE_CHECKING:
    from types import ModuleType

    from podtask import Flow


def load(place: str) -> tuple[str, Flow[..., Any]]:
    """Name and flow at `file.py:name` or `package.module:name`; the name may be left out where there is one flow only.

    Raises `CommandFailed`; what the file itself raises while it is imported is the user's own exception.
    """
    where, _, name = place.partition(":")
    module = _module(where)
    from podtask import Flow

    flows = {key: value for key, value in vars(module).items() if isinstance(value, Flow)}
    if not name and len(flows) == 1:
        return next(iter(flows.items()))
    if name not in flows:
        known = f"it has {', '.join(flows)}" if flows else "it has none (@flow)"
        what = f"no flow '{name}'" if name else "no flow was named"
        raise CommandFailed(f"{what.capitalize()} in {where}: {known}. Write {where}:NAME.", Exit.NOT_FOUND)
    return name, flows[name]


def parameters(pairs: Sequence[str]) -> dict[str, Any]:
    """`x=1` as JSON where it is JSON, else as text. Raises `CommandFailed` for what is no pair."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.isidentifier():
            raise CommandFailed(f"--param {pair}: write NAME=VALUE; the value is JSON, or else a text.", Exit.USAGE)
        if name in found:
            raise CommandFailed(f"--param {name} is given twice.", Exit.USAGE)
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found


def fits(flow: Flow[..., Any], arguments: dict[str, Any]) -> None:
    """Raises `CommandFailed` where the flow does not take these arguments."""
    try:
        flow.signature.bind(**arguments)
    except TypeError as error:
        raise CommandFailed(f"Flow {flow.name}{flow.signature}: {error}; see --param.", Exit.USAGE) from error


def _module(where: str) -> ModuleType:
    path = Path(where)
    if path.suffix == ".py" or path.exists():
        if not path.is_file():
            raise CommandFailed(f"There is no file {where}.", Exit.NOT_FOUND)
        if not path.stem.isidentifier():
            raise CommandFailed(f"{where} cannot be imported: '{path.stem}' is no name of a module; rename the file.")
        folder, where = str(path.parent.absolute()), path.stem
    else:
        folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        module = importlib.import_module(where)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{where}.".startswith(f"{error.name}."):
            raise
        raise CommandFailed(f"There is no module '{error.name}' here; a file is given as file.py.") from error
    if path.suffix == ".py" and Path(str(module.__file__)).absolute() != path.absolute():
        raise CommandFailed(f"{path} is hidden by the module '{where}' ({module.__file__}); rename the file.")
    return module
