"""The command `serve`: the OpenAI-compatible server in the foreground."""

import signal
import sys
import threading
from argparse import Namespace

from app.cli.commands.console import Console
from app.server.address import LOOPBACK
from app.server.faults import NotConfirmed
from app.server.keys import new_key
from app.server.launch import Server, start_server
from app.server.limits import ServeOptions
from app.session.session import Session

_CONFIRM = "open to the network"
_WARNING = (
    "Warning: anyone on this network who has the key can run models on this machine, and requests\n"
    "and answers cross the network unencrypted."
)


def serve(session: Session, args: Namespace, console: Console) -> None:
    """Serve the installed models until interrupted."""
    if args.host not in LOOPBACK:
        _confirm(args, console)
    if args.new_key:
        new_key(session.acquisition.tokens)
    options = ServeOptions(
        port=session.settings.server_port if args.port is None else args.port,
        host=args.host,
        names=tuple(args.name),
        parallel=args.parallel,
        n_ctx=args.context,
        idle_seconds=60.0 * args.idle_minutes,
    )
    started = start_server(session, options)
    server, url = started.server, started.server.address.url
    show = started.new_key or args.new_key or args.show_key
    shown = started.key if show else None
    console.say(f"Serving at {url}; Ctrl+C stops it. Every request needs the key.")
    if shown:
        console.say(f"Key: {shown}")
    else:
        console.say("The key has not changed; --show-key shows it, --new-key creates a new one.")
    console.result({"url": url, "key": shown}, "")
    try:
        _until_told_to_stop(server)
    finally:
        server.stop()


def _confirm(args: Namespace, console: Console) -> None:
    """Opening to the network is a step of its own: typed, or given as a word of its own."""
    console.say(_WARNING)
    if args.open_to_network:
        return
    if not sys.stdin.isatty():
        raise NotConfirmed(host=args.host)
    console.say(f"Type “{_CONFIRM}” to continue:")
    if input().strip().lower() != _CONFIRM:
        raise NotConfirmed(host=args.host)


def _until_told_to_stop(server: Server) -> None:
    """Block until the server ends or SIGTERM comes; Ctrl+C raises."""
    told = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda _number, _frame: told.set())
    try:
        while server.running and not told.wait(0.2):
            pass
    except KeyboardInterrupt:
        return
    finally:
        signal.signal(signal.SIGTERM, before)
