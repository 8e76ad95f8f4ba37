"""What the API server's refusal of a pod, or of the Secret with its grants, means: the reason, the sentence, the cure.

Before: `kube.client`. Next: the launcher remembers it, and the rules wait or end the run. Pure. The words that are
looked for are Kubernetes' own: `podtask.core.api.symptoms`.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from podtask.core.api.names import Reason
from podtask.core.api.reasons import cure_of
from podtask.core.api.status import MESSAGE_LIMIT
from podtask.core.api.symptoms import ADMISSION, INVALID, Symptom
from podtask.core.lifecycle.model import Why


class Answer(Protocol):
    """An answer of the API server that refuses: `kube.answers.ApiError`."""

    status: int
    reason: str
    message: str


POD: Final = "pod"
GRANTS: Final = "Secret with the grants"
_ADMISSION: Final = re.compile(r'admission webhook "|[a-z.]+ "[^"]*" is forbidden: |Internal error occurred: ')
"""How refusals of admission begin: of webhooks, of plug-ins (ValidatingAdmissionPolicy, quota, PodSecurity), and where
a webhook could not be asked."""
_CORRECT: Final = "Correct the field that the message names; then create the run again under another name."


def refusal(error: Answer, what: str = POD) -> Why:
    """The API server's sentence with the reason and cure a person needs."""
    text = error.message
    if error.status == 422 and what == GRANTS and "immutable" in text:
        taken = "A Secret of the name that the grants need exists and is somebody else's; waiting for it to go: "
        return _why(Reason.POD_NAME_CONFLICT, taken + text, "Delete that Secret, or give the run another name.")
    if error.status in (400, 422) and not by_admission(error):
        cure = next((cure for words, cure in INVALID.items() if words in text), _CORRECT)
        return _why(Reason.INVALID_SPEC, f"The API server refused the {what}: {text}", cure)
    symptom = next((found for words, found in ADMISSION.items() if words in text), Symptom(Reason.ADMISSION))
    return _why(symptom.reason, text, symptom.cure)


def by_admission(error: Answer) -> bool:
    """True where a rule, a policy or a webhook said no, or could not be asked: it may say yes a moment later.

    They answer 403, but 400, 422 and 5xx, too. By the server's own words at the beginning: what follows may quote the
    pod, which is the user's.
    """
    return error.reason == "InternalError" or _ADMISSION.match(error.message) is not None


def _why(reason: Reason, message: str, cure: str | None) -> Why:
    return Why(reason, message[:MESSAGE_LIMIT], cure or cure_of(reason))
