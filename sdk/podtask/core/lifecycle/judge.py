"""How did the attempt end, and what does that cost? One ordered list of verdicts; the first that answers wins.

    stored result > cancel > a stop for time > Interrupted, disruption, deletion > OOM > the runner's outcome

Exit code and pod phase alone never mean success. Pure.
Asked by: `podtask.core.lifecycle.rules`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from podtask.core.api.names import Ended, Reason, State
from podtask.core.api.quantity import in_words
from podtask.core.api.reasons import Budget, budget_of, cure_of, meaning_of
from podtask.core.api.status import MESSAGE_LIMIT, Attempt, ErrorInfo, ResultInfo
from podtask.core.lifecycle import deadline
from podtask.core.lifecycle.model import Observed, Presence, Why
from podtask.core.lifecycle.sanitize import plausible
from podtask_runner.names import OUT_OF_MEMORY
from podtask_runner.protocol import Outcome, Verdict

FOREIGN_DEADLINE_CURE = (
    "Find out who sets activeDeadlineSeconds on pods (kubectl get pod -o yaml): a policy of the cluster, or a person."
)


@dataclass(frozen=True)
class Judgement:
    """One attempt's end: what to write on it, the state if the run ends with it, and the budget for another."""

    ended: Ended
    state: State
    why: Why
    budget: Budget = Budget.NONE
    result: ResultInfo | None = None
    error: ErrorInfo | None = None
    delay: float | None = None
    """Seconds before the retry, where the task computed its own."""
    uncached: str | None = None
    """Why the result may not be published under the run's cache key."""


@dataclass(frozen=True)
class Evidence:
    """What is known of an attempt that runs no more."""

    seen: Observed
    attempt: Attempt
    answer: Outcome | None
    """The runner's answer: from the termination message, else the stored object."""

    @property
    def error(self) -> ErrorInfo | None:
        """The runner's error, marked with its attempt; not that it was stopped, because it cannot know why."""
        error = self.answer.error if self.answer else None
        if self.answer is None or error is None or self.answer.outcome is Verdict.INTERRUPTED:
            return None
        return ErrorInfo(
            type=error.type,
            message=error.message,
            traceback=error.traceback,
            digest=error.digest,
            size=error.size,
            inline=error.inline,
            attempt=self.attempt.number,
            cure=error.cure,
        )

    def why(self, reason: Reason, otherwise: str) -> Why:
        """The runner's own words where it had any."""
        error = self.answer.error if self.answer else None
        cure = None if reason is Reason.EXCEPTION else cure_of(reason)  # the traceback is there anyway
        if self.answer is None or error is None:
            return Why(reason, otherwise, cure)
        whole = self.answer.outcome is Verdict.CRASHED  # a sentence about the run already (as in Prefect 2.0b5)
        text = error.message if whole else f"{error.type}: {error.message}"
        return Why(reason, text[:MESSAGE_LIMIT], error.cure or cure)


def judge(seen: Observed, attempt: Attempt) -> Judgement:
    """The judgement of an attempt whose pod ended, vanished or never came to be."""
    answer = (seen.pod.outcome if seen.pod else None) or seen.stored
    evidence = Evidence(seen, attempt, plausible(answer) if answer else None)
    answers = (verdict(evidence) for verdict in VERDICTS)
    return next(answer for answer in answers if answer is not None)


def completed(e: Evidence) -> Judgement | None:
    """A stored result is success, whatever happened to the pod afterwards."""
    if e.answer is None or e.answer.outcome is not Verdict.COMPLETED or e.answer.result is None:
        return None
    stored = e.answer.result
    result = ResultInfo(
        digest=stored.digest,
        size=stored.size,
        serializer=stored.serializer,
        content_hash=stored.contentHash,
        value=stored.value,
        inline=stored.inline,
        attempt=e.attempt.number,
    )
    why = Why(Reason.COMPLETED, "The task completed.")
    return Judgement(Ended.COMPLETED, State.COMPLETED, why, result=result, uncached=stored.uncached)


def cancelled(e: Evidence) -> Judgement | None:
    """Cancel was asked for and no result was stored."""
    if not e.seen.cancelled:
        return None
    by_flow = None if e.seen.policy.cancel else e.seen.flow_ended
    return Judgement(Ended.CANCELLED, State.CANCELLED, by_flow or Why(Reason.CANCELLED, "Cancelled by spec.cancel."))


def stopped(e: Evidence) -> Judgement | None:
    """The operator or the kubelet ended it because its time, or that of the whole run, was over."""
    if e.attempt.reason is Reason.DEADLINE_EXCEEDED:
        policy, number = e.seen.policy, e.attempt.number
        return Judgement(
            Ended.TIMED_OUT, State.TIMED_OUT, deadline.why(policy), error=e.error or deadline.error(policy, number)
        )
    by_kubelet = e.seen.pod is not None and e.seen.pod.deadline_exceeded
    return _timed_out(e) if by_kubelet or e.attempt.reason is Reason.TIMED_OUT else None


