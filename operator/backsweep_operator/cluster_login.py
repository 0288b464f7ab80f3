"""How to reach the API server: as the pod's ServiceAccount, or by a kubeconfig outside a cluster."""

from __future__ import annotations

import ssl
import time
from pathlib import Path

import kopf

from backsweep_api.errors import UserError

__all__ = ["ClusterLogin", "LoginError"]

TOKEN_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
TOKEN_SECONDS = 60.0  # Kubernetes writes a new token long before the old one ends


class LoginError(UserError):
    """Neither a ServiceAccount nor a usable kubeconfig is there."""

    reason = "NoClusterLogin"


class ClusterLogin:
    """Address, certificates and token of the API server; for Kopf and for our own calls alike.

    Kopf's two login handlers read the files; plugins that a kubeconfig may name are not run.

    Raises
    ------
    LoginError
        If there is neither a ServiceAccount's token nor a kubeconfig that can be read.
    """

    def __init__(self, settings: kopf.OperatorSettings) -> None:
        self._settings = settings
        self._info = self.connection()
        self._read_at = 0.0
        self._headers: dict[str, str] = {}

    def connection(self) -> kopf.ConnectionInfo:
        """Return everything anew, as Kopf's login handlers do; a token that was replaced is read again."""
        try:
            found = kopf.login_with_service_account(settings=self._settings)
            found = found or kopf.login_with_kubeconfig(settings=self._settings)
        except (OSError, KeyError, TypeError, ValueError, kopf.LoginError) as error:
            raise LoginError(f"the kubeconfig cannot be used: {type(error).__name__}: {error}") from error
        if found is None:
            raise LoginError("there is no ServiceAccount token and no kubeconfig; set KUBECONFIG outside a cluster")
        return found

    @property
    def server(self) -> str:
        """The address of the API server."""
        return self._info.server.rstrip("/")

    @property
    def ssl_context(self) -> ssl.SSLContext | None:
        """What TLS is done with; None where the address is plain HTTP."""
        return self._info.as_ssl_context() if self.server.startswith("https") else None

    def headers(self, anew: bool = False) -> dict[str, str]:
        """Return the headers that say who we are; a ServiceAccount's token is read again every minute.

        Parameters
        ----------
        anew : read it now, since the one we had was refused.
        """
        now = time.monotonic()
        if anew or not self._headers or (now - self._read_at > TOKEN_SECONDS and TOKEN_FILE.exists()):
            self._headers = self.connection().as_http_headers()
            self._read_at = now
        return self._headers
