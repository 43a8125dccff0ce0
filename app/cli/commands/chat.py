"""Commands that generate: chat, and try (the whole path on the starter model)."""

import signal
import sys
import threading
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import FrameType
from uuid import uuid4

from app.cli.commands.console import Console, side_by_side, table
from app.cli.commands.models import error_text, plan_text
from app.documents.attachments import read_attachment, with_attachments
from app.errors import AppError
from app.history.records import Attachment
from app.history.runs import is_below_prediction, predicted_tps
from app.library.catalog import starter
from app.library.targets import QUANTIZED_FROM
from app.session.answer_stream import AnswerPart, stream_answer
from app.session.best_of import Attempt, Attempts, make_attempts
from app.session.session import Session
from app.wording.explain import diagnosis_text, notice_text, pick_text, reason_text
from app.wording.units import format_bytes, format_interval, format_seconds, format_tps
from runtime.errors import EngineError, InvalidRequest
from runtime.generation import GenerationRequest, GenerationStats, Message, SamplingParams
from runtime.progress import Cancelled, CancelToken
from runtime.prompt.chat_profile import with_math_hint

TRY_PROMPT = "What is the capital of France? Answer in one sentence."
TRY_SEED = 1
TRY_TOKENS = 128
PROFILE_PATIENCE_SECONDS = 20.0
TRY_PATIENCE_SECONDS = 10.0  # for quantizing a model that is thrown away tomorrow


@contextmanager
def interrupt_cancels(token: CancelToken) -> Iterator[None]:
    """Make Ctrl+C stop the answer instead of the program."""

    def on_interrupt(_number: int, _frame: FrameType | None) -> None:
        token.cancel()

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def print_answer(parts: Iterable[AnswerPart], console: Console) -> Attempt:
    """Print an answer while it comes, reasoning set apart, and return it."""
    last = AnswerPart()
    for part in parts:
        if part.text and part.is_reasoning != last.is_reasoning:
            console.stream("[thinking] " if part.is_reasoning else "\n\n")
        console.stream(part.text)
        last = part
    console.stream("\n")
    assert last.stats is not None  # an iterator that does not raise ends with them
    return Attempt(last.so_far.message, last.stats)


def stats_text(stats: GenerationStats) -> str:
    """The measured numbers of one answer, on one line. Memory is the worker's since its start."""
    cached = f" ({stats.cached_tokens} cached)" if stats.cached_tokens else ""
    memory = f", peak memory {format_bytes(stats.peak_memory)} so far" if stats.peak_memory else ""
    drafted = (
        f", {stats.accepted_tokens} of {stats.draft_tokens} drafted tokens accepted"
        if stats.draft_tokens
        else ""
    )
    return (
        f"prefill {format_tps(stats.prefill_tps)} over {stats.prompt_tokens} tokens{cached}, "
        f"decode {format_tps(stats.decode_tps)} over {stats.generated_tokens} tokens, "
        f"first token after {format_seconds(stats.time_to_first_token)}{drafted}{memory}"
        f"{_time_text(stats)}"
    )


def _time_text(stats: GenerationStats) -> str:
    """Where the time went, and the seconds of each stage where stages are apart; "" of a remote
    model, whose time is another machine's."""
    if not stats.peak_memory:
        return ""
    text = (
        f"; time: engine {stats.engine_share:.0%}, sampling {stats.sampling_share:.0%},"
        f" Stillroom itself {stats.other_share:.0%}"
    )
    stages = (f"{name} {format_seconds(took)}" for name, took in stats.stage_seconds.items())
    return f"{text}; stages: {', '.join(stages)}" if stats.stage_seconds else text


@dataclass(frozen=True)
class _ChatModel:
    """A model that is ready to answer. `is_local` is False for one of another machine."""

    name: str
    sampling: SamplingParams
    stream: Callable[[GenerationRequest, CancelToken], Iterator[AnswerPart]]
    is_local: bool = True


def chat(session: Session, args: Namespace, console: Console) -> None:
    """One answer to --prompt, or a conversation when there is none."""
    if args.prompt is None and (console.as_json or args.against):
        option = "--against" if args.against else "--json"
        raise InvalidRequest(field=option, reason="needs_prompt")
    files = _attached(args.attach, console)  # before the model, which takes longer
    if args.against:
        _compare(session, args, files, console)
        return
    chat_model = _find_chat_model(session, args, args.model, console)
    if args.prompt is None:
        _converse(session, args, files, chat_model, console)
        return
    first = _turn(args, args.prompt, files)
    attempts = _answers(session, args, chat_model, (first,), console)
    reply, stats = attempts.best.message, attempts.best.stats
    result = {"answer": reply.content, "reasoning": reply.reasoning, "stats": stats}
    several = {"pick": attempts.pick, "answers": [one.message for one in attempts.all]}
    console.result({**result, **(several if args.best_of > 1 else {})}, "")


