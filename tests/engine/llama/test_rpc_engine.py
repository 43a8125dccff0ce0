"""Models over llama.cpp's RPC servers: two on loopback, one of which dies in an answer.

Not skipped where the engine has no RPC part: a checkout builds it with one."""

import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.paths import Paths
from app.session.session import Session
from app.settings import Settings
from app.wording.explain import explain, reason_text
from runtime.errors import DeviceUnavailable, InvalidRequest
from runtime.generation import GenerationRequest, Message, SamplingParams
from runtime.machine import rpc
from runtime.process.protocol import Streamed
from tests.helpers.command_line import stillroom
from tests.helpers.drawn_tokens import drawn_tokens
from tests.helpers.rpc_servers import end, free_port, may_make_networks, network, rpc_server
from tests.helpers.shapes import R1_QWEN_1_5B, write_shape_gguf

ExpectLog = Callable[[str], None]
LOOPBACK = "127.0.0.1"


def request(tokens: int) -> GenerationRequest:
    greedy = SamplingParams(temperature=0, seed=1)
    return GenerationRequest("r", (Message("user", "Count to fifty."),), greedy, max_tokens=tokens)


class Heard:
    def __init__(self) -> None:
        self.text = ""
        self.server: subprocess.Popen[bytes] | None = None  # killed at the first text
        self.killed = 0.0

    def __call__(self, streamed: Streamed) -> None:
        self.text += "".join(chunk.text for chunk in streamed.chunks)
        if self.server is not None and self.text:
            end(self.server)
            self.server, self.killed = None, time.monotonic()


def split_then_lose_one(
    session: Session, model: Path, servers: tuple[str, str], dying: "subprocess.Popen[bytes]"
) -> None:
    """The same tokens as this machine's alone; then the second server is killed in an answer."""
    asked: dict[str, Any] = {"n_ctx": 512, "kv_type": "q8_0", "policy": "split"}
    first, second = (rpc.PREFIX + address for address in servers)
    alone = session.plan(str(model), device="cpu", **asked).placement
    tokens = drawn_tokens(model, alone, "Count to fifty.", 40)
    assert len(set(tokens)) > 20
    plan = session.plan(str(model), device=rpc.ALL, engine="llamacpp", **asked)
    assert [part.device for part in plan.placement.layers] == [first, second]
    assert any(reason.code == "rpc_link" for reason in plan.reasons)
    assert drawn_tokens(model, plan.placement, "Count to fifty.", 40) == tokens
    session.load(str(model), plan)
    cut = Heard()
    cut.server = dying
    with pytest.raises(DeviceUnavailable) as raised:
        session.generate(request(400), cut)
    assert time.monotonic() - cut.killed < 5
    said = explain(raised.value).sentence
    assert said == f"The device {second} cannot be used: its RPC server stopped responding."
    assert session.loaded is not None
    reason = session.loaded.plan.reasons[0]
    assert reason.facts == {"device": second, "why": "rpc_lost"}
    assert servers[1] in reason_text(reason)
    placement = session.loaded.plan.placement
    assert {part.device for part in placement.layers} == {"cpu"}
    assert (placement.n_ctx, placement.kv_type_k, placement.n_threads) == (512, "q8_0", 1)
    kept = replace(plan.request, device=None)
    assert (kept.policy, kept.engine) == ("split", "llamacpp")
    assert session.loaded.plan.request == kept
    again = Heard()
    session.generate(request(8), again)
    assert again.text
    assert drawn_tokens(model, placement, "Count to fifty.", 40) == tokens


