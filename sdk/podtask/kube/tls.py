"""How an API server's certificate is verified: as kubectl does it.

Python 3.13 and later ask of every certificate what RFC 5280 wishes of it (`ssl.VERIFY_X509_STRICT`). The authorities of
many clusters do not keep all of that, Go does not ask for it, and so kubectl reaches clusters that Python refuses with
"CA cert does not include key usage extension". Signature, authority, name and dates are verified as ever.
Used by: `client`.
"""

from __future__ import annotations

import ssl
from typing import Any


def verify_as_kubectl(api_client: Any) -> None:
    """Connections of this `kubernetes.client.ApiClient` are verified without the strict rules."""
    from urllib3.util.ssl_ import create_urllib3_context

    pool = api_client.rest_client.pool_manager.connection_pool_kw
    context = create_urllib3_context(cert_reqs=pool["cert_reqs"])
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    pool["ssl_context"] = context
