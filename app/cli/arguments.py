"""The words of the command line: every command, its options and its help text.

Knows which function runs a command; runs none.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from app import __version__
from app.cli.commands import (
    bench,
    chat,
    convert,
    evaluate,
    library,
    machine,
    memory,
    models,
    packs,
    remote,
    rpc,
    serve,
)
from app.cli.console import Console
from app.session.session import Session
from runtime.plan import TYPICAL_PROMPT, EngineName, KvCacheType, Policy

Command = Callable[[Session, argparse.Namespace, Console], None]


def parser() -> argparse.ArgumentParser:
    """The whole command line, also the source of its help texts."""
    top = argparse.ArgumentParser(
        prog="stillroom",
        description="Run distilled language models on this machine. Without a command: the window.",
    )
    top.add_argument("--version", action="version", version=f"stillroom {__version__}")
    commands = _Commands(top)
    commands.add("try", chat.try_it, "the whole path on the built-in starter model")
    commands.add("devices", machine.devices, "what this machine has, and what is usable")
    _add_model_commands(commands)
    _add_weight_commands(commands)
    _chat_options(commands.add_model("chat", chat.chat, "talk to a model, here or remote"))
    text = "measured prefill and decode, saved and compared"
    _bench_options(commands.add("bench", bench.bench, text))
    text = "measure memory bandwidth; predictions rest on it"
    profile = commands.add("profile", machine.profile, text)
    profile.add_argument("--full", action="store_true", help="under a minute instead of 5 s")
    profile.add_argument("--history", action="store_true", help="how predictions have fared")
    profile.add_argument(
        "--why", action="store_true", help="why the last run was as fast as it was"
    )
    _remote_commands(commands.group("remote", "models of OpenAI-compatible servers elsewhere"))
    _serve_options(commands.add("serve", serve.serve, "OpenAI-compatible server on this machine"))
    text = "lend this machine to llama.cpp elsewhere; in trusted networks only"
    rpc_server = commands.add("rpc", rpc.serve_rpc, text)
    rpc_server.add_argument("--host", default="127.0.0.1", metavar="ADDRESS")
    rpc_server.add_argument("--port", type=int, default=50052, metavar="N")
    rpc_server.add_argument("--threads", type=_count, metavar="N", help="one for each core")
    text = "confirm an address that the network can reach; RPC has no key"
    rpc_server.add_argument("--open-to-network", action="store_true", help=text)
    text = "score a model on tasks, with lm-evaluation-harness"
    _eval_options(commands.add_model("eval", evaluate.evaluate, text))
    commands.add("doctor", machine.doctor, "self-test of everything")
    return top


class _Commands:
    """Adds commands with the options that all of them have."""

    def __init__(self, top: argparse.ArgumentParser, under: str = "command") -> None:
        nested = under != "command"
        # A nested command that is not told leaves what the one above it was told.
        default: dict[str, Any] = {"default": argparse.SUPPRESS} if nested else {}
        self._common = argparse.ArgumentParser(add_help=False)
        for name, text in (
            ("--json", "one JSON document on stdout"),
            ("--verbose", "log to stderr too"),
        ):
            self._common.add_argument(name, action="store_true", help=text, **default)
        text = "keep everything in this folder"
        self._common.add_argument("--home", type=Path, help=text, **default)
        self._commands = top.add_subparsers(dest=under, metavar=under.upper(), required=nested)

    def group(self, name: str, text: str) -> "_Commands":
        """A command that has commands of its own."""
        top = self._commands.add_parser(name, parents=[self._common], help=text, description=text)
        return _Commands(top, "action")

    def add(self, name: str, run: Command, text: str) -> argparse.ArgumentParser:
        command = self._commands.add_parser(
            name, parents=[self._common], help=text, description=text
        )
        command.set_defaults(run=run)
        return command

    def add_model(self, name: str, run: Command, text: str) -> argparse.ArgumentParser:
        command = self.add(name, run, text)
        words = "catalog id, installed name, path, or hub:OWNER/REPO/FILE"
        command.add_argument("model", metavar="MODEL", help=words)
        return command


def _add_model_commands(commands: _Commands) -> None:
    search = commands.add("search", models.search, "models with size, fit and predicted speed")
    search.add_argument("--hub", action="store_true", help="ask the hub too")
    search.add_argument("text", nargs="*", metavar="TEXT", help="words in name or family")
    commands.add_model("inspect", models.inspect, "header facts, without the weights")
    plan = commands.add_model("plan", models.plan, "where a model would go, here or on a cluster")
    _placement_options(plan)
    text = "plan for the GPUs this TOML or JSON file describes (docs/clusters.md)"
    plan.add_argument("--cluster", type=Path, metavar="FILE", help=text)
    plan.add_argument("--prompt-tokens", type=_count, default=TYPICAL_PROMPT, metavar="N",
                      help="tokens of the prompt whose first token is predicted")  # fmt: skip
    text = "peak memory by batch and context, models side by side"
    _memory_options(commands.add("memory", memory.memory, text))
    commands.add_model("pull", models.pull, "download, verify, install")
    commands.add("list", models.list_models, "installed models")
    commands.add_model("remove", models.remove, "move an installed model to the trash")
    commands.add_model("verify", models.verify, "compare a model with its checksums")
    _add_library_commands(commands)


def _add_library_commands(commands: _Commands) -> None:
    text = "take a model file or folder, or one of LM Studio, Ollama, Jan, GPT4All, the hub's cache"
    imports = commands.add("import", library.import_models, text)
    imports.add_argument("path", nargs="?", metavar="PATH", help="file, folder or name; else lists")
    imports.add_argument("--all", action="store_true", help="all that other programs have")
    imports.add_argument("--copy", action="store_true", help="copy the files, instead of a link")
    restore = commands.add("restore", library.restore, "bring a removed model back")
    restore.add_argument("name", metavar="MODEL")
    clean = commands.add("clean", library.clean_up, "what nobody needs in the models folder")
    clean.add_argument("--yes", action="store_true", help="delete it, and empty the trash")
    _pack_options(commands.add("packs", packs.packs, "add-on packs for GPUs and NPUs"))
    commands.add("update", packs.update, "ask whether there is a newer version; downloads nothing")
    move = commands.add("move-models", library.move, "move all models to another folder")
    move.add_argument("folder", type=Path, metavar="FOLDER")


def _pack_options(command: argparse.ArgumentParser) -> None:
    text = "a wheel, or the name of a pack to fetch; without it, lists what there is"
    command.add_argument("wheel", nargs="?", metavar="FILE|NAME", help=text)
    command.add_argument("--sha256", metavar="HASH", help="what the file must have")
    command.add_argument("--remove", metavar="NAME", help="remove a pack")


def _remote_commands(commands: _Commands) -> None:
    text = "name a server's model; its key is asked for, or read from standard input"
    add = commands.add("add", remote.add, text)
    add.add_argument("name", metavar="NAME", help="what `stillroom chat NAME` calls it")
    add.add_argument("url", metavar="URL", help="the API's base, as https://host/v1")
    text = "the server's name for the model (the only one it offers)"
    add.add_argument("--model", default="", metavar="M", help=text)
    text = "accept http to another machine: prompts and key can be read on the way"
    add.add_argument("--insecure", action="store_true", help=text)
    text = "a proxy for this model alone (else HTTPS_PROXY is followed)"
    add.add_argument("--proxy", default="", metavar="URL", help=text)
    commands.add("list", remote.list_remotes, "the remote models, their addresses and keys")
    remove = commands.add("remove", remote.remove, "forget a remote model and its key")
    remove.add_argument("name", metavar="NAME")


def _add_weight_commands(commands: _Commands) -> None:
    quantize = commands.add_model("quantize", convert.quantize, "convert to 4-bit blocks by role")
    text = "by default that of the engine that was faster here last"
    quantize.add_argument("--to", choices=("gguf", "onnx"), help=text)
    text = (
        "recipe instead of the usual one: a name, or your own as FILE.json; onnx-q4-fast decodes"
        " about a quarter faster than the usual ONNX recipe and loses more"
    )
    quantize.add_argument("--recipe", metavar="RECIPE", help=text)
    text = "weigh errors by what a text (else the bundled one) sends through the model"
    quantize.add_argument(
        "--calibrate", nargs="?", type=Path, const=True, default=False, metavar="TEXT", help=text
    )
    quantize.add_argument("--output", metavar="NAME", help="name of the new model")
    text = "tokens an NPU can hold (onnx; longer needs another export)"
    quantize.add_argument("--context", type=int, metavar="N", help=text)
    quality = commands.add_model("quality", convert.quality, "what quantization cost, measured")
    quality.add_argument("--against", metavar="SOURCE", help="the model it was made from")
    quality.add_argument("--schemes", action="store_true", help="per tensor, channel and block")
    text = "measure over this text (again for several) instead of the bundled ones"
    quality.add_argument(
        "--text", action="append", default=[], type=Path, metavar="FILE", help=text
    )
    text = "over the first 2,000 tokens or so, for a first look"
    quality.add_argument("--quick", action="store_true", help=text)


_DRAFT = "a smaller model with the same vocabulary that guesses ahead"


def _placement_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--device", metavar="D", help="device id, see `stillroom devices`")
    command.add_argument("--policy", choices=get_args(Policy), default="auto")
    command.add_argument("--context", type=int, metavar="N", help="tokens")
    command.add_argument("--kv-cache", choices=get_args(KvCacheType), metavar="TYPE")
    command.add_argument("--draft", default="", metavar="MODEL", help=_DRAFT)
    command.add_argument("--engine", choices=get_args(EngineName)[:3], metavar="E")


def _memory_options(command: argparse.ArgumentParser) -> None:
    text = "catalog ids, names, paths or hub:...; without any, models of each kind of attention"
    command.add_argument("models", nargs="*", metavar="MODEL", help=text)
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
    command.add_argument("--draft", default="", metavar="MODEL", help=_DRAFT)
    command.add_argument("--max-tokens", type=int, metavar="N")
    command.add_argument("--seed", type=int, metavar="N", help="draw the same tokens again")
    text = "ask another model the same and show both answers (with --prompt)"
    command.add_argument("--against", metavar="MODEL", help=text)
    text = "answer so many times and keep the answer most agree on"
    command.add_argument("--best-of", type=_count, default=1, metavar="N", help=text)
    text = "ask for step-by-step reasoning with the result in a box, as DeepSeek recommends"
    command.add_argument("--math", action="store_true", help=text)
    text = "decode token by token, with nothing guessed ahead (the answer is the same)"
    command.add_argument("--no-guessing", action="store_true", help=text)


def _eval_options(command: argparse.ArgumentParser) -> None:
    text = "names of tasks with commas between; tasks that generate text, not those by likelihood"
    command.add_argument("--tasks", required=True, metavar="NAMES", help=text)
    command.add_argument("--include", type=Path, metavar="FOLDER", help="task files of your own")
    command.add_argument("--limit", type=_count, metavar="N", help="only so many samples a task")
    other = command.add_mutually_exclusive_group()
    text = "score another model on the same and show the difference with its interval"
    other.add_argument("--against", metavar="MODEL", help=text)
    text = "show the difference to a score as published, a number in the task's own unit"
    other.add_argument("--published", type=float, metavar="SCORE", help=text)
    command.add_argument("--download", action="store_true", help="let the harness fetch data sets")
    text = "interpreter that has lm-eval (this one)"
    command.add_argument("--python", type=Path, metavar="PATH", help=text)
    command.add_argument(
        "--parallel", type=_count, default=4, metavar="N", help="requests at a time"
    )
    command.add_argument("--context", type=_count, metavar="N", help="tokens of each request")


def _serve_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--port", type=int, metavar="N", help="instead of the one in the settings")
    command.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="address to listen at"
    )
    text = "confirm an address that the network can reach; every request still needs the key"
    command.add_argument("--open-to-network", action="store_true", help=text)
    text = "a host name clients use for this machine; may be given again"
    command.add_argument("--name", action="append", default=[], metavar="NAME", help=text)
    text = "answers of one model at a time (4)"
    command.add_argument("--parallel", type=_count, default=4, metavar="N", help=text)
    command.add_argument("--context", type=_count, metavar="N", help="tokens of each answer")
    text = "unload a model unused for so long (10)"
    command.add_argument("--idle-minutes", type=float, default=10.0, metavar="N", help=text)
    command.add_argument("--show-key", action="store_true", help="show the key")
    command.add_argument("--new-key", action="store_true", help="make a new key, end the old one")


def _count(text: str) -> int:
    (number,) = _numbers(text)
    return number


def _bench_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", metavar="MODEL", nargs="?", help="catalog id, name, or path")
    command.add_argument("--prompt-tokens", type=int, default=512, metavar="N")
    command.add_argument("--generate-tokens", type=int, default=128, metavar="N")
    command.add_argument("--repeat", type=int, default=3, metavar="N", help="after one warm-up")
    command.add_argument(
        "--depths", type=int, nargs="+", metavar="N",
        help="tokens in the cache before the measured ones (default: those of 0, 1024 and 4096"
        " that the context has room for)",
    )  # fmt: skip
    command.add_argument("--device", metavar="D")
    command.add_argument("--engine", choices=get_args(EngineName)[:3], metavar="E")
    command.add_argument("--context", type=int, metavar="N", help="tokens")
    command.add_argument("--save", type=Path, metavar="FILE", help="keep the run as JSON")
    command.add_argument("--compare", type=Path, nargs=2, metavar="FILE", help="two saved runs")
