"""What S3 servers and botocore answer, as a sentence: what happened, to which object, and what to do.

Pure: codes in, `StoreError` out. `s3` asks; the table is the one place to extend when a server has its own word.
Codes: Amazon S3 API reference, Error responses; names ending in Error or Exception: botocore's exceptions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from podtask.core.storage.base import StoreRefused, StoreUnavailable


@dataclass(frozen=True)
class _Cure:
    sentence: str
    passes: bool
    """True: it may pass without a person, so waiting and trying again is right."""


_BUSY: Final = _Cure("The server is overloaded or restarting: it may work again in a while.", passes=True)
_CONFLICT: Final = _Cure("Another writer of the same key is at work: try again when it is done.", passes=True)
_AWAY: Final = _Cure("Check that the server runs and that this machine or pod reaches the endpoint.", passes=True)
_CREDENTIALS: Final = _Cure(
    "Give boto3 credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or the pod's service account.",
    passes=False,
)
_WRONG_KEY: Final = _Cure("Correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for this endpoint.", passes=False)
_EXPIRED: Final = _Cure("Renew the credentials (log in again, or look at what issues the session token).", passes=True)
_REGION: Final = _Cure("Set the region of the bucket (AWS_DEFAULT_REGION, store.region).", passes=False)

_CURES: Final = {
    "NoSuchBucket": _Cure("Create the bucket, or correct its name in PODTASK_STORE or store.bucket.", passes=False),
    "InvalidBucketName": _Cure("Correct the bucket name in PODTASK_STORE or store.bucket.", passes=False),
    "AccessDenied": _Cure(
        "Give these credentials the policy that they need (docs: Install, Policies of the bucket): the operator"
        " s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket on the whole prefix; people s3:GetObject and"
        " s3:ListBucket on the folder of their namespace, and s3:PutObject on its blobs/.",
        passes=False,
    ),
    "InvalidAccessKeyId": _WRONG_KEY,
    "SignatureDoesNotMatch": _Cure(
        "The secret key is another one than the server's, or a proxy changes the host name or the path:"
        " correct AWS_SECRET_ACCESS_KEY or the endpoint.",
        passes=False,
    ),
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "RequestExpired": _EXPIRED,
    "InvalidToken": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "TokenRetrievalError": _EXPIRED,
    "CredentialRetrievalError": _EXPIRED,
    "UnauthorizedSSOTokenError": _EXPIRED,
    "RequestTimeTooSkewed": _Cure(
        "Set the clock of this machine (NTP): S3 accepts 15 minutes of difference.", passes=True
    ),
    "PermanentRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "NotImplemented": _Cure(
        "The server does not know conditional writes (If-None-Match); turn store.conditionalWrites off.", passes=False
    ),
    "QuotaExceeded": _Cure("Make room in the bucket or raise its quota.", passes=True),
    "XMinioStorageFull": _Cure("Make room on the server's disk.", passes=True),
    "InsufficientStorage": _Cure("Make room on the server's disk.", passes=True),
    "EntityTooLarge": _Cure("One PUT takes at most 5 GiB: store less, or split it.", passes=False),
    "NoCredentialsError": _CREDENTIALS,
    "PartialCredentialsError": _CREDENTIALS,
    "ProfileNotFound": _CREDENTIALS,
    "SSLError": _Cure(
        "Check the certificate of the endpoint; a private authority goes into AWS_CA_BUNDLE.", passes=False
    ),
    "ValueError": _Cure("Correct the endpoint: http://host:port or https://host.", passes=False),
    "ConditionalRequestConflict": _CONFLICT,
    "OperationAborted": _CONFLICT,
}
_BY_STATUS: Final = {
    301: "PermanentRedirect",
    401: "InvalidAccessKeyId",
    403: "AccessDenied",
    507: "InsufficientStorage",
}


def explain(place: str, doing: str, code: str, status: int, cause: str) -> StoreUnavailable:
    """The error to raise. `place` names bucket and endpoint, `doing` verb and key; `status` is 0 without an answer.

    A HEAD has no body, so its `code` is the bare status ("403"): it is read as the usual word for that status.
    """
    word = _BY_STATUS.get(status, code) if not code or code.isdecimal() else code
    cure = _CURES.get(word) or _by_kind(status)
    told = f"{code} ({cause})" if cause and cause != code else code
    text = f"cannot {doing} in {place}: {told}. {cure.sentence}"
    return (StoreUnavailable if cure.passes else StoreRefused)(text, code=word)


def _by_kind(status: int) -> _Cure:
    if status == 0:
        return _AWAY
    if status >= 500 or status == 429:
        return _BUSY
    if status in (400, 403):
        return _Cure("Look at the credentials first: with expired ones many servers answer just this.", passes=False)
    return _Cure("The server refuses this request; its own log says more.", passes=False)
