"""States: shape, words, and how returned ones add up."""

from __future__ import annotations

import copy
import pickle
from datetime import datetime, timezone

import pytest

from podtask.core.api.names import Reason
from podtask.core.api.names import State as Word
from podtask.core.api.status import ErrorInfo, Status
from podtask.errors import StatesFailed
from podtask.states import Cancelled, Completed, Failed, State, StateType, aggregate, from_status, open_returned

NOW = datetime(2030, 1, 1, tzinfo=timezone.utc)
PENDING = State(StateType.PENDING)


def test_the_name_defaults_to_the_capitalised_type() -> None:
    assert [State(kind).name for kind in StateType] == [
        "Scheduled", "Pending", "Running", "Completed", "Failed", "Cancelled",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (State("COMPLETED"), "Completed()"),
        (State("FAILED", message="no"), "Failed('no')"),
        (State("FAILED", "Crashed", "no"), "Crashed('no', type=FAILED)"),
        (State("COMPLETED", "Cached"), "Cached(type=COMPLETED)"),
    ],
)
def test_its_text_names_the_type_only_where_the_name_does_not(state, text) -> None:
    assert str(state) == text


def test_result_is_the_data_or_the_failure() -> None:
    assert Completed(1).result == 1
    assert PENDING.result is None
    with pytest.raises(KeyError, match="own"):
        _ = Failed("no", KeyError("own")).result
    with pytest.raises(StatesFailed, match=r"^no$"):
        _ = Failed("no").result
    with pytest.raises(KeyError, match="first"):
        _ = aggregate(
            [Completed(), Failed(data=KeyError("first"))], [Completed(), Failed(data=KeyError("first"))]
        ).result


@pytest.mark.parametrize(
    ("states", "kind", "message"),
    [
        ([], "COMPLETED", "All states completed."),
        ([Completed(), Completed()], "COMPLETED", "All states completed."),
        ([Completed(), Failed()], "FAILED", "1/2 states failed."),
        ([PENDING, Failed()], "FAILED", "1/2 states failed."),
        ([PENDING, Completed()], "FAILED", "1/2 states are not final."),
        ([Cancelled(), Completed()], "FAILED", "1/2 states were cancelled."),
    ],
)
def test_many_states_are_one(states, kind, message) -> None:
    state = aggregate(states, None)
    assert (state.type, state.message) == (kind, message)


@pytest.mark.parametrize(
    ("word", "kind", "final"),
    [
        (Word.PENDING, "PENDING", False),
        (Word.RUNNING, "RUNNING", False),
        (Word.AWAITING_RETRY, "SCHEDULED", False),
        (Word.RETRYING, "RUNNING", False),
        (Word.COMPLETED, "COMPLETED", True),
        (Word.CACHED, "COMPLETED", True),
        (Word.FAILED, "FAILED", True),
        (Word.CRASHED, "FAILED", True),
        (Word.TIMED_OUT, "FAILED", True),
        (Word.CANCELLED, "CANCELLED", True),
        (Word.NOT_READY, "PENDING", False),
    ],
)
def test_every_word_of_a_status_has_its_type(word, kind, final) -> None:
    state = from_status(Status(state=word, finished_at=NOW if final else None), "run", None)
    assert (state.type, state.name, state.is_final()) == (kind, word.value, final)


def test_a_status_of_returned_states_speaks_with_their_words() -> None:
    status = Status(
        Word.FAILED, Reason.EXCEPTION, "StatesFailed: 1/2 states failed.", error=ErrorInfo("StatesFailed", "x")
    )
    assert from_status(status, "run", None).message == "1/2 states failed."
    plain = Status(Word.FAILED, Reason.EXCEPTION, "ValueError: no")
    assert from_status(plain, "run", None).message == "Task run encountered an exception. ValueError: no"


def test_what_a_task_returned_is_opened_only_where_it_is_states() -> None:
    assert open_returned({"a": Completed(1)})["a"].result == 1
    assert open_returned([]) == []
    assert open_returned(Completed(5)) == 5
    pair = [Completed(1), Completed(2)]
    assert open_returned(pair) is pair
    with pytest.raises(StatesFailed, match="1/2 states failed") as caught:
        open_returned([Completed(1), Failed(data=KeyError("inner"))])
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_state_travels_with_its_result() -> None:
    for state in (State("COMPLETED", run_id="r", load=lambda: 7), Completed(7)):
        assert pickle.loads(pickle.dumps(state)).result == 7

    def fail():
        raise KeyError("gone")

    failed = pickle.loads(pickle.dumps(State("FAILED", "Crashed", run_id="r", load=fail)))
    assert failed.is_crashed()
    with pytest.raises(KeyError, match="gone"):
        _ = failed.result


def test_states_are_equal_that_say_the_same_of_the_same_run_at_the_same_moment() -> None:
    made = State("FAILED", "Mine", "words", [1], timestamp=NOW, run_id="run")
    for same in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert same == made
        assert hash(same) == hash(made)
    others = [
        State("COMPLETED", "Mine", "words", [1], timestamp=NOW, run_id="run"),
        State("FAILED", "Other", "words", [1], timestamp=NOW, run_id="run"),
        State("FAILED", "Mine", "others", [1], timestamp=NOW, run_id="run"),
        State("FAILED", "Mine", "words", [1], timestamp=NOW.replace(year=2031), run_id="run"),
        State("FAILED", "Mine", "words", [1], timestamp=NOW, run_id="other"),
    ]
    assert len({made, *others}) == 6
    assert made != "Mine"
    assert [made] == [copy.copy(made)]


def test_a_state_whose_value_cannot_be_compared_can_be_compared() -> None:
    class Rude:
        def __eq__(self, _: object) -> bool:
            raise ValueError("ambiguous")

        __hash__ = None  # type: ignore[assignment]

    made = Completed(Rude())
    assert copy.copy(made) == made
