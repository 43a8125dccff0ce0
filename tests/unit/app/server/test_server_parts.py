"""The server's parts by themselves: turns, hosts, keys, scores."""

import asyncio
import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.cli.commands.evaluate import (
    HarnessFailed,
    Score,
    _compared,
    _interval,
    _results,
    against,
    scores_in,
    scores_text,
)
from app.hub.tokens import TokenStore
from app.server.answers import Part
from app.server.faults import Busy, fault_of
from app.server.guards import AccessPolicy
from app.server.keys import SERVER, new_key, same_key, server_key
from app.server.mailbox import Mailbox
from app.server.replies import Reply
from app.server.turns import Turns
from app.tools.functions import Function, OfferedFunctions
from runtime.errors import (
    CorruptFile,
    DeviceUnavailable,
    DoesNotFit,
    EngineError,
    InternalError,
    OutOfMemory,
    StageFailed,
)
from runtime.generation import GenerationStats, TokenChunk, TokenLogprob

# -- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        DoesNotFit(device="cpu", needed=2, available=1, suggestion=None),
        OutOfMemory(device="cpu", needed=None),
    ],
)
def test_short_memory_is_no_internal_error_and_may_pass(error: EngineError) -> None:
    fault = fault_of(error)
    assert (fault.status, fault.body["error"]["code"]) == (503, "model_does_not_fit")
    assert fault.headers["retry-after"] == "10"


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (DeviceUnavailable(device="npu0", reason="rpc_lost"), 503, "npu0 cannot be used"),
        (CorruptFile(path="/srv/mine/m.gguf", reason="no_magic"), 503, "m.gguf is damaged"),
        (StageFailed(stage="body", device="cpu", detail="0x8"), 500, "transformer blocks"),
        (InternalError(detail="a prompt"), 500, "Something went wrong"),
        (ZeroDivisionError("a prompt"), 500, "Something went wrong"),
    ],
)
def test_a_client_is_told_what_failed_without_paths_or_prompts(
    error: Exception, status: int, words: str
) -> None:
    fault = fault_of(error)
    message = str(fault.body["error"]["message"])
    assert fault.status == status
    assert words in message
    assert "/srv/mine" not in message
    assert "a prompt" not in message


# -- turns ----------------------------------------------------------------------------------------


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_clients_take_turns_however_many_requests_one_has() -> None:
    async def scene() -> list[str]:
        turns, order = Turns(1, 20), []

        async def request(client: str, number: int) -> None:
            await turns.enter(client)
            order.append(f"{client}{number}")
            turns.leave(0.1)

        await turns.enter("first")
        tasks = [asyncio.create_task(request("greedy", n)) for n in range(4)]
        await settle()
        tasks.append(asyncio.create_task(request("modest", 0)))
        await settle()
        turns.leave(0.1)
        await asyncio.gather(*tasks)
        assert turns.running == turns.waiting == 0
        return order

    assert asyncio.run(scene()) == ["greedy0", "modest0", "greedy1", "greedy2", "greedy3"]


def test_beyond_the_limit_a_time_is_named() -> None:
    async def scene() -> None:
        turns = Turns(1, 1)
        await turns.enter("a")
        waiting = asyncio.create_task(turns.enter("a"))
        await settle()
        with pytest.raises(Busy) as caught:
            await turns.enter("b")
        fault = fault_of(caught.value)
        assert fault.status == 429
        assert 1 <= int(fault.headers["retry-after"]) <= 60
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        turns.check(1)

    asyncio.run(scene())


def test_who_leaves_as_a_place_comes_free_passes_it_on() -> None:
    async def scene() -> None:
        turns = Turns(1, 5)
        await turns.enter("a")
        leaving = asyncio.create_task(turns.enter("b"))
        staying = asyncio.create_task(turns.enter("c"))
        await settle()
        turns.leave(0.1)  # gives the place to b ...
        leaving.cancel()  # ... who goes before noticing
        await settle()
        assert staying.done()
        assert turns.running == 1
        turns.leave(0.1)
        assert turns.running == 0

    asyncio.run(scene())


# -- the mailbox ---------------------------------------------------------------------------------