def timed_out(e: Evidence) -> Judgement | None:
    """The runner itself ended it because its time was over."""
    return _timed_out(e) if e.answer is not None and e.answer.outcome is Verdict.TIMED_OUT else None


def _timed_out(e: Evidence) -> Judgement:
    seconds = e.seen.policy.timeout_seconds
    if seconds:  # also where the kubelet ended it: the pod has the backstop of its timeout
        why = Why(Reason.TIMED_OUT, f"The attempt ran longer than its {seconds:g} s.", cure_of(Reason.TIMED_OUT))
    else:
        why = Why(Reason.TIMED_OUT, "The pod's activeDeadlineSeconds passed.", FOREIGN_DEADLINE_CURE)
    error = e.error or ErrorInfo("TimeoutError", why.message, attempt=e.attempt.number, cure=why.cure)
    return Judgement(Ended.TIMED_OUT, State.TIMED_OUT, why, budget_of(Reason.TIMED_OUT), error=error)


def pending_timeout(e: Evidence) -> Judgement | None:
    """Its container never started in time; the message of that moment is kept. A runner's word says that it did."""
    if e.attempt.reason is not Reason.PENDING_TIMEOUT or e.answer is not None:
        return None
    return _disrupted(
        Why(Reason.PENDING_TIMEOUT, e.attempt.message or "The pod did not start in time.", e.attempt.cure)
    )


def never_started(e: Evidence) -> Judgement | None:
    """The idle pod that it was to take ended before the attempt began there: nothing of it ever ran."""
    if not ended_idle(e.seen):
        return None
    text = "The idle pod that was chosen for the attempt ended before the attempt began there."
    why = Why(Reason.LOST, text, "Nothing to do: this costs no retry.")
    return Judgement(Ended.DISRUPTION, State.CRASHED, why, Budget.FREE)


def disrupted(e: Evidence) -> Judgement | None:
    """The cluster ended it: never the user's retries."""
    if e.attempt.reason is Reason.NODE_LOST and e.seen.pod is None and e.answer is None:  # its pod was removed by force
        text = e.attempt.message or meaning_of(Reason.NODE_LOST)
        return _disrupted(Why(Reason.NODE_LOST, text, e.attempt.cure))
    if e.seen.pod is not None and e.seen.pod.disruption is not None:
        return _disrupted(e.seen.pod.disruption)
    if e.answer is not None and e.answer.outcome is Verdict.INTERRUPTED:
        return _disrupted(catalogued(Reason.INTERRUPTED))
    if e.answer is not None and e.answer.outcome is Verdict.STORE_UNAVAILABLE:
        return _disrupted(e.why(Reason.STORE_UNAVAILABLE, meaning_of(Reason.STORE_UNAVAILABLE)))
    return None


def vanished(e: Evidence) -> Judgement | None:
    """No pod and no stored outcome: it was deleted, or a restart came between record and creation."""
    if e.seen.presence not in (Presence.ABSENT, Presence.FOREIGN, Presence.UNPOSTED) or e.answer is not None:
        return None
    if e.attempt.pod_uid is None and e.seen.known_uid is None:
        return _disrupted(catalogued(Reason.LOST))
    return _disrupted(catalogued(Reason.POD_DELETED))


def out_of_memory(e: Evidence) -> Judgement | None:
    """The kernel killed it, or only its child; an OOM-killed container may even report exit code 0."""
    of_container = e.seen.pod is not None and e.seen.pod.oom_killed
    crash = e.answer.error if e.answer is not None and e.answer.outcome is Verdict.CRASHED else None
    if not of_container and (crash is None or crash.type != OUT_OF_MEMORY):
        return None
    budget, text, cure = _memory(e)
    why = Why(Reason.OUT_OF_MEMORY, text, cure)
    error = ErrorInfo("MemoryError", text, attempt=e.attempt.number, cure=why.cure)
    return Judgement(Ended.OUT_OF_MEMORY, State.FAILED, why, budget, error=error)