def test_two_servers_answer_as_this_machine_and_one_may_die(
    tmp_path: Path, starter_gguf: Path, expect_log: ExpectLog
) -> None:
    """Q4_1: a format that the processor does not repack, as an RPC server never does. Repacked
    weights are rounded differently, here as on two machines."""
    expect_log("failed \\(rpc_lost\\)")
    with rpc_server(tmp_path / "a") as (first, _), rpc_server(tmp_path / "b") as (second, dying):
        settings = Settings(rpc_servers=f"{first}, {second}", threads=1)
        session = Session(Paths.under(tmp_path / "home"), settings)
        try:
            split_then_lose_one(session, starter_gguf, (first, second), dying)
        finally:
            session.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_model_of_1_5b_over_two_networks(
    tmp_path: Path, expect_log: ExpectLog, cabled: set[str]
) -> None:
    """Each server in a network of its own where we may make one, else both on loopback. Q4_1 for
    the reason above; the weights are random."""
    expect_log("failed \\(rpc_lost\\)")
    path = write_shape_gguf(tmp_path / "m.gguf", R1_QWEN_1_5B, "Q4_1", vocab_tokens="qwen2")
    with ExitStack() as stack:
        started = []
        for number in (1, 2):
            name, host = "", LOOPBACK
            if may_make_networks():
                name, host = stack.enter_context(network(number))
                cabled.add(host)
            server = rpc_server(tmp_path / str(number), host, name)
            started.append(stack.enter_context(server))
        (first, _), (second, dying) = started
        settings = Settings(rpc_servers=f"{first}, {second}", threads=1)
        session = Session(Paths.under(tmp_path / "home"), settings)
        stack.callback(session.close)
        split_then_lose_one(session, path, (first, second), dying)


def test_a_server_that_hangs_is_named(
    tmp_path: Path, starter_gguf: Path, monkeypatch: pytest.MonkeyPatch, expect_log: ExpectLog
) -> None:
    """Stopped, it keeps its connection and takes others, and says nothing."""
    monkeypatch.setattr(rpc, "STALL_SECONDS", 4.0)
    monkeypatch.setattr(rpc, "HANG_SECONDS", 2.0)
    expect_log("failed \\(rpc_lost\\)")
    with rpc_server(tmp_path / "a") as (address, process):
        session = Session(Paths.under(tmp_path / "home"), Settings(rpc_servers=address))
        server = psutil.Process(process.pid).children(recursive=True)
        try:
            plan = session.plan(str(starter_gguf), device=rpc.ALL, n_ctx=512)
            session.load(str(starter_gguf), plan)

            def stop(_streamed: Streamed) -> None:
                for child in server:
                    child.suspend()

            with pytest.raises(DeviceUnavailable) as raised:
                session.generate(request(400), stop)
            assert (raised.value.device, raised.value.reason) == (f"rpc:{address}", rpc.LOST)
            assert not rpc.is_responding(address)
            assert session.loaded is not None
            assert {part.device for part in session.loaded.plan.placement.layers} == {"cpu"}
            there = Heard()
            session.generate(request(4), there)
            assert there.text
        finally:
            for child in server:
                child.resume()
            session.close()


def test_addresses_are_checked_and_a_network_needs_a_word() -> None:
    assert rpc.addresses(" a:1, [::1]:50052 ") == ("a:1", "[::1]:50052")
    for wrong in ("a", "a:b", ":1", "a:70000"):
        with pytest.raises(InvalidRequest):
            rpc.addresses(wrong)
    assert rpc.address_of("rpc:a:1/2") == "a:1"
    assert rpc.address_of("cpu") == ""
    refused = stillroom("rpc", "--host", "0.0.0.0")
    assert refused.returncode == 1
    assert "only in trusted networks" in refused.stderr


def test_a_server_that_is_not_there_is_said(tmp_path: Path, starter_q4: Path) -> None:
    settings = Settings(rpc_servers=f"127.0.0.1:{free_port()}")
    session = Session(Paths.under(tmp_path), settings)
    try:
        (device,) = [each for each in session.devices() if each.kind == "RPC"]
        assert device.unavailable_reason == "rpc_unreachable"
        with pytest.raises(DeviceUnavailable):
            session.plan(str(starter_q4), device=rpc.ALL)
        assert session.plan(str(starter_q4)).placement.layers[0].device == "cpu"
    finally:
        session.close()
