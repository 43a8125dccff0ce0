"""Limits of the server: sizes, times and counts. Data only."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """Bytes, seconds and counts. `waiting` is per model; `unread` is how long a client may leave
    what is sent to it unread. `requests` may be open at a time; connections twice as many, so that
    one too many still gets an error message."""

    body_bytes: int = 8 * MIB
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    unread_seconds: float = 30.0
    answer_seconds: float = 3600.0
    requests: int = 256
    waiting: int = 64


@dataclass(frozen=True)
class ServeOptions:
    """How models are served. `parallel` answers a model at a time, with `n_ctx` tokens each; None
    lets the plan decide. A model unused for `idle_seconds` is unloaded."""

    port: int
    host: str = "127.0.0.1"
    names: tuple[str, ...] = ()  # further host names clients may use, when open to the network
    parallel: int = 4
    n_ctx: int | None = None
    idle_seconds: float = 600.0
    limits: Limits = Limits()
