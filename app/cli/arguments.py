"""The command line: every command, its options and its help text.

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
    conversations,
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
from app.cli.commands.console import Console
from app.cli.commands.wish import add_wish
from app.quantizing.budget import parse_size
from app.session.session import Session
from quant.quality.texts import TextSet
from runtime.plan import TYPICAL_PROMPT, KvCacheType, Policy
from runtime.registry import offered

Command = Callable[[Session, argparse.Namespace, Console], None]


def parser() -> argparse.ArgumentParser:
    """The whole command line, also the source of its help texts."""
    top = argparse.ArgumentParser(
        prog="stillroom",
        description="Run distilled language models on this machine. Without a command: the window.",
    )
    top.add_argument("--version", action="version", version=f"stillroom {__version__}")
    commands = _Commands(top)
    commands.add("try", chat.try_it, "run every step once with the built-in starter model")
    commands.add(
        "devices", machine.devices, "list the devices of this machine and whether they are usable"
    )
    _add_model_commands(commands)
    _add_weight_commands(commands)
    _chat_options(commands.add_model("chat", chat.chat, "chat with a model, local or remote"))
    _export_options(
        commands.add("export", conversations.export, "list conversations, or export one to a file")
    )
    text = "benchmark prefill and decode; save and compare runs"
    _bench_options(commands.add("bench", bench.bench, text))
    text = "measure memory bandwidth, on which speed predictions are based"
    _profile_options(commands.add("profile", machine.profile, text))
    _remote_commands(commands.group("remote", "models on other OpenAI-compatible servers"))
    _serve_options(
        commands.add("serve", serve.serve, "start an OpenAI-compatible server on this machine")
    )
    text = "let llama.cpp on other machines compute here (trusted networks only)"
    rpc_server = commands.add("rpc", rpc.serve_rpc, text)
    rpc_server.add_argument("--host", default="127.0.0.1", metavar="ADDRESS")
    rpc_server.add_argument("--port", type=int, default=50052, metavar="N")
    rpc_server.add_argument(
        "--threads", type=_count, metavar="N", help="CPU threads (default: one per core)"
    )
    text = "confirm listening on an address the network can reach; RPC has no key"
    rpc_server.add_argument("--open-to-network", action="store_true", help=text)
    text = "score a model on tasks with lm-evaluation-harness"
    _eval_options(commands.add_model("eval", evaluate.evaluate, text))
    text = "test the whole installation and report problems"
    _doctor_options(commands.add("doctor", machine.doctor, text))
    return top


def _profile_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--full", action="store_true", help="full measurement: up to a minute instead of under 10 s"
    )
    command.add_argument(
        "--history", action="store_true", help="show how accurate predictions have been"
    )
    command.add_argument("--why", action="store_true", help="explain the speed of the last run")


def _doctor_options(command: argparse.ArgumentParser) -> None:
    text = "print versions and log for a bug report, without prompts, paths or names"
    command.add_argument("--report", action="store_true", help=text)


class _Commands:
    """Adds commands with the options that all of them have."""

    def __init__(self, top: argparse.ArgumentParser, under: str = "command") -> None:
        nested = under != "command"
        # A nested command without the option keeps the value given to the command above it.
        default: dict[str, Any] = {"default": argparse.SUPPRESS} if nested else {}
        self._common = argparse.ArgumentParser(add_help=False)
        for name, text in (
            ("--json", "print one JSON document to stdout"),
            ("--verbose", "also log to stderr"),
        ):
            self._common.add_argument(name, action="store_true", help=text, **default)
        text = "folder for models, settings, history and logs"
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
        text = "catalog id, installed name, path, or hub:OWNER/REPO/FILE"
        command.add_argument("model", metavar="MODEL", help=text)
        return command


def _add_model_commands(commands: _Commands) -> None:
    search = commands.add("search", models.search, "list models with size, fit and predicted speed")
    search.add_argument("--hub", action="store_true", help="also search the hub")
    add_wish(search)
    search.add_argument("text", nargs="*", metavar="TEXT", help="words in the name or family")
    commands.add_model(
        "inspect",
        models.inspect,
        "show what a model file's header says, without reading the weights",
    )
    plan = commands.add_model(
        "plan", models.plan, "show where a model would be placed, here or on a cluster"
    )
    _placement_options(plan)
    add_wish(plan)
    text = "plan for the GPUs this TOML or JSON file describes (docs/clusters.md)"
    plan.add_argument("--cluster", type=Path, metavar="FILE", help=text)
    plan.add_argument("--prompt-tokens", type=_count, default=TYPICAL_PROMPT, metavar="N",
                      help="prompt length for the predicted time to first token")  # fmt: skip
    text = "compare peak memory of models by batch size and context"
    _memory_options(commands.add("memory", memory.memory, text))
    add_wish(commands.add_model("pull", models.pull, "download, verify and install a model"))
    commands.add("list", models.list_models, "list installed models")
    commands.add_model("remove", models.remove, "move an installed model to the trash")
    commands.add_model("verify", models.verify, "check an installed model against its checksums")
    _add_library_commands(commands)


def _add_library_commands(commands: _Commands) -> None:
    text = "import a file or folder, or models of LM Studio, Ollama, Jan, GPT4All or the hub cache"
    imports = commands.add("import", library.import_models, text)
    imports.add_argument(
        "path",
        nargs="?",
        metavar="PATH",
        help="file, folder or name, or an exported conversation (default: list the models that can"
        " be imported)",
    )
    imports.add_argument(
        "--all", action="store_true", help="import all models found in other programs"
    )
    imports.add_argument(
        "--copy", action="store_true", help="copy the files instead of linking them"
    )
    restore = commands.add("restore", library.restore, "restore a removed model from the trash")
    restore.add_argument("name", metavar="MODEL")
    clean = commands.add("clean", library.clean_up, "list leftover files in the models folder")
    clean.add_argument("--yes", action="store_true", help="delete them and empty the trash")
    _pack_options(commands.add("packs", packs.packs, "add-on packs for GPUs and NPUs"))
    commands.add("update", packs.update, "check for a newer version, without downloading it")
    move = commands.add("move-models", library.move, "move all models to another folder")
    move.add_argument("folder", type=Path, metavar="FOLDER")


def _pack_options(command: argparse.ArgumentParser) -> None:
    text = "a wheel file, or the name of a pack to download (default: list all packs)"
    command.add_argument("wheel", nargs="?", metavar="FILE|NAME", help=text)
    command.add_argument("--sha256", metavar="HASH", help="expected SHA-256 of the file")
    command.add_argument("--remove", metavar="NAME", help="remove a pack")


def _remote_commands(commands: _Commands) -> None:
    text = "add a model of a server; the key is asked for, or read from stdin"
    add = commands.add("add", remote.add, text)
    add.add_argument("name", metavar="NAME", help="name for use in `stillroom chat NAME`")
    add.add_argument("url", metavar="URL", help="base URL of the API, for example https://host/v1")
    text = "the server's name for the model (default: the only one it offers)"
    add.add_argument("--model", default="", metavar="M", help=text)
    text = "accept plain HTTP to another machine: prompts and key can be read in transit"
    add.add_argument("--insecure", action="store_true", help=text)
    text = "proxy for this model only (default: HTTPS_PROXY)"
    add.add_argument("--proxy", default="", metavar="URL", help=text)
    commands.add(
        "list",
        remote.list_remotes,
        "list remote models, their addresses and whether a key is saved",
    )
    remove = commands.add("remove", remote.remove, "remove a remote model and its key")
    remove.add_argument("name", metavar="NAME")


def _add_weight_commands(commands: _Commands) -> None:
    text = "quantize a model to few bits, by the role of each tensor"
    _quantize_options(commands.add_model("quantize", convert.quantize, text))
    text = "measure the quality loss of quantization"
    _quality_options(commands.add_model("quality", convert.quality, text))


def _quantize_options(quantize: argparse.ArgumentParser) -> None:
    text = "make a GGUF file or an ONNX folder (default: whichever --prefer gives)"
    quantize.add_argument("--to", choices=("gguf", "onnx"), help=text)
    add_wish(quantize)
    text = "recipe instead of what --prefer gives: a name, or your own as FILE.json"
    how = quantize.add_mutually_exclusive_group()
    how.add_argument("--recipe", metavar="RECIPE", help=text)
    text = "size of the GGUF file, e.g. 4.5GB; formats are chosen by what errors cost, measured"
    how.add_argument("--size", type=_size, metavar="SIZE", help=text)
    text = "the same by bits per weight, e.g. 4.6"
    how.add_argument("--bits", type=_bits, metavar="BITS", help=text)
    text = "with --size or --bits: file to keep what was measured in, and to use it from again"
    quantize.add_argument("--sensitivities", type=Path, metavar="FILE", help=text)
    text = "calibrate with this text file (default: the bundled text)"
    quantize.add_argument(
        "--calibrate", nargs="?", type=Path, const=True, default=False, metavar="TEXT", help=text
    )
    text = "name of the new model; or a path to write it to instead of installing it"
    quantize.add_argument("--output", metavar="NAME|PATH", help=text)
    text = "quantize also what is quantized already, which adds to what that lost"
    quantize.add_argument("--requantize", action="store_true", help=text)
    text = "context length of the NPU graph (onnx only; a longer one needs another export)"
    quantize.add_argument("--context", type=int, metavar="N", help=text)


def _quality_options(quality: argparse.ArgumentParser) -> None:
    quality.add_argument("--against", metavar="SOURCE", help="the model it was quantized from")
    kinds, texts = quality.add_mutually_exclusive_group(), quality.add_mutually_exclusive_group()
    text = "tell whether MODEL or this one, made from the same source, is closer to it"
    kinds.add_argument("--versus", metavar="OTHER", help=text)
    text = "compare scales per tensor, per channel and per block"
    kinds.add_argument("--schemes", action="store_true", help=text)
    text = "measure on this text (repeat for several) instead of the bundled ones"
    texts.add_argument("--text", action="append", default=[], type=Path, metavar="FILE", help=text)
    text = (
        "bundled texts to measure on (default: evaluation, which no recipe was calibrated or"
        " tuned on)"
    )
    texts.add_argument("--set", choices=get_args(TextSet), default="evaluation", help=text)
    text = "measure short parts of each text only, within 50 seconds"
    quality.add_argument("--quick", action="store_true", help=text)
    text = "report on what has been measured after so many seconds"
    quality.add_argument("--seconds", type=_positive, metavar="N", help=text)


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no size like 4.5GB or 700MB") from None


def _bits(text: str) -> float:
    bits = float(text)
    if not 0 < bits <= 32:
        raise argparse.ArgumentTypeError("bits per weight are above 0 and at most 32")
    return bits


_DRAFT = "draft model for speculative decoding: smaller, with the same vocabulary"


def _placement_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--device", metavar="D", help="device id, see `stillroom devices`")
    command.add_argument("--policy", choices=get_args(Policy), default="auto")
    command.add_argument("--context", type=int, metavar="N", help="context length in tokens")
    command.add_argument("--kv-cache", choices=get_args(KvCacheType), metavar="TYPE")
    command.add_argument("--draft", default="", metavar="MODEL", help=_DRAFT)
    command.add_argument("--engine", choices=offered(), metavar="E")


def _memory_options(command: argparse.ArgumentParser) -> None:
    text = "catalog ids, names, paths or hub:... (default: one model per kind of attention)"
    command.add_argument("models", nargs="*", metavar="MODEL", help=text)
    command.add_argument("--batches", type=_numbers, default=(1, 2, 4, 8, 16), metavar="1,2,...")
    contexts = (1024, 2048, 4096, 8192, 16384, 32768)
    command.add_argument("--contexts", type=_numbers, default=contexts, metavar="2048,...")
    command.add_argument("--kv-cache", choices=get_args(KvCacheType), metavar="TYPE")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it must be at least 1")
    return number


def _numbers(text: str) -> tuple[int, ...]:
    numbers = tuple(int(part) for part in text.split(","))
    if any(number < 1 for number in numbers):
        raise argparse.ArgumentTypeError("numbers must be at least 1")
    return numbers


def _chat_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--prompt", metavar="TEXT", help="answer this prompt and exit")
    text = "attach this file to the first message: text, PDF or docx (repeat for several)"
    command.add_argument(
        "--attach", action="append", default=[], type=Path, metavar="FILE", help=text
    )
    command.add_argument("--device", metavar="D")
    command.add_argument("--engine", choices=offered(), metavar="E")
    command.add_argument("--context", type=int, metavar="N", help="context length in tokens")
    command.add_argument("--draft", default="", metavar="MODEL", help=_DRAFT)
    command.add_argument("--max-tokens", type=int, metavar="N")
    command.add_argument(
        "--seed", type=int, metavar="N", help="random seed, for reproducible sampling"
    )
    text = "ask a second model the same and show both answers (with --prompt)"
    command.add_argument("--against", metavar="MODEL", help=text)
    text = "answer N times and keep the answer that most agree on"
    command.add_argument("--best-of", type=_count, default=1, metavar="N", help=text)
    text = "ask for step-by-step reasoning with the result in a box, as DeepSeek recommends"
    command.add_argument("--math", action="store_true", help=text)
    text = "decode without speculative decoding (the answer is the same)"
    command.add_argument("--no-speculation", action="store_true", help=text)


def _export_options(command: argparse.ArgumentParser) -> None:
    text = "number, title or words of the title (default: list all conversations)"
    command.add_argument("conversation", nargs="?", metavar="CONVERSATION", help=text)
    text = "default: as the name of the output file says, else markdown"
    command.add_argument("--format", choices=tuple(conversations.FORMATS), help=text)
    text = "file or folder to write to (default: stdout); a file that is there is replaced"
    command.add_argument("--output", type=Path, metavar="PATH", help=text)


def _eval_options(command: argparse.ArgumentParser) -> None:
    text = (
        "task names, separated by commas; only tasks that generate text, none scored by likelihood"
    )
    command.add_argument("--tasks", required=True, metavar="NAMES", help=text)
    command.add_argument(
        "--include", type=Path, metavar="FOLDER", help="folder with your own task files"
    )
    command.add_argument("--limit", type=_count, metavar="N", help="at most N samples per task")
    other = command.add_mutually_exclusive_group()
    text = "score a second model and show the difference with its confidence interval"
    other.add_argument("--against", metavar="MODEL", help=text)
    text = "show the difference to a published score, in the unit of the task"
    other.add_argument("--published", type=float, metavar="SCORE", help=text)
    command.add_argument(
        "--download", action="store_true", help="let the harness download data sets"
    )
    text = "Python interpreter with lm-eval (default: this one)"
    command.add_argument("--python", type=Path, metavar="PATH", help=text)
    command.add_argument(
        "--parallel", type=_count, default=4, metavar="N", help="parallel requests (default: 4)"
    )
    command.add_argument(
        "--context", type=_count, metavar="N", help="context length of each request"
    )


def _serve_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--port", type=int, metavar="N", help="port (default: the one in the settings)"
    )
    command.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="address to listen on"
    )
    text = "confirm listening on an address the network can reach; requests still need the key"
    command.add_argument("--open-to-network", action="store_true", help=text)
    text = "a host name that clients use for this machine (repeat for several)"
    command.add_argument("--name", action="append", default=[], metavar="NAME", help=text)
    text = "parallel answers per model (default: 4)"
    command.add_argument("--parallel", type=_count, default=4, metavar="N", help=text)
    command.add_argument(
        "--context", type=_count, metavar="N", help="context length of each answer"
    )
    text = "unload a model after so many minutes without use (default: 10)"
    command.add_argument("--idle-minutes", type=float, default=10.0, metavar="N", help=text)
    command.add_argument("--show-key", action="store_true", help="show the key")
    command.add_argument(
        "--new-key", action="store_true", help="create a new key; the old one stops working"
    )


def _count(text: str) -> int:
    (number,) = _numbers(text)
    return number


def _bench_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "model", metavar="MODEL", nargs="?", help="catalog id, installed name, or path"
    )
    command.add_argument("--prompt-tokens", type=int, default=512, metavar="N")
    command.add_argument("--generate-tokens", type=int, default=128, metavar="N")
    command.add_argument(
        "--repeat", type=int, default=3, metavar="N", help="measured repetitions after one warm-up"
    )
    command.add_argument(
        "--depths", type=int, nargs="+", metavar="N",
        help="tokens already in the context (default: 0, 1024 and 4096, where they fit)",
    )  # fmt: skip
    command.add_argument("--device", metavar="D")
    command.add_argument("--engine", choices=offered(), metavar="E")
    command.add_argument("--context", type=int, metavar="N", help="context length in tokens")
    command.add_argument("--save", type=Path, metavar="FILE", help="save the run as JSON")
    command.add_argument(
        "--compare", type=Path, nargs=2, metavar="FILE", help="compare two saved runs"
    )
