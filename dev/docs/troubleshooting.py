"""docs/reference/troubleshooting.md: from what a person sees to what it means and what to do.

Everything is from `podtask.core.api.reasons` and `podtask.core.api.symptoms`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dev.docs.markdown import code, page, table

from podtask.core.api.names import Reason
from podtask.core.api.reasons import CATALOGUE, Budget, ReasonScope, cure_of
from podtask.core.api.symptoms import (
    ADMISSION,
    CONTAINER_WAITS,
    ENDED_BY_KUBELET,
    EVICTED_FOR,
    INVALID,
    POD_EVENTS,
    TARGETED,
    UNKNOWN_END,
    Symptom,
)

HEAD = """\
`podtask describe NAME` shows the reason, the message, the cure and the next command. Without the command:
`kubectl get ptr NAME -o yaml`. Look for `status.reason`, `status.message` and `status.cure` while the run waits; for
`status.error` and `status.attempts` after it. This page goes from what you see to what to do."""

SPEC = """\
A spec cannot be changed. Where the cure is in the spec, end the run with `podtask cancel NAME` and create it under
another name. What the cluster lacks can be added at any time: a waiting run goes on by itself."""

ADMIN = """\
## For the administrator

Where a run asks for nothing special, the cause is in the cluster or in the values of the [chart](chart.md). `podtask
doctor` runs such a TaskRun and says this:"""


def text() -> str:
    """The whole page."""
    return page(
        "Troubleshooting",
        "podtask/core/api/reasons.py and podtask/core/api/symptoms.py",
        HEAD,
        SPEC,
        "## The run stays Pending\n\n" + table(("Reason", "It means", "What to do"), _by_reason(ReasonScope.PENDING)),
        "## The run ended, or an attempt did\n\n"
        + table(("Reason", "It means", "What to do"), _by_reason(ReasonScope.END)),
        "## kubectl get pod shows\n\n" + table(("Word", "Reason of the run", "What to do"), _words(CONTAINER_WAITS)),
        "## Events of the pod\n\n" + table(("Event", "Reason of the run", "What to do"), _words(POD_EVENTS)),
        "## The API server refused the pod\n\n"
        + table(("The message contains", "Reason of the run", "What to do"), [*_words(ADMISSION), *_invalid()]),
        "## Kubernetes ended the pod\n\n" + table(("Kubernetes says", "Reason of the run", "What to do"), _ended()),
        f"{ADMIN}\n\n{table(('Reason', 'What to do'), _chart())}",
    )


def _by_reason(place: ReasonScope) -> list[tuple[str, str, str]]:
    return [
        (code(reason), entry.meaning, entry.cure or ("Wait." if place is ReasonScope.PENDING else "Nothing."))
        for reason, entry in CATALOGUE.items()
        if entry.place is place and (entry.cure or entry.budget is not Budget.NONE or place is ReasonScope.PENDING)
    ]


def _words(symptoms: Mapping[str, Symptom]) -> list[tuple[str, str, str]]:
    return [(code(word.strip()), code(symptom.reason), symptom.cure or "") for word, symptom in symptoms.items()]


def _invalid() -> list[tuple[str, str, str]]:
    return [(code(words), code(Reason.INVALID_SPEC), cure) for words, cure in INVALID.items()]


def _ended() -> Iterable[tuple[str, str, str]]:
    for word, reason in {**TARGETED, **ENDED_BY_KUBELET, **dict.fromkeys(UNKNOWN_END, Reason.NODE_LOST)}.items():
        yield code(word), code(reason), cure_of(reason) or ""
    for word, cure in EVICTED_FOR.items():
        yield f"`Evicted`, and the message has `{word}`", code(Reason.EVICTED), cure


def _chart() -> list[tuple[str, str]]:
    return [(code(reason), entry.chart) for reason, entry in CATALOGUE.items() if entry.chart]
