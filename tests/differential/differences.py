"""Every deliberate difference between podtask and prefect 2.0b5, with its reason: the one table.

A fact that differs and is not covered here fails the tests, and so does a line here that covers nothing any more.
`python -m tests.differential.document` renders the table into docs/differences.md.
"""

from __future__ import annotations

from tests.differential.beta_bugs import BETA_BUGS
from tests.differential.flow_differences import FLOWS
from tests.differential.table import At, Difference
from tests.differential.task_differences import TASKS

RUN = r".*\.flows\.\d\.runs\.\d"
NOT_READY = r"UpstreamNotReady: Task run '[\w-]+<key>-\d' \(<id>\) did not run: Upstream task run .*"

STATES = (
    Difference(
        "What calling a flow gives",
        "A `State`; failures are hidden in it until somebody asks for its result.",
        "The value, or the exception is raised. `return_state=True` gives the `State`, by the rules of the beta.",
        "A script whose flow failed must not end as if nothing had happened.",
        "§9",
        (
            At(r"flow_results\.what_calling_a_flow_gives\.told\.value", r"gives State\(.*", "gives 5"),
            At(
                r"flow_results\.what_calling_a_flow_gives\.told\.failure",
                r"gives State\(FAILED.*",
                "raises ValueError: no",
            ),
        ),
    ),
    Difference(
        "`State.result`",
        "A method.",
        "A property, as in the text of the page this API comes from.",
        "`my_task().wait().result` prints the value there.",
        "§9",
        (At(r"futures\.how_the_result_of_a_state_is_spelled\.told\.called", "True", "False"),),
    ),
    Difference(
        "The result of a task that is NotReady",
        "`None`, without a word. A flow that returned such a future raises a `TypeError` about its own state.",
        "`UpstreamNotReady`, chained down to the exception of the task that failed first.",
        "A missing value must not pass for a value.",
        "§9",
        (
            At(rf"{RUN}\.outcome", "gives None", rf"raises {NOT_READY}"),
            At(
                r"upstreams\.a_failed_upstream_makes_the_task_not_ready\.told\.result",
                "gives None",
                rf"raises {NOT_READY}",
            ),
            At(
                r"flow_results\.\w+\.flows\.0\.data",
                r".*State\(PENDING/NotReady, None\).*",
                rf".*State\(PENDING/NotReady, {NOT_READY}",
            ),
            At(
                r"flow_results\.one_future_that_is_not_ready_returned\.flows\.0\.result",
                "raises TypeError: .*",
                rf"raises {NOT_READY}",
            ),
        ),
    ),
    Difference(
        "The result of a crashed task",
        "The exception itself: raised if it is an `Exception`, otherwise returned like a value, with a warning.",
        "`TaskCrashed`, whose cause is the exception.",
        "A crash is no answer of the task, and `SystemExit` must not come out of reading a result.",
        "§4, §7",
        (
            At(
                r"(failures\.\w+|upstreams\.a_crashed_\w+)\.flows\.0\.runs\.0\.outcome",
                r"raises (?!TaskCrashed).*",
                r"raises TaskCrashed: Task run .*",
            ),
        ),
    ),
    Difference(
        "`sys.exit` and `KeyboardInterrupt` of a task",
        "They end the flow as well: the call of the flow raises them.",
        "The task run is Crashed. A flow that reads it gets `TaskCrashed`; one that does not goes on.",
        "A task that calls a `main()` of click or argparse always exits, often with 0: the script ended early, and "
        "said that all was well. Ctrl-C of a person ends the flow as ever.",
        "§4, §9",
        (
            At(
                r"failures\.(system_exit|a_keyboard_interrupt)_crashes_the_task_and_the_flow\.flows\.0\."
                r"(raises|state|message|data|result)",
                r"SystemExit: 3|KeyboardInterrupt: |\(absent\)",
                r"\(absent\)|COMPLETED/Completed|None|(gives )?the flow goes on",
            ),
        ),
    ),
    Difference(
        "An exception that cannot be pickled",
        "The run is Crashed, with the exception of pickling, and is not retried.",
        "A failure like another: retried, and reported as `RemoteError` with type, words, notes and traceback.",
        "Exceptions that hold a connection are common, and are what retries are for.",
        "§4, §9",
        (At(r"failures\.an_unpicklable_exception\.(told\.calls|flows\.0\.runs\.0\.\w+)"),),
    ),
    Difference(
        "The result of a failed or cancelled state without an exception",
        "Failed: a `TypeError` about the state's data. Cancelled: `None`. Of a task run: the data.",
        "`StatesFailed` with the state's message, or with the count of the states it is made of.",
        "What is raised should say what the author of the state said.",
        "§4, §7",
        (
            At(
                r"futures\.the_result_of_states_without_data\.told\.failed.*",
                "raises TypeError: .*",
                "raises StatesFailed: .*",
            ),
            At(r"futures\.the_result_of_states_without_data\.told\.cancelled", "gives None", "raises StatesFailed: .*"),
            At(
                r"flow_results\.\w*by_hand\w*\.flows\.\d\.result",
                "(gives None|raises TypeError: .*)",
                "raises StatesFailed: .*",
            ),
            At(
                r"failures\.(a_returned_failed_state_is_a_failure|returned_states_are_counted)\.flows\.0\.runs\.0\.outcome",
                "gives .*",
                "raises StatesFailed: .*",
            ),
        ),
    ),
    Difference(
        "A task that returns a state made by hand",
        "The run gets its name and its message, and a cancelled state makes it Cancelled.",
        "Failed keeps its message, Completed counts as the value it carries, Cancelled ends the run as Failed; it is "
        "not retried either.",
        "The states of a TaskRun are a fixed vocabulary, the same through every door, and Cancelled says that somebody "
        "else ended the run.",
        "§4, §6",
        (
            At(
                r"failures\.a_returned_completed_state_is_the_tasks_own\.flows\.0\.(data|result)",
                r".*COMPLETED/Done.*",
                r".*COMPLETED/Completed.*",
            ),
            At(
                r"failures\.a_returned_completed_state_is_the_tasks_own\.flows\.0\.runs\.0\.history",
                ".* > Done",
                ".* > Completed",
            ),
            At(
                r"(failures|caching)\.a_returned_completed_state_\w+\.flows\.0\.runs\.0\.message",
                "all of them|my words",
                "None",
            ),
            At(r"failures\.returned_states_are_counted\.flows\.0\.runs\.1\.message", r"All states completed\.", "None"),
            At(r"failures\.a_returned_cancelled_state\w*\.flows\.0\.runs\.0\.history", ".* > Cancelled", ".* > Failed"),
            At(r"failures\.a_returned_cancelled_state\w*\.flows\.0\.runs\.0\.type", "CANCELLED", "FAILED"),
            At(
                r"failures\.a_returned_cancelled_state\w*\.flows\.0\.runs\.0\.outcome",
                "gives None",
                "raises CancelledReturned: enough",
            ),
        ),
    ),
    Difference(
        "Messages of states",
        "One sentence per kind of end.",
        "The same sentence, and then which exception, state, run or flow it was. A cached run names the run whose "
        "result it used.",
        "A message should answer the next question as well.",
        "§4",
        (
            At(rf"{RUN}\.message", r"Task run encountered an exception\.", r"Task run encountered an exception\. .+"),
            At(
                rf"{RUN}\.message",
                r"Upstream task run '(<id>|None)' did not reach a 'COMPLETED' state\.",
                r"Upstream task run '<id>' did not reach a 'COMPLETED' state \(it is \w+\)\.",
            ),
            At(
                rf"{RUN}\.message",
                r"Execution was interrupted by an unexpected exception\.",
                r"Execution was interrupted by an unexpected exception: .+",
            ),
            At(
                rf"{RUN}\.message",
                r"Execution was aborted by Python system exit call\.",
                r"Execution was aborted by Python system exit call: sys\.exit\(3\)\.",
            ),
            At(r"caching\..*\.message", "None|my words", r"The result of '<id>' was used\."),
            At(
                r"flow_results\.\w+\.flows\.0\.message",
                "Flow run exceeded timeout of 0.5 seconds",
                r"Flow run exceeded timeout of 0\.5 seconds: 'f-<key>'\.",
            ),
        ),
    ),
    Difference(
        "Exceptions about calls",
        "`RuntimeError` and a sentence.",
        "A class of their own below `RuntimeError` (or `TypeError`, as in the beta), and a sentence with the name of "
        "the task, of the argument, and what to do.",
        "Errors are read by people who do not know the rule yet; tasks inside tasks stay forbidden.",
        "§9",
        (
            At(
                r"calls\.(a_task|a_flow)_inside_a_task\w*\.flows\.0\.(data|result|runs\.0\.outcome)",
                r".*RuntimeError: (Task|Flow)s cannot be called from within tasks\. .*",
                r".*InsideTask: (Task|Flow)s cannot be called from within tasks\. .*",
            ),
            At(
                r"calls\.outside_of_a_flow_a_call_is_refused\.told\.call",
                r"raises RuntimeError: Tasks cannot be called outside of a flow\.",
                r"raises OutsideFlow: Tasks cannot be called outside of a flow\. .*",
            ),
            At(
                r"task_objects\.a_parameter_named_wait_for_is_reserved\.told\.text",
                "ReservedArgumentError: .*",
                "ReservedArgumentError: .*rename it.",
            ),
            At(
                r"flow_results\.bad_parameters_fail_the_flow\.flows\.0\.(data|result)",
                r"(raises )?ParameterTypeError: 1 validation error for F[\s\S]*",
                "(raises )?ParameterTypeError: Flow run received invalid parameters. Flow 'f': 'x': .*",
            ),
        ),
    ),
    Difference(
        "What the state of a flow that timed out carries",
        "Nothing; asking for its result raises a `TypeError`.",
        "`FlowTimedOut`, which is a `TimeoutError`.",
        "The cause of a failure belongs into its state.",
        "§6",
        (
            At(r"flow_results\.\w+timed_out\w*\.flows\.0\.data", "None", "FlowTimedOut: .*"),
            At(r"flow_results\.\w+timed_out\w*\.flows\.0\.result", "raises TypeError: .*", "raises FlowTimedOut: .*"),
        ),
    ),
)

ON_PURPOSE = STATES + TASKS + FLOWS
DIFFERENCES = ON_PURPOSE + BETA_BUGS
