"""How kopf gets at the API server: its own credentials, in a session that tells of every watch the server accepts
and hands on no large body (`session`).

Before: `kopf_source`. Next: kopf. A login that fails is told to `kopf_source`, which ends kopf, so that it is logged
and tried again (`supervise`). kopf by itself goes on without its "credentials retriever": deaf, and seemingly up
(1.45.2).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import aiohttp
import kopf

from podtask_operator.kube.echoes import Echoes
from podtask_operator.kube.session import response_class

Heard = Callable[[str], None]
"""Told of the path of each watch that the server accepts."""
Failed = Callable[[Exception], None]
"""Told why there is no login."""


class Refused(Exception):
    """The API server does not take the credentials, and there are no others."""


def by_session(heard: Heard, failed: Failed, listed: Callable[[], None], echoes: Echoes) -> Callable[..., Any]:
    """A login handler for one start of kopf. `listed` is called for each list that kopf makes. Of `echoes` kopf hears
    nothing."""
    used: list[kopf.ConnectionInfo] = []

    async def login(**kwargs: Any) -> kopf.AiohttpSession:
        try:
            info = kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)
            if info is None:
                raise Refused("there is neither a service account nor a kubeconfig to log in with")
            if info in used:  # kopf asks again when the server has answered 401
                raise Refused(f"{info.server} does not accept the credentials, and there are no newer ones")
            used[:] = [info]
            return _session(info, heard, listed, echoes)
        except Exception as error:
            failed(error)
            raise

    return login


def _session(
    info: kopf.ConnectionInfo, heard: Heard, listed: Callable[[], None], echoes: Echoes
) -> kopf.AiohttpSession:
    """What kopf makes of its credentials (`kopf._cogs.clients.auth.APIContext`), with a trace."""
    trace = aiohttp.TraceConfig()

    async def answered(_session: object, _context: SimpleNamespace, end: aiohttp.TraceRequestEndParams) -> None:
        if end.response.status == 200 and "watch" in end.url.query:
            heard(end.url.path)

    trace.on_request_end.append(answered)
    context = info.as_ssl_context()
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # as kubectl verifies: see `podtask.kube.tls`
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=context),
        headers=info.as_http_headers(),
        proxy=info.proxy_url,
        trust_env=info.trust_env,
        trace_configs=[trace],
        response_class=response_class(listed, echoes),
    )
    return kopf.AiohttpSession(
        server=info.server,
        default_namespace=info.default_namespace,
        priority=info.priority,
        expiration=info.expiration,
        aiohttp_session=session,
    )
