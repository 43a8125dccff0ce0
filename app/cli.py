"""The command line: parses, opens a session, runs one command, words what went wrong.

Exit codes: 0 done, 1 failed (one sentence and a hint on stderr), 2 wrong usage. With --json exactly
one JSON document goes to stdout. Knows no engine and no widget.
"""

import argparse
import dataclasses
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

import msgspec

from app import __version__
from app.commands import bench, chat, convert, machine, models
from app.console import Console
from app.errors import AppError
from app.explain import explain
from app.logs import start_logging, trim_log
from app.paths import Paths
from app.session import Session
from app.settings import load as load_settings
from quant.errors import QuantError
from runtime.errors import EngineError
from runtime.jobs import Cancelled
from runtime.plan import EngineName, KvCacheType, Policy

logger = logging.getLogger(__name__)

Command = Callable[[Session, argparse.Namespace, Console], None]


def parser() -> argparse.ArgumentParser:
    """The whole command line, also the source of its help texts."""
    top = argparse.ArgumentParser(
        prog="stillroom",
        description="Run distilled language models on this machine. Without a command: the window.",
    )
    top.add_argument("--version", action="version", version=f"stillroom {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="one JSON document on stdout")
    common.add_argument("--home", type=Path, help="keep everything in this folder")
    common.add_argument("--verbose", action="store_true", help="log to stderr too")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")

    def add(name: str, run: Command, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, parents=[common], help=text, description=text)
        command.set_defaults(run=run)
        return command

    def add_model(name: str, run: Command, text: str) -> argparse.ArgumentParser:
        command = add(name, run, text)
        command.add_argument("model", metavar="MODEL", help="catalog id, installed name, or path")
        return command

    add("try", chat.try_it, "the whole path on the built-in starter model")
    add("devices", machine.devices, "what this machine has, and what is usable")
    search = add("search", models.search, "models with size, fit and predicted speed")
    search.add_argument("--hub", action="store_true", help="ask the hub too")
    search.add_argument("text", nargs="*", metavar="TEXT", help="words in name or family")
    add_model("inspect", models.inspect, "header facts, without the weights")
    _placement_options(add_model("plan", models.plan, "where a model would go here"))
    _memory_options(add_model("memory", models.memory, "peak memory by batch and context"))
    add_model("pull", models.pull, "download, verify, install")
    add("list", models.list_models, "installed models")
    add_model("remove", models.remove, "move an installed model to the trash")
    add_model("verify", models.verify, "compare a model with its checksums")
    quantize = add_model("quantize", convert.quantize, "convert to 4-bit blocks by role")
    quantize.add_argument("--to", choices=("gguf", "onnx"), default="gguf")
    quantize.add_argument("--recipe", metavar="NAME", help="recipe, instead of the usual one")
    quantize.add_argument("--output", metavar="NAME", help="name of the new model")
    quality = add_model("quality", convert.quality, "what quantization cost, measured")
    quality.add_argument("--against", metavar="SOURCE", help="the model it was made from")
    quality.add_argument("--schemes", action="store_true", help="per tensor, channel and block")
    _chat_options(add_model("chat", chat.chat, "talk to a model"))
    _bench_options(add("bench", bench.bench, "measured prefill and decode, saved and compared"))
    profile = add("profile", machine.profile, "measure memory bandwidth; predictions rest on it")
    profile.add_argument("--full", action="store_true", help="under a minute instead of 5 s")
    profile.add_argument("--history", action="store_true", help="how predictions have fared")
    add("doctor", machine.doctor, "self-test of everything")
    return top


def _placement_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--device", metavar="D", help="device id, see `stillroom devices`")
    command.add_argument("--policy", choices=get_args(Policy), default="auto")
    command.add_argument("--context", type=int, metavar="N", help="tokens")
    command.add_argument("--kv-cache", choices=get_args(KvCacheType), metavar="TYPE")
    command.add_argument("--engine", choices=get_args(EngineName)[:3], metavar="E")


def _memory_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--batches", type=_numbers, default=(1, 2, 4, 8, 16), metavar="1,2,...")
    contexts = (1024, 2048, 4096, 8192, 16384, 32768)
    command.add_argument("--contexts", type=_numbers, default=contexts, metavar="2048,...")
    command.add_argument("--kv-cache", choices=get_args(KvCacheType), metavar="TYPE")


def _numbers(text: str) -> tuple[int, ...]:
    numbers = tuple(int(part) for part in text.split(","))
    if any(number < 1 for number in numbers):
        raise argparse.ArgumentTypeError("numbers must be at least 1")
    return numbers


def _chat_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--prompt", metavar="TEXT", help="answer this and end")
    command.add_argument("--device", metavar="D")
    command.add_argument("--engine", choices=get_args(EngineName)[:3], metavar="E")
    command.add_argument("--context", type=int, metavar="N", help="tokens")
    command.add_argument("--max-tokens", type=int, metavar="N")
    command.add_argument("--seed", type=int, metavar="N", help="draw the same tokens again")


def _bench_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", metavar="MODEL", nargs="?", help="catalog id, name, or path")
    command.add_argument("--prompt-tokens", type=int, default=512, metavar="N")
    command.add_argument("--generate-tokens", type=int, default=128, metavar="N")
    command.add_argument("--repeat", type=int, default=3, metavar="N", help="after one warm-up")
    command.add_argument(
        "--depths", type=int, nargs="+", default=[0, 1024, 4096], metavar="N",
        help="tokens in the cache before the measured ones",
    )  # fmt: skip
    command.add_argument("--device", metavar="D")
    command.add_argument("--engine", choices=get_args(EngineName)[:3], metavar="E")
    command.add_argument("--context", type=int, metavar="N", help="tokens")
    command.add_argument("--save", type=Path, metavar="FILE", help="keep the run as JSON")
    command.add_argument("--compare", type=Path, nargs=2, metavar="FILE", help="two saved runs")


def open_session(home: Path | None, *, verbose: bool = False) -> Session:
    """A session on the user's folders, with logging started."""
    paths = Paths.under(home) if home else Paths.default()
    start_logging(paths.log, verbose=verbose)
    trim_log(paths.worker_log)
    settings, problems = load_settings(paths.settings, os.environ)
    for problem in problems:
        print(explain(problem).sentence, file=sys.stderr)
    return Session(paths, settings)


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    args = parser().parse_args(arguments)
    console = Console(as_json=args.json)
    session = open_session(args.home, verbose=args.verbose)
    try:
        args.run(session, args, console)
    except BrokenPipeError:  # whoever read our output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (AppError, EngineError, QuantError, Cancelled, OSError) as error:
        return _failed(error, console)
    except KeyboardInterrupt:
        return _failed(Cancelled(), console)
    except Exception as error:  # a fault of ours: the log has the traceback
        logger.exception("command %s failed", args.command)
        return _failed(error, console)
    finally:
        session.close()
    return 0


def _failed(error: BaseException, console: Console) -> int:
    words = explain(error)
    console.say("stillroom: " + words.sentence)
    if words.hint:
        console.say(words.hint)
    if console.as_json:
        facts = getattr(error, "facts", {})
        console.result(
            {
                "error": type(error).__name__,
                "facts": msgspec.to_builtins(facts, enc_hook=str),
                **dataclasses.asdict(words),
            },
            "",
        )
    return 1
