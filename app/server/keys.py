"""The server's own key: made at the first start, kept like every other token, compared evenly.

Knows random numbers and the token store; knows no request.
"""

import hmac
import secrets

from app.hub.tokens import TokenStore

SERVER = "local-server"  # its name in the token store
_BYTES = 32


def server_key(store: TokenStore) -> tuple[str, bool]:
    """The key, and whether it was made just now. May block on the system's keyring."""
    key = store.get(SERVER)
    if key:
        return key, False
    return new_key(store), True


def new_key(store: TokenStore) -> str:
    """A fresh key in place of the one before, which is refused from the next start on."""
    key = "sk-stillroom-" + secrets.token_urlsafe(_BYTES)
    store.set(SERVER, key)
    return key


def same_key(given: bytes, key: bytes) -> bool:
    """Whether two keys are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(given, key)
