"""What is written down of a scenario, the same way on both sides: words and numbers, no ids, times or addresses.

Standard library only: this runs under Python 3.10 beside prefect 2.0b5 as well as beside podtask.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

_CLEANED = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"\b[a-z][a-z0-9-]*-[0-9a-f]{16}\b"), "<id>"),  # podtask's: a slug and sixteen digits
    (re.compile(r"-[0-9a-f]{8}-(\d+)"), r"-<key>-\1"),  # the start of a task key in the name of a run
    (re.compile(r"\b(\w+)-[0-9a-f]{8}\b"), r"\1-<key>"),  # that of a flow run
    (re.compile(r" at 0x[0-9a-f]+"), ""),
    (re.compile(r"tests\.differential\.scenarios\.\w+\."), ""),
)


def clean(text: str) -> str:
    """The text without what differs from run to run."""
    for pattern, instead in _CLEANED:
        text = pattern.sub(instead, text)
    return text


class Trace:
    """Everything one scenario shows. `side` knows how its library spells states, futures and runs."""

    def __init__(self, side: Any) -> None:
        self._side = side
        self.told: dict[str, str] = {}
        self.flows: list[dict[str, Any]] = []

    def tell(self, what: str, value: Any) -> None:
        """Write down a value under a name of the scenario's choice."""
        if what in self.told:
            raise KeyError(f"'{what}' was told before")
        self.told[what] = self.shown(value)

    def attempt(self, what: str, call: Any) -> Any:
        """Write down what the call gives or raises."""
        try:
            value = call()
        except BaseException as error:  # noqa: BLE001 - the outcome is what is asked for
            self.tell(what, f"raises {self.shown(error)}")
            return None
        self.tell(what, f"gives {self.shown(value)}")
        return value

    def run(self, flow: Any, *args: Any, **kwargs: Any) -> Any:
        """Run a flow to its final state and write down the state and every task run in it."""
        state = raised = None
        try:
            state = self._side.final_state(flow, args, kwargs)
            if asyncio.iscoroutine(state):
                state = asyncio.run(state)
        except BaseException as error:  # noqa: BLE001 - the outcome is what is asked for
            raised = error
        entry: dict[str, Any] = {"flow": flow.name}
        if raised is not None:
            entry["raises"] = self.shown(raised)
        if state is not None:
            entry.update(self.state(state))
        entry["runs"] = self._side.runs(self)
        self.flows.append(entry)
        return state

    def state(self, state: Any) -> dict[str, Any]:
        """A state as fields."""
        fields = {"state": kind(state), "message": clean(state.message) if state.message else None}
        return {**fields, "data": self.shown(self._side.data(state)), "result": self.outcome(state)}

    def outcome(self, state: Any) -> str:
        """What asking the state for its result gives or raises."""
        try:
            return f"gives {self.shown(self._side.result(state))}"
        except BaseException as error:  # noqa: BLE001 - the outcome is what is asked for
            return f"raises {self.shown(error)}"

    def shown(self, value: Any) -> str:
        """The value as text that reads the same on both sides."""
        if isinstance(value, str):
            return clean(value)
        if self._side.is_state(value):
            return f"State({kind(value)}, {self.shown(self._side.data(value))})"
        if self._side.is_future(value):
            return "a future"
        if type(value) in (list, tuple):
            inside = ", ".join(self.item(item) for item in value)
            return f"[{inside}]" if type(value) is list else f"({inside})"
        if type(value) in (set, frozenset):
            return "{" + ", ".join(sorted(self.item(item) for item in value)) + "}"
        if isinstance(value, dict):
            return "{" + ", ".join(f"{self.item(key)}: {self.item(item)}" for key, item in value.items()) + "}"
        if isinstance(value, BaseException):
            return clean(f"{type(value).__name__}: {value}")
        return clean(repr(value))

    def item(self, value: Any) -> str:
        """The value inside a container, where texts wear quotes."""
        return clean(repr(value)) if isinstance(value, str) else self.shown(value)

    def as_data(self) -> dict[str, Any]:
        """For the recorded file."""
        return {"told": self.told, "flows": self.flows}


def kind(state: Any) -> str:
    """`FAILED/Crashed`: type and name."""
    return f"{getattr(state.type, 'value', state.type)}/{state.name}"


def leaves(data: Any, path: str = "") -> dict[str, str]:
    """Every single fact of a trace by its path: `flows.0.runs.1.message` → `text`."""
    if isinstance(data, dict):
        parts = [leaves(value, f"{path}.{key}" if path else str(key)) for key, value in data.items()]
    elif isinstance(data, list):
        parts = [leaves(value, f"{path}.{index}") for index, value in enumerate(data)]
    else:
        return {path: str(data)}
    return {key: text for part in parts for key, text in part.items()}
