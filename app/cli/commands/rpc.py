"""The command `rpc`: llama.cpp's stock RPC server in the foreground, in a process of its own."""

from argparse import Namespace

from app.cli.commands.console import Console
from app.errors import RpcServerEnded
from app.server.address import LOOPBACK
from app.server.faults import NotConfirmed
from app.session.session import Session
from runtime.process.client import run_job
from runtime.process.job_table import RPC_SERVER
from runtime.process.job_values import RpcServerArgs
from runtime.progress import CancelToken

_WARNING = (
    "Warning: RPC has neither a key nor encryption. Anyone who can reach this address can use the\n"
    "engine without limits and read what is sent. Use it only in trusted networks."
)


def serve_rpc(session: Session, args: Namespace, console: Console) -> None:
    """Lend this machine's memory and cores until interrupted."""
    console.say(_WARNING)
    if args.host not in LOOPBACK and not args.open_to_network:
        raise NotConfirmed(host=args.host)
    address = f"{args.host}:{args.port}"
    session.paths.logs.mkdir(parents=True, exist_ok=True)
    console.say(
        f"RPC server running at {address}; Ctrl+C stops it. On the other machine:"
        f" STILLROOM_RPC_SERVERS={address} stillroom chat MODEL --device rpc"
    )
    session.cpu_library.select()
    cancel = CancelToken()
    job = RpcServerArgs(address, args.threads)
    run_job(RPC_SERVER, job, console.progress, cancel, session.paths.worker_log)
    raise RpcServerEnded(address=address)
