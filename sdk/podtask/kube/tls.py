"""How an API server's certificate is verified: as kubectl does it.

Python 3.13 and later ask of every certificate what RFC 5280 wishes of it (`ssl.VERIFY_X509_STRICT`). The authorities of
many clusters do not keep all of that, Go does not ask for it, and so kubectl reaches clusters that Python refuses with
"CA cert does not include key usage extension". Signature, authority, name and dates are verified as ever. A cluster
without an authority of its own in the kubeconfig is verified by the authorities of the system.
Used by: `client`.
"""

from __future__ import annotations

import ssl
from typing import Any

from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.util.ssl_ import create_urllib3_context, resolve_cert_reqs


class _Connection(HTTPSConnection):
    """Makes its own TLS context: urllib3 loads the client's certificate into the context at every connection.

    One context for several connections would be written by one thread while OpenSSL reads it in another, which ends
    the process with a segmentation fault.
    """

    def connect(self) -> None:
        context = create_urllib3_context(cert_reqs=resolve_cert_reqs(self.cert_reqs))
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if not (self.ca_certs or self.ca_cert_dir or self.ca_cert_data):
            context.load_default_certs()
        self.ssl_context = context
        super().connect()


class _Pool(HTTPSConnectionPool):
    ConnectionCls = _Connection  # pyright: ignore[reportAssignmentType]  # urllib3's own assignment has the same


def verify_as_kubectl(api_client: Any) -> None:
    """Connections of this `kubernetes.client.ApiClient` are verified without the strict rules."""
    manager = api_client.rest_client.pool_manager
    manager.pool_classes_by_scheme = {**manager.pool_classes_by_scheme, "https": _Pool}
