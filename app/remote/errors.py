"""What can go wrong between here and a remote model. Facts only; worded by `app.wording.explain`.

`name` is the endpoint's name and `url` its address, without the key.
"""

from app.errors import AppError


class RemoteError(AppError):
    """facts: name, url; base of the others."""


class RemoteUnreachable(RemoteError):
    """facts: kind (of app.hub.endpoint.failure_kind, or "setting"), reason (the system's words)."""


class RemoteKeyRefused(RemoteError):
    """facts: status (401 or 403), key_sent, message (the server's)."""


class RemoteBusy(RemoteError):
    """facts: retry_after (seconds, or None when the server did not say)."""


class RemoteRefused(RemoteError):
    """facts: status, message (the server's). The request itself was not accepted, or failed."""


class RemoteRedirects(RemoteError):
    """facts: target. Never followed: the key and the prompt would go elsewhere."""


class RemoteNotUnderstood(RemoteError):
    """facts: reason. Something answered that is no OpenAI-compatible server."""


class RemoteCut(RemoteError):
    """facts: pieces (of text before the connection ended)."""