def test_what_threads_deliver_comes_in_order_and_wakes_the_loop_once() -> None:
    class Counting(asyncio.SelectorEventLoop):
        woken = 0

        def call_soon_threadsafe(  # type: ignore[override]  # whatever the arguments are
            self, *args: Any, **kwargs: Any
        ) -> asyncio.Handle:
            self.woken += 1
            return super().call_soon_threadsafe(*args, **kwargs)

    loop, mailbox = Counting(), Mailbox()
    errors: list[Exception] = [ValueError(str(number)) for number in range(50)]
    got: list[object] = []

    def deliver() -> None:
        for error in errors:
            mailbox.put(got.append, error)

    async def scene() -> None:
        mailbox.open()
        thread = threading.Thread(target=deliver)
        thread.start()
        thread.join()  # the loop is kept from looking meanwhile
        await settle()

    loop.run_until_complete(scene())
    assert got == errors
    assert loop.woken == 1
    loop.close()
    mailbox.put(got.append, errors[0])  # nobody listens any more, and nothing is raised
    assert len(got) == len(errors)


# -- the door -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "home", "network"),
    [
        ("127.0.0.1:8642", True, True),
        ("LOCALHOST:8642", True, True),
        ("[::1]:8642", True, True),
        ("192.168.1.7:8642", False, True),
        ("[fe80::1]:8642", False, True),
        ("evil.example:8642", False, False),
        ("127.0.0.1.evil.example:8642", False, False),
        ("localhost", False, False),
        ("localhost:80", False, False),
        ("localhost:8642:8642", False, False),
        ("", False, False),
    ],
)
def test_hosts(host: str, home: bool, network: bool) -> None:
    own = frozenset({"127.0.0.1", "localhost", "[::1]"})
    assert AccessPolicy("k", 8642, own).allows_host(host) is home
    assert AccessPolicy("k", 8642, own, any_address=True).allows_host(host) is network


def test_the_key_is_made_once_for_the_user_alone(tmp_path: Path) -> None:
    file = tmp_path / "config" / "tokens.json"
    key, made = server_key(TokenStore(file, None))
    assert made
    assert len(key) > 40
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text()) == {SERVER: key}
    assert server_key(TokenStore(file, None)) == (key, False)
    assert new_key(TokenStore(file, None)) != key
    assert same_key(b"abc", b"abc")
    assert not same_key(b"abc", b"abd")
    assert not same_key(b"", b"abc")


# -- replies --------------------------------------------------------------------------------------


def stats(prompt: int, generated: int) -> GenerationStats:
    return GenerationStats(
        "r", "stop", prompt, prompt // 2, generated, 0, 0.1, 0.1, 0.2, 1.0, 1.0, 1
    )


def test_the_tokens_of_different_prompts_are_added_up() -> None:
    """Two answers each to prompts of 10 and 100 tokens, the last of which ends first."""
    reply = Reply("m", "text_completion", per_prompt=2)
    for index, prompt in ((3, 100), (2, 100), (0, 10), (1, 10)):
        reply.take(Part(index, stats=stats(prompt, index)))
    usage: Any = reply.usage()
    assert usage["prompt_tokens"] == 110
    assert usage["completion_tokens"] == 6
    assert usage["total_tokens"] == 116
    assert usage["prompt_tokens_details"]["cached_tokens"] == 55


def test_offsets_count_characters_from_chunk_to_chunk() -> None:
    tokens = [b"a", "é".encode()[:1], "é".encode()[1:], b" bc", b"d"]
    reply = Reply("m", "text_completion", logprobs=0)
    told: list[int] = []
    choice: Any
    for piece in (tokens[:2], tokens[2:]):
        weighed = tuple(TokenLogprob(token, -1.0) for token in piece)
        text = b"".join(piece).decode("utf-8", "ignore")
        (choice,) = reply.take(Part(0, (TokenChunk("r", text or "x", False, 2, weighed),)))
        told += choice["logprobs"]["text_offset"]
    assert told == [0, 1, 1, 2, 5]


# -- untagged reasoning in a stream ---------------------------------------------------------------