def _find_chat_model(session: Session, args: Namespace, model: str, console: Console) -> _ChatModel:
    """Make a model ready: load it, or find the remote one of that name."""
    remote = session.remote(model)
    if remote is not None:
        url = remote.transport.endpoint.url
        console.say(f"{model} is not offline: what you write is sent to {url}.")
        stream = partial(stream_answer, remote.generate)
        return _ChatModel(model, SamplingParams(), stream, is_local=False)
    name = session.find(model).name
    plan = session.plan(
        name, device=args.device, engine=args.engine, n_ctx=args.context, draft=args.draft
    )
    session.load(name, plan, console.progress, CancelToken())
    console.end_progress()
    _print_engine(session, console)
    _warn_demonstration(session, name, console)
    return _local_chat_model(session, name, console)


def _local_chat_model(session: Session, name: str, console: Console) -> _ChatModel:
    stream = partial(session.stream, on_progress=console.progress)
    return _ChatModel(name, session.sampling(name), stream)


def _compare(
    session: Session, args: Namespace, files: Sequence[Attachment], console: Console
) -> None:
    """The same prompt to two models, one after the other, so that neither slows the other down."""
    messages = (_turn(args, args.prompt, files),)
    made: list[tuple[str, Attempt]] = []
    sampling = None
    for model in (args.model, args.against):
        chat_model = _find_chat_model(session, args, model, console)
        sampling = sampling or chat_model.sampling  # both alike: what differs is the model
        chat_model = replace(chat_model, sampling=sampling)
        console.stream(f"\n== {chat_model.name} ==\n")
        attempt = _answers(session, args, chat_model, messages, console).best
        made.append((chat_model.name, attempt))
    rows = [
        (
            name,
            format_tps(a.stats.decode_tps),
            format_seconds(a.stats.time_to_first_token),
            str(a.stats.reasoning_tokens),
            str(a.stats.generated_tokens - a.stats.reasoning_tokens),
        )
        for name, a in made
    ]
    values = [
        {"model": n, "answer": a.message.content, "reasoning": a.message.reasoning,
         "stats": a.stats}
        for n, a in made
    ]  # fmt: skip
    answers = side_by_side([name for name, _ in made], [a.message.content for _, a in made])
    headings = ("MODEL", "DECODE", "FIRST TOKEN", "THINKING TOKENS", "ANSWER TOKENS")
    console.result(values, f"\n{answers}\n\n{table(headings, rows)}")


def _print_engine(session: Session, console: Console) -> None:
    """Say which engine was chosen, and what failed, where that was not a matter of course."""
    loaded = session.loaded
    for reason in loaded.plan.reasons if loaded else ():
        if reason.code.startswith(("engine", "draft")) or reason.code == "device_failed":
            console.say(reason_text(reason))


def _warn_demonstration(session: Session, name: str, console: Console) -> None:
    entry = session.find(name).entry
    if entry is not None and entry.demonstration:
        console.say(notice_text("demonstration"))


def _converse(
    session: Session,
    args: Namespace,
    files: Sequence[Attachment],
    chat_model: _ChatModel,
    console: Console,
) -> None:
    messages: list[Message] = []
    console.say("Type a message. Ctrl+C stops an answer; an empty line or Ctrl+D quits.")
    while True:
        try:
            text = input("> ").strip()
        except (EOFError, KeyboardInterrupt):
            return
        if not text:
            return
        messages.append(_turn(args, text, () if messages else files))
        try:
            reply = _answers(session, args, chat_model, tuple(messages), console).best.message
        except (AppError, EngineError, Cancelled) as error:
            console.say(error_text(error))
            messages.pop()
            continue
        messages.append(reply)


def _attached(paths: Sequence[Path], console: Console) -> list[Attachment]:
    """The text of every file. Raises UnreadableFile."""
    files = [read_attachment(path) for path in paths]
    for each in files:
        console.say(f"Attached {each.name}, about {each.tokens:,} tokens.")
    return files


def _turn(args: Namespace, text: str, files: Sequence[Attachment]) -> Message:
    question = Message("user", text)
    if args.math:  # at the question: a file may happen to have the hint's words
        question = with_math_hint(question)
    return replace(question, content=with_attachments(files, question.content))


