"""The part of the table about what flows accept, contain and return, and about what is passed between runs."""

from __future__ import annotations

from tests.differential.table import At, Difference

_REFUSED = r"(raises )?ParameterTypeError: .*|FAILED/Failed|Flow run received invalid parameters\."

FLOWS = (
    Difference(
        "Values of another type than the annotation of a parameter",
        "The rules of pydantic 1: `x: str` makes '5' of 5, `x: int` makes 1 of 1.5.",
        "Those of pydantic 2: `ParameterTypeError`. '5' for an `int` is 5, as there.",
        "pydantic 1 is no longer maintained, and half a number should not get lost.",
        "§9",
        (At(r"flow_calls\.a_value_of_another_type\.flows\.\d\.(state|message|data|result)", podtask=_REFUSED),),
    ),
    Difference(
        "`flow.version`",
        "By default a hash of the file.",
        "None, unless given.",
        "What changes with every comment is no version.",
        "§9",
        (At(r"flow_calls\.the_version_of_a_flow\.told\.there is one", "True", "False"),),
    ),
    Difference(
        "Names of flows with `/`, `%`, `&`, `<` or `>`",
        "`InvalidNameError`.",
        "Accepted. A label on the cluster holds as much of the name as a label can.",
        "No address is made of the name.",
        "§9",
        (At(r"flow_calls\.signs_in_the_name_of_a_flow\.told\..", "raises InvalidNameError: .*", "gives a.b"),),
    ),
    Difference(
        "A subflow called with a state",
        "Gets the state.",
        "Gets what the state stands for: the value, or the exception of a failed one. So it is with a future.",
        "A state stands for its result wherever it is passed; tasks get the result as well.",
        "§9",
        (
            At(r"flow_calls\.a_subflow_called_with_states\.told\.completed", "a state", "1"),
            At(r"flow_calls\.a_subflow_called_with_states\.told\.failed", "a state", r"ValueError\('no'\)"),
        ),
    ),
    Difference(
        "A task called with the state of a subflow that returned a future",
        "Gets the state inside of the state.",
        "Gets the value.",
        "It is what the flow returned.",
        "§9",
        (
            At(r"flow_calls\.a_task_called_with_the_state_of_a_subflow\.told\.a future", "a state", "1"),
            At(
                r"flow_calls\.a_task_called_with_the_state_of_a_subflow\.flows\.0\.runs\.2\.(message|outcome)",
                r"All states completed\.|gives State.*",
                "None|gives 1",
            ),
        ),
    ),
    Difference(
        "Values in `wait_for`",
        "Ignored.",
        "`TypeError` that names the class. Beside a future in a mapping or an object other values may stand.",
        "Whoever writes `wait_for=[5]` expects something of it.",
        "§9",
        (
            At(
                r"containers\.values_in_wait_for\.told\.a (number|text)",
                "gives Completed",
                "raises TypeError: wait_for takes task futures, not .*",
            ),
        ),
    ),
    Difference(
        "An argument that cannot be pickled",
        "The task gets it, as long as it runs in the same process.",
        "`UnpicklableArgument` at the call, on every backend.",
        "What works on a laptop should work on a cluster.",
        "§9",
        (
            At(
                r"calls\.an_argument_that_cannot_be_pickled\.told\.a lock",
                "gives lock",
                "raises UnpicklableArgument: Argument 'lock' of task 'show' cannot be pickled .*",
            ),
        ),
    ),
    Difference(
        "An argument that is changed after the call",
        "The task sees the change: it gets the very object.",
        "The task sees what was passed: it gets a copy, made at the call.",
        "So it is with pods and subprocesses, and a script should not behave differently there.",
        "§9",
        (At(r"calls\.an_argument_that_is_changed_after_the_call\.told\..*", r"\[2, True\]", r"\[1, False\]"),),
    ),
    Difference(
        "An exception that cannot be rebuilt of its arguments",
        "Raised as itself where it need not travel; later nobody can read it from the server.",
        "`RemoteError` with type, words, notes and traceback, on every backend.",
        "It fails where the run is read again, and a script should not behave differently on a cluster.",
        "§4, §9",
        (
            At(
                r"failures\.an_exception_that_keeps_fewer_arguments_than_its_constructor_takes\.told\.result",
                "raises Mine: left",
                "raises RemoteError: .*Mine: left",
            ),
        ),
    ),
    Difference(
        "An iterator inside the result of a task",
        "A list, as deep as it may stand.",
        "A list where it is the result; inside of a container it stays, or the run is Crashed where it cannot be "
        "pickled, as a generator. What flows return is gone through as deep as it may stand.",
        "The pod that runs a task does not look into its result.",
        "§4",
        (At(r"containers\.an_iterator_inside_the_result_of_a_task\.told\.type", "list", "list_iterator"),),
    ),
    Difference(
        "The type of `future.run_id`",
        "`UUID`",
        "`str`: on a cluster the name of the TaskRun.",
        "One can ask `kubectl` for it.",
        "§9",
        (At(r"run_context\.the_type_of_a_run_id\.told\.type", "UUID", "str"),),
    ),
)
