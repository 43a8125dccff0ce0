"""The server's own key: created at the first start, stored like tokens, compared in constant time.

Knows random numbers and the token store; knows no request.
"""

import hmac
import secrets

from app.hub.tokens import TokenStore

SERVER = "local-server"  # its name in the token store
_BYTES = 32


def server_key(store: TokenStore) -> tuple[str, bool]:
    """The key, and whether it has just been created. May block on the system keyring."""
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
    """Whether two keys are equal, compared in constant time."""
    return hmac.compare_digest(given, key)