def _answers(
    session: Session,
    args: Namespace,
    chat_model: _ChatModel,
    messages: tuple[Message, ...],
    console: Console,
) -> Attempts:
    """One answer, or as many as --best-of asks for and which of them to keep."""
    sampling = chat_model.sampling
    if args.seed is not None:
        sampling = sampling.with_seed(args.seed)
    request = GenerationRequest(
        uuid4().hex,
        messages,
        sampling,
        max_tokens=args.max_tokens,
        draft=not args.no_speculation,
    )
    cancel = CancelToken()

    def ask(numbered: GenerationRequest) -> Attempt:
        attempt = print_answer(chat_model.stream(numbered, cancel), console)
        for notice in attempt.stats.notices:
            console.say(notice_text(notice))
        if chat_model.is_local:
            _explain_slowness(session, attempt.stats, console)
        console.say(stats_text(attempt.stats))
        return attempt

    with interrupt_cancels(cancel):
        attempts = make_attempts(ask, request, args.best_of, cancel)
    if args.best_of > 1:
        console.say(pick_text(attempts.pick))
    return attempts


def _explain_slowness(session: Session, stats: GenerationStats, console: Console) -> None:
    """Explain a run that is long enough to judge and was slower than predicted."""
    loaded = session.loaded
    expected = predicted_tps(loaded.plan, stats) if loaded else None
    if not is_below_prediction(expected, stats.decode_tps, stats.generated_tokens):
        return
    diagnosis = session.why_slow()
    if diagnosis is not None:
        console.say(f"Slower than the {format_interval(expected)} predicted:")
        console.say(diagnosis_text(diagnosis))


def _measure_machine(session: Session, console: Console) -> None:
    """Profile the machine once, so that plans have a speed; give up where it is too busy for it."""
    console.say("   Measuring memory bandwidth and kernels (under 10 s) ...")
    patience = CancelToken()
    timer = threading.Timer(PROFILE_PATIENCE_SECONDS, patience.cancel)
    timer.start()
    try:
        session.profile(on_progress=console.progress, cancel=patience)
    except Cancelled:
        console.say("   The machine is too busy to be measured now; run `stillroom profile` later.")
    finally:
        timer.cancel()
        console.end_progress()


def try_it(session: Session, args: Namespace, console: Console) -> None:
    """The whole path on the built-in starter: install, quantize, plan, load, answer, measure."""
    entry = starter(session.catalog)
    assert entry is not None
    console.say(f"1. Installing {entry.name} ...")
    model = session.install(entry.id, console.progress, CancelToken())
    console.say(f"   {model.name}, {format_bytes(model.size)}, verified by SHA-256")
    made_before = (m for m in session.installed() if m.source == f"{QUANTIZED_FROM}{model.name}")
    quantized = next(made_before, None)
    if quantized is None:
        if session.learning.load().profile is None:
            _measure_machine(session, console)
        recipe, reason = session.recipe_for(model.name, patience=TRY_PATIENCE_SECONDS)
        console.say(f"2. Quantizing with {reason_text(reason) if reason else recipe.name}")
        quantized, report = session.quantize(  # the starter comes in 5 bits
            model.name, recipe.name, console.progress, CancelToken(), requantize=True
        )
        by_role = report.bits_per_weight_by_role.items()
        roles = ", ".join(f"{role} {bits:.2f}" for role, bits in by_role)
        console.say(f"   {format_bytes(quantized.size)}; bits per weight: {roles}")
    else:
        console.say(f"2. Already quantized: {quantized.name}, {format_bytes(quantized.size)}")
    plan = session.plan(quantized.name)
    console.say("3. " + plan_text(quantized.name, plan))
    report_ = session.load(quantized.name, plan, console.progress, CancelToken())
    console.say(f"4. Loaded in {format_seconds(report_.load_seconds)}. Asking: {TRY_PROMPT}\n")
    args.seed, args.max_tokens, args.best_of = TRY_SEED, TRY_TOKENS, 1
    args.no_speculation = False
    messages = (Message("user", TRY_PROMPT),)
    chat_model = _local_chat_model(session, quantized.name, console)
    answer = _answers(session, args, chat_model, messages, console).best
    reply, stats = answer.message, answer.stats
    console.say(notice_text("demonstration"))
    console.result({"answer": reply.content, "stats": stats, "plan": plan}, "")
    sys.stdout.flush()
