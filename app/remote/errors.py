"""What can go wrong between here and a remote model. Facts only; `app.wording` words them."""

from typing import Literal

from app.errors import AppError, OfflineKind
from quant.error_base import LogOnly

NotUnderstoodCode = Literal[
    "not_json", "no_model_list", "no_stream", "no_type", "long_line", "no_chunk"
]


class RemoteError(AppError):
    """Base of the others. `name` is the endpoint's name and `url` its address, without the key."""

    name: str
    url: LogOnly[str]


class RemoteUnreachable(RemoteError):
    """`detail` is the system's own words."""

    url: str
    kind: OfflineKind
    detail: LogOnly[str] = ""


class RemoteKeyRefused(RemoteError):
    """`status` is 401 or 403, `detail` the server's message."""

    url: str
    status: int
    key_sent: LogOnly[bool]
    detail: str


class RemoteBusy(RemoteError):
    """`retry_after` is in seconds, None when the server did not say."""

    retry_after: float | None


class RemoteRefused(RemoteError):
    """The request itself was not accepted, or failed. `detail` is the server's message."""

    status: int
    detail: str


class RemoteRedirects(RemoteError):
    """Never followed: the key and the prompt would go elsewhere."""

    url: str
    target: str


class RemoteNotUnderstood(RemoteError):
    """Something answered that is no OpenAI-compatible server. `found` is the kind of its answer,
    `limit` in characters."""

    url: str
    reason: NotUnderstoodCode
    found: str | None = None
    limit: int | None = None


class RemoteCut(RemoteError):
    """`pieces` is how much of the text came before the connection ended."""

    pieces: int
