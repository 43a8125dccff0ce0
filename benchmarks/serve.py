"""The local server beside llama-server: many clients for a while, at the same parallelism.

    python -m benchmarks.serve        32 clients, 8 answers at a time, 60 s, 3 rounds, the starter

Every client asks for one streamed answer after another, with prompts of different lengths. Both
servers are built on the same engine and run alternately, each in fresh processes. Taken are tokens
per second over all clients, the time to the first token, errors, how much memory grew, and what
else the machine did: a round that other programs disturbed shows in `cores_of_others`.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.common.llama_cpp import llama_server, tool
from benchmarks.common.options import add_options, command_line
from benchmarks.common.results import write_results
from benchmarks.common.starter import open_session, starter_q4

KEY_LINE = "Key: "
PROMPTS = [
    "Tell me about " + subject + "." + " Answer in plain words." * (number % 7)
    for number, subject in enumerate(
        "the sea,winter,old bridges,a river,bread,the moon,trains,a garden,music,maps,wool,"
        "lighthouses,stones,rain,a library,bees,paper,salt,the desert,clocks,islands,glass,"
        "horses,a market,snow,letters,fire,boats,tea,mountains,windows,dogs".split(",")
    )
]


@dataclass
class Tally:
    """What all clients saw."""

    tokens: int = 0
    answers: int = 0
    refused: int = 0
    errors: list[str] = field(default_factory=list)
    first: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Target:
    """A server under test: its address, headers, model, and the process it lives in."""

    host: str
    port: int
    model: str
    key: str
    process: psutil.Process

    def memory(self) -> int:
        """Resident bytes of the server and its children."""
        return sum(each.memory_info().rss for each in self._family())

    def cpu_seconds(self) -> float:
        """Processor time of the server and its children so far."""
        times = [each.cpu_times() for each in self._family()]
        return sum(each.user + each.system for each in times)

    def _family(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


async def ask(target: Target, prompt: str, most_tokens: int, tally: Tally) -> None:
    """One streamed answer over a connection of its own."""
    fields = {
        "model": target.model,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": most_tokens,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    body = json.dumps(fields).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {target.host}:{target.port}\r\n"
        f"Authorization: Bearer {target.key}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    started = time.perf_counter()
    reader, writer = await asyncio.open_connection(target.host, target.port)
    try:
        writer.write(head.encode() + body)
        status = (await reader.readline()).split()[1]
        if status == b"429":
            await _refused(reader, tally)
            return
        if status != b"200":
            tally.errors.append(status.decode())
            return
        await _read(reader, started, tally)
    finally:
        writer.close()


async def _refused(reader: asyncio.StreamReader, tally: Tally) -> None:
    tally.refused += 1
    async for line in reader:
        name, _, value = line.decode().partition(":")
        if name.lower() == "retry-after":
            await asyncio.sleep(float(value))
            return
    tally.errors.append("429 without Retry-After")


async def _read(reader: asyncio.StreamReader, started: float, tally: Tally) -> None:
    first = True
    async for line in reader:
        if not line.startswith(b"data: {"):
            continue
        part = json.loads(line[6:])
        if first and part["choices"] and part["choices"][0]["delta"].get("content"):
            tally.first.append(time.perf_counter() - started)
            first = False
        if part.get("usage") and not part["choices"]:
            tally.tokens += part["usage"]["completion_tokens"]
            tally.answers += 1
            return
    tally.errors.append("a stream ended early")


async def load(target: Target, clients: int, seconds: float, most_tokens: int) -> Tally:
    """All clients at once until the time is over; answers under way then still count."""
    tally = Tally()
    ends = time.perf_counter() + seconds

    async def client(number: int) -> None:
        turn = number
        while time.perf_counter() < ends:
            await ask(target, PROMPTS[turn % len(PROMPTS)], most_tokens, tally)
            turn += 7

    await asyncio.gather(*map(client, range(clients)))
    return tally


@contextmanager
def ours(model: Path, parallel: int, n_ctx: int) -> Iterator[Target]:
    """`stillroom serve` on a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        session = open_session(Path(folder))
        session.library.add(
            model, name="model", format="gguf", source="import", licence=None, link=True
        )
        session.close()
        command = [sys.executable, "-m", "app", "serve", "--home", folder, "--port", "8659"]
        command += ["--parallel", str(parallel), "--context", str(n_ctx)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            assert process.stderr is not None
            key = next(line for line in process.stderr if line.startswith(KEY_LINE))
            key = key.removeprefix(KEY_LINE).strip()
            yield Target("127.0.0.1", 8659, "model", key, psutil.Process(process.pid))
        finally:
            process.terminate()
            process.wait(20)


@contextmanager
def theirs(binary: Path, model: Path, parallel: int, n_ctx: int, threads: int) -> Iterator[Target]:
    """llama-server with as many slots."""
    options = ["-np", str(parallel), "-c", str(parallel * n_ctx), "-t", str(threads)]
    with llama_server(binary, model, *options, "-fa", "on") as address:
        host, _, port = address.removeprefix("http://").partition(":")
        children = psutil.Process().children(recursive=True)
        process = next(each for each in children if each.name().startswith("llama-server"))
        yield Target(host, int(port), "model", "none", process)


def measure(target: Target, args: argparse.Namespace) -> dict[str, Any]:
    """One round: warm up, then load."""
    asyncio.run(load(target, args.clients, args.seconds / 6, args.tokens))
    before, cpu = target.memory(), target.cpu_seconds()
    busy, own = _busy_seconds(), psutil.Process().cpu_times()
    started = time.perf_counter()
    tally = asyncio.run(load(target, args.clients, args.seconds, args.tokens))
    seconds = time.perf_counter() - started
    first = sorted(tally.first)
    spent, here = target.cpu_seconds() - cpu, psutil.Process().cpu_times()
    clients = here.user + here.system - own.user - own.system
    return {
        "load_average": os.getloadavg()[0],
        "cores_of_others": (_busy_seconds() - busy - spent - clients) / seconds,
        "cores_of_clients": clients / seconds,
        "tokens_per_second": tally.tokens / seconds,
        "answers": tally.answers,
        "refused": tally.refused,
        "errors": tally.errors,
        "first_token_median": statistics.median(first),
        "first_token_p95": first[int(0.95 * (len(first) - 1))],
        "cpu_ms_per_token": 1000 * spent / max(tally.tokens, 1),
        "memory_growth": target.memory() - before,
    }


def _busy_seconds() -> float:
    """Processor time of the whole machine so far that was not idle."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0))


def main() -> None:
    parser = command_line(__doc__, "benchmarks.serve")
    add_options(parser)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--parallel", type=int, default=8)
    parser.add_argument("--context", type=int, default=1024)
    parser.add_argument("--tokens", type=int, default=64, help="most tokens of an answer")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        model = args.model or starter_q4(Path(home))
        rounds: dict[str, list[dict[str, Any]]] = {"stillroom": [], "llama-server": []}
        binary = tool(args.tools, "llama-server")
        for _ in range(args.rounds):
            with ours(model, args.parallel, args.context) as target:
                rounds["stillroom"].append(measure(target, args))
            with theirs(binary, model, args.parallel, args.context, args.threads) as target:
                rounds["llama-server"].append(measure(target, args))
    names = ("clients", "parallel", "context", "tokens", "seconds", "threads")
    result = {name: getattr(args, name) for name in names} | {"model": model.name}
    write_results(args.name or "serve", {**result, "rounds": rounds}, _text(result, rounds))


def _text(settings: dict[str, Any], rounds: dict[str, list[dict[str, Any]]]) -> str:
    lines = [", ".join(f"{name} {value}" for name, value in settings.items())]
    speeds = {}
    for name, results in rounds.items():
        speeds[name] = statistics.median(each["tokens_per_second"] for each in results)
        p95 = statistics.median(each["first_token_p95"] for each in results)
        growth = max(each["memory_growth"] for each in results) / 1e6
        errors = sum(len(each["errors"]) for each in results)
        refused = sum(each["refused"] for each in results)
        lines.append(
            f"{name}: {speeds[name]:.1f} tok/s, p95 to the first token {p95:.2f} s, "
            f"{errors} errors, {refused} refused, memory grew by {growth:.1f} MB, "
            f"{statistics.median(each['cpu_ms_per_token'] for each in results):.2f} ms of "
            "processor time a token"
        )
    others = [each["cores_of_others"] for results in rounds.values() for each in results]
    lines.append(f"cores that other programs took, round by round at most: {max(others):.2f}")
    lines.append(f"throughput ratio: {speeds['stillroom'] / speeds['llama-server']:.3f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