def _streamed(
    pieces: list[tuple[str, int]], offer: OfferedFunctions | None
) -> list[dict[str, Any]]:
    """The deltas of an answer in pieces, each with how much of it was reasoning without a tag."""
    reply, marked = Reply("m", "chat.completion", offer), max(mark for _text, mark in pieces)
    parts = [
        Part(0, (TokenChunk("r", text, False, 1, untagged_reasoning_chars=mark),))
        for text, mark in pieces
    ]
    parts.append(Part(0, stats=replace(stats(1, 1), untagged_reasoning_chars=marked)))
    choices: list[Any] = [choice for part in parts for choice in reply.take(part)]
    return [choice["delta"] for choice in choices]


ADD = OfferedFunctions((Function("add"),), must=False)
CALL = json.dumps({"name": "add", "arguments": {}})


def test_reasoning_that_a_client_has_as_answer_is_closed_by_its_tag() -> None:
    deltas = _streamed([("Hm.\n", 0), ("Four", 4), (".", 0)], None)
    assert "".join(delta["content"] for delta in deltas) == "Hm.\n\n</think>\n\nFour."


def test_reasoning_that_was_held_back_as_a_possible_call_is_sent_as_reasoning() -> None:
    deltas = _streamed([("{Hm}\n", 0), ("Four", 5), (".", 0)], ADD)
    assert deltas[0]["reasoning_content"] == "{Hm}"
    assert "".join(delta["content"] for delta in deltas) == "Four."


def test_a_call_after_reasoning_without_a_tag_is_a_call() -> None:
    for thoughts in ("{Hm}\n", "Hm.\n"):
        *_, last = _streamed([(thoughts, 0), (CALL, len(thoughts))], ADD)
        assert last["tool_calls"][0]["function"]["name"] == "add"
        assert not last.get("content")


# -- scores ---------------------------------------------------------------------------------------


def test_scores_come_with_their_intervals(tmp_path: Path) -> None:
    metrics = {"alias": "sums", "exact_match,none": 0.0, "exact_match_stderr,none": 0.0,
               "bleu,none": 20.0, "bleu_stderr,none": 1.0,
               "perplexity,strict": 9.5, "perplexity_stderr,strict": "N/A"}  # fmt: skip
    file = tmp_path / "results.json"
    file.write_text(
        json.dumps({"results": {"sums": metrics}, "n-samples": {"sums": {"effective": 8}}})
    )
    exact, bleu, other = scores_in(file)
    assert (exact.metric, exact.value, exact.samples) == ("exact_match", 0, 8)
    # Wilson's interval of none of eight: z^2 / (n + z^2)
    assert (exact.low, exact.high) == pytest.approx((0, 1.96**2 / (8 + 1.96**2)))
    assert (bleu.low, bleu.high) == pytest.approx((18.04, 21.96))
    assert (other.metric, other.low, other.high) == ("perplexity (strict)", None, None)


def test_a_difference_has_the_interval_of_both() -> None:
    """Newcombe (1998), table II, the example 56/70 less 48/80, method 10: 0.0524 to 0.3339."""
    made = []
    for right, count in ((56, 70), (48, 80)):
        low, high = _interval(right / count, None, count)
        made.append(Score("t", "acc", right / count, low, high, count))
    (compared,) = against(made[:1], made[1:])
    assert compared.difference is not None
    assert compared.difference.value == pytest.approx(0.2)
    assert compared.difference.low == pytest.approx(0.0524, abs=2e-4)
    assert compared.difference.high == pytest.approx(0.3339, abs=2e-4)
    published = _compared(made[0], 0.75).difference
    assert published is not None
    low, high = made[0].low, made[0].high
    assert low is not None
    assert high is not None
    assert (published.low, published.high) == pytest.approx((low - 0.75, high - 0.75))
    (alone,) = against(made[:1], [Score("other", "acc", 0.5, None, None, None)])
    assert alone.difference is None
    assert "+0.200" in scores_text([compared])


def test_a_harness_that_writes_nothing_has_failed(tmp_path: Path) -> None:
    with pytest.raises(HarnessFailed, match="no_results"):
        _results(tmp_path)
    (tmp_path / "model").mkdir()
    file = tmp_path / "model" / "results_2026.json"
    file.touch()
    assert _results(tmp_path) == file
