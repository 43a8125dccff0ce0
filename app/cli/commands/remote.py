"""The commands `remote add`, `remote list` and `remote remove`: models of other machines."""

import getpass
import sys
from argparse import Namespace

from app.cli.commands.console import Console, table
from app.cli.commands.models import error_text
from app.remote.endpoints import Endpoint, api_base
from app.remote.errors import RemoteError
from app.session.session import Session

_KEY_PLACES = {
    "keyring": "The key is saved in the system keyring.",
    "file": "The key is saved in a file that only you can read.",
    None: "No key is saved.",
}


def add(session: Session, args: Namespace, console: Console) -> None:
    """Keep a remote model under a name, with its key, and see what its server offers."""
    endpoint = Endpoint(args.name, api_base(args.url), args.model, args.insecure, args.proxy)
    kept = session.add_remote(endpoint, _key())
    console.say(_KEY_PLACES[kept])
    offered = _offered(session, endpoint, console)
    value = {"endpoint": endpoint, "key": kept, "models": offered}
    console.result(
        value, f"{args.name} has been added. Chat with it: `stillroom chat {args.name}`."
    )


def _key() -> str:
    """What is typed unseen, or the first line of standard input; empty for none."""
    if sys.stdin.isatty():
        return getpass.getpass("Key (empty for none): ").strip()
    return sys.stdin.readline().strip()


def _offered(session: Session, endpoint: Endpoint, console: Console) -> tuple[str, ...] | None:
    """The models its server lists; what goes wrong is told, the endpoint stays."""
    remote = session.remote(endpoint.name)
    assert remote is not None
    try:
        names = remote.models()
    except RemoteError as error:
        console.say(f"It does not respond yet. {error_text(error)}")
        return None
    listed = ", ".join(names) or "no model"
    if endpoint.model and endpoint.model not in names:
        console.say(f"The server does not list {endpoint.model}; it offers {listed}.")
    elif not endpoint.model and len(names) != 1:
        console.say(f"The server offers {listed}; choose one with --model.")
    return names


def list_remotes(session: Session, _args: Namespace, console: Console) -> None:
    """The remote models. They are asked nothing."""
    endpoints = [(each, bool(session.remotes.key(each))) for each in session.remotes.all()]
    rows = [
        (e.name, e.url, e.model or "(the only one)", "yes" if key else "no", "not offline")
        for e, key in endpoints
    ]
    values = [{"endpoint": endpoint, "key": key} for endpoint, key in endpoints]
    text = table(("NAME", "ADDRESS", "MODEL", "KEY", ""), rows)
    console.result(values, text or "No remote models yet.")


def remove(session: Session, args: Namespace, console: Console) -> None:
    """Forget a remote model and its key."""
    endpoint = session.remotes.remove(args.name)
    console.result(endpoint, f"{endpoint.name} and its key have been removed.")