def _memory(e: Evidence) -> tuple[Budget, str, str | None]:
    """What another attempt would be taken from, and what is said of this one."""
    growth, kills = e.seen.policy.on_out_of_memory, e.seen.status.out_of_memory_used
    if growth is None:
        text = "The task used more memory than its limit and was killed."
        return budget_of(Reason.OUT_OF_MEMORY), text, cure_of(Reason.OUT_OF_MEMORY)
    text = f"The task used more than its {growth.text(kills)} of memory and was killed."
    more = growth.next_after(kills)
    if more is not None:
        return Budget.MEMORY, text, f"The next attempt gets {in_words(more)}; start with more to save the detour."
    if kills >= growth.attempts:
        used = f" It was the last of {growth.attempts} with more memory (spec.onOutOfMemory.maxAttempts)."
        return Budget.NONE, text + used, "Start with more memory, raise maxAttempts, or let the task use less."
    cap = " That is spec.onOutOfMemory.maxMemory already."
    return Budget.NONE, text + cap, "Raise spec.onOutOfMemory.maxMemory, or let the task use less."


def failed(e: Evidence) -> Judgement | None:
    """The user's code raised an exception."""
    if e.answer is None or e.answer.outcome is not Verdict.FAILED:
        return None
    retryable = e.answer.error is None or e.answer.error.retryable
    budget = budget_of(Reason.EXCEPTION) if retryable else Budget.NONE
    why = e.why(Reason.EXCEPTION, meaning_of(Reason.EXCEPTION))
    return Judgement(Ended.FAILED, State.FAILED, why, budget, error=e.error, delay=e.answer.timings.get("delay"))


def refused_by_runner(e: Evidence) -> Judgement | None:
    """What another attempt would not change: an invalid spec, another Python, a corrupted input."""
    endings = {
        Verdict.INVALID_SPEC: (Ended.INVALID_SPEC, Reason.INVALID_SPEC),
        Verdict.ENVIRONMENT_MISMATCH: (Ended.ENVIRONMENT_MISMATCH, Reason.ENVIRONMENT_MISMATCH),
        Verdict.INPUT_CORRUPTED: (Ended.INPUT_CORRUPTED, Reason.INPUT_CORRUPTED),
    }
    if e.answer is None or e.answer.outcome not in endings:
        return None
    ended, reason = endings[e.answer.outcome]
    why = e.why(reason, meaning_of(reason))
    return Judgement(ended, State.FAILED, why, error=e.error)


def crashed(e: Evidence) -> Judgement:
    """Anything else: the interpreter died, or the container ended without a word. Never retried, as in Prefect."""
    code = e.seen.pod.exit_code if e.seen.pod else None
    text = "The container ended without an outcome" + (f" (exit code {code})." if code is not None else ".")
    why = e.why(Reason.CRASHED, text)
    error = e.error or ErrorInfo("Crashed", why.message, attempt=e.attempt.number, cure=why.cure)
    return Judgement(Ended.CRASHED, State.CRASHED, why, error=error)


def catalogued(reason: Reason) -> Why:
    """A reason in the catalogue's own words."""
    return Why(reason, meaning_of(reason), cure_of(reason))


def _disrupted(why: Why) -> Judgement:
    # Whatever held a pod up or ended it, it was not the task: what costs nothing else costs a disruption.
    free = budget_of(why.reason) is Budget.FREE
    return Judgement(Ended.DISRUPTION, State.CRASHED, why, Budget.FREE if free else Budget.DISRUPTION)


Verdicts = Callable[[Evidence], "Judgement | None"]
VERDICTS: tuple[Verdicts, ...] = (
    completed,
    cancelled,
    stopped,
    pending_timeout,
    never_started,
    disrupted,
    vanished,
    out_of_memory,
    failed,
    timed_out,
    refused_by_runner,
    crashed,
)


def ended_idle(seen: Observed) -> bool:
    """A pod of a WarmPool ended, and its runner says that no attempt was given to it. Of others the word is no word."""
    attempt, answer = seen.status.latest, seen.pod.outcome if seen.pod is not None else None
    claimed = attempt is not None and attempt.claim is not None
    return claimed and answer is not None and answer.outcome is Verdict.NEVER_STARTED


def judge_refusal(why: Why) -> Judgement:
    """The API server will never accept the pod (422): the spec is invalid."""
    error = ErrorInfo(str(Reason.INVALID_SPEC), why.message, cure=why.cure)
    return Judgement(Ended.INVALID_SPEC, State.FAILED, replace(why, reason=Reason.INVALID_SPEC), error=error)


def judge_deleted() -> Judgement:
    """Deleted before its pod was accepted."""
    why = Why(Reason.CANCELLED, "The TaskRun was deleted before the attempt's pod was created.")
    return Judgement(Ended.CANCELLED, State.CANCELLED, why)


def judge_suspended() -> Judgement:
    """Suspended before its pod was accepted: the attempt is given up, so that nothing starts until the run resumes."""
    why = Why(Reason.SUSPENDED, "The run was suspended before the attempt's pod was created.")
    return Judgement(Ended.DISRUPTION, State.CRASHED, why, Budget.FREE)
