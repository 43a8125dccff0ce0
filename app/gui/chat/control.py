"""What a conversation can be asked to do: send, stop, regenerate, edit, continue, switch branches.

Knows the session and the store; tells the page through signals what to show. Knows no widget.
"""

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import msgspec
from PySide6.QtCore import QObject, Qt, QTimer, Signal

from app.documents.attachments import with_attachments
from app.errors import StoreError
from app.gui.chat.frame_rate import FULL_MILLISECONDS, FrameRate
from app.gui.models.selection import ModelSelection
from app.gui.parts.bridge import Bridge, Job
from app.history.branches import Tree
from app.history.recorder import AnswerRecorder
from app.history.records import Attachment, Conversation, MessageState, StoredMessage
from app.history.store import Store
from app.history.stream_chunks import ChunkBuffer, joined
from app.session.session import Session
from quant.json_types import Json
from runtime.answer.answer_text import AnswerText
from runtime.generation import GenerationRequest, GenerationStats, Message, SamplingParams
from runtime.process.protocol import Streamed
from runtime.progress import CancelToken, OnProgress
from runtime.prompt.chat_profile import with_math_hint
from runtime.prompt.reasoning import conversation_title

log = logging.getLogger(__name__)

_T = TypeVar("_T")


@dataclass(frozen=True)
class Delta:
    """What arrived since the last frame of a streaming answer."""

    message_id: int
    content: str
    reasoning: str
    tokens: int
    decode_tps: float | None
    seconds: float  # since the first text of this answer


@dataclass
class _Stream:
    message: StoredMessage  # with the text that was shown so far
    buffer: ChunkBuffer
    recorder: AnswerRecorder
    job: Job
    started: float
    first: float | None = None  # when the first text came: loading and prefill are over
    tokens: int = 0


class ChatControl(QObject):
    """One open conversation and at most one running answer, in any conversation."""

    opened = Signal(object)  # Conversation | None
    path_changed = Signal()
    answer_started = Signal(object)  # StoredMessage
    answer_progress = Signal(object)  # Progress of loading and prefill
    answer_grew = Signal(object)  # Delta
    answer_ended = Signal(object, object)  # StoredMessage, error or None
    conversations_changed = Signal()
    busy_changed = Signal(bool)
    not_stored = Signal(object)  # StoreError, of an answer that ended with another error

    def __init__(
        self,
        session: Session,
        bridge: Bridge,
        models: ModelSelection,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._bridge = bridge
        self.models = models
        self.conversation: Conversation | None = None
        self._draft_options: dict[str, Json] = {}  # of a conversation that is not stored yet
        self.tree = Tree(())
        self._stream: _Stream | None = None
        self._deleted: list[int] = []  # whose contexts are still on disk
        self._forgetting = False
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._rate = FrameRate()
        self._timer.timeout.connect(self._frame)

    @property
    def store(self) -> Store:
        return self._session.store

    @property
    def busy(self) -> bool:
        return self._stream is not None

    @property
    def streaming_id(self) -> int | None:
        return self._stream.message.id if self._stream else None

    # -- conversations ---------------------------------------------------------------------------

    def new(self) -> None:
        """Show an empty conversation; it is stored with its first message."""
        self.conversation = None
        self._draft_options = {}
        self.tree = Tree(())
        self.models.use_context(None)
        self.opened.emit(None)

    def open(self, conversation_id: int) -> None:
        """Show a stored conversation."""
        self.conversation = self.store.conversation(conversation_id)
        self.tree = Tree(self.store.messages(conversation_id))
        if self._stream is not None and self._stream.message.conversation_id == conversation_id:
            self.tree.put(self._stream.message)  # what comes next continues what was shown
        model = self.option("model", str)
        if model and model != self.models.chosen:
            if model in self.models.names():
                self.models.choose(model)
        self.models.use_context(self.option("context", int))
        self.opened.emit(self.conversation)

    def option(self, name: str, kind: type[_T]) -> _T | None:
        """A setting of this conversation alone; None where there is none of that kind."""
        value = self._options().get(name)
        return value if isinstance(value, kind) else None

    def set_options(self, **changes: Json) -> None:
        """Change settings of this conversation alone; None takes one back.

        Those of a new conversation are stored with its first message.
        """
        options = {**self._options(), **changes}
        options = {name: value for name, value in options.items() if value is not None}
        if self.conversation is None:
            self._draft_options = options
            return
        self.store.update_conversation(self.conversation.id, options=options)
        self.conversation = replace(self.conversation, options=options)

    def rename(self, conversation_id: int, title: str) -> None:
        """Give a conversation a title that stays."""
        self.store.update_conversation(conversation_id, title=title, title_set=True)
        if self.conversation is not None and self.conversation.id == conversation_id:
            self.conversation = self.store.conversation(conversation_id)
            self.path_changed.emit()
        self.conversations_changed.emit()

    def delete(self, conversation_id: int) -> None:
        """Hide a conversation until it is restored or purged."""
        if self._stream is not None and self._stream.message.conversation_id == conversation_id:
            self.stop()
        self.store.delete_conversation(conversation_id)
        self._deleted.append(conversation_id)
        self._forget_contexts()
        if self.conversation is not None and self.conversation.id == conversation_id:
            self.new()
        self.conversations_changed.emit()

    def _forget_contexts(self) -> None:
        """Delete the saved KV state of deleted conversations. One job at a time: it waits for the
        running answer, and a job for each would use up the window's threads."""
        if self._forgetting or not self._deleted:
            return
        self._forgetting = True
        deleted, self._deleted = self._deleted, []

        def forget() -> None:
            for each in deleted:
                self._session.forget_context(str(each))

        def ended() -> None:
            self._forgetting = False
            self._forget_contexts()

        self._bridge.call(forget).ended.connect(ended)

    def restore(self, conversation_id: int) -> None:
        """Undo `delete`."""
        self.store.restore_conversation(conversation_id)
        self.conversations_changed.emit()

    # -- asking ----------------------------------------------------------------------------------

    def send(self, text: str, attachments: tuple[Attachment, ...] = ()) -> None:
        """Ask something at the end of the shown path."""
        if self.busy or not (text.strip() or attachments):
            return
        parent = self.conversation.head_id if self.conversation else None
        self._ask(text, attachments, parent)

    def edit(self, message_id: int, text: str, attachments: tuple[Attachment, ...]) -> None:
        """Ask again in other words or with other files: a branch beside the message."""
        if self.busy or not (text.strip() or attachments):
            return
        self._ask(text, attachments, self.tree.get(message_id).parent_id)

    def regenerate(self, message_id: int) -> None:
        """Another answer beside this one."""
        if self.busy:
            return
        self._answer(self.tree.get(message_id).parent_id)

    def continue_answer(self, message_id: int) -> None:
        """Continue an answer that was cut off."""
        if self.busy:
            return
        self.store.reopen(message_id)
        message = replace(self.tree.get(message_id), state="streaming")
        self.tree.put(message)
        self._start(message, continue_last=True)

    def stop(self) -> None:
        """Stop the running answer; what has arrived stays."""
        if self._stream is not None:
            self._stream.job.cancel()

    def switch_branch(self, message_id: int, step: int) -> None:
        """Show the branch before or after the one a message is on."""
        siblings = self.tree.siblings(message_id)
        index = siblings.index(message_id) + step
        if self.conversation is None or not 0 <= index < len(siblings):
            return
        self.show_branch(siblings[index])

    def show_branch(self, message_id: int) -> None:
        """Continue with the branch that a message is on."""
        self._set_head(self.tree.leaf_below(message_id))
        self.path_changed.emit()

    def delete_message(self, message_id: int) -> Callable[[], None] | None:
        """Remove a message and what follows it; returns what undoes that, None while busy."""
        if self.busy or self.conversation is None:
            return None
        identity, head = self.conversation.id, self.conversation.head_id
        removed = self.tree.below(message_id)
        self.store.delete_message(message_id)
        self.tree.remove(message_id)
        self.conversation = self.store.conversation(identity)
        self.path_changed.emit()

        def undo() -> None:
            self.store.put_back(identity, removed, head)
            self.open(identity)
            self.conversations_changed.emit()

        return undo

    def _ask(self, text: str, attachments: tuple[Attachment, ...], parent: int | None) -> None:
        if self.conversation is None:
            self.conversation = self.store.add_conversation(options=self._draft_options)
            self.tree = Tree(())
        identity = self.conversation.id
        question = self.store.add_message(
            identity, "user", text.strip(), parent_id=parent, attachments=attachments
        )
        self.tree.put(question)
        if not self.conversation.title_set and parent is None:
            name = attachments[0].name if attachments and not text.strip() else ""
            title = name or conversation_title([Message("user", text.strip())])
            self.store.update_conversation(identity, title=title)
        self._answer(question.id)

    def _answer(self, parent: int | None) -> None:
        assert self.conversation is not None
        message = self.store.add_message(
            self.conversation.id,
            "assistant",
            parent_id=parent,
            state="streaming",
            model=self.models.chosen,
        )
        self.tree.put(message)
        self._start(message, continue_last=False)

    def _start(self, message: StoredMessage, *, continue_last: bool) -> None:
        options = {**self._options(), "model": self.models.chosen}
        self.store.update_conversation(message.conversation_id, options=options)
        self.conversation = self.store.conversation(message.conversation_id)
        request = self._request(message, continue_last)
        buffer = ChunkBuffer(AnswerText.continuing(message.content, message.reasoning))
        recorder = AnswerRecorder(self.store, message.id, buffer)
        models, name, plan = self.models, self.models.chosen, self.models.plan
        choices, conversation = models.choices, str(message.conversation_id)

        def work(on_progress: OnProgress, cancel: CancelToken) -> GenerationStats:
            def receive(event: Streamed) -> None:
                buffer.put(event.chunks, event.decode_tps)

            with recorder:
                return models.answer(
                    name, plan, choices, request, receive, conversation, on_progress, cancel
                )

        job = self._bridge.run(work)
        self._stream = _Stream(message, buffer, recorder, job, time.monotonic())
        job.progressed.connect(self.answer_progress)
        job.finished.connect(lambda stats: self._end(stats, None))
        job.failed.connect(lambda error: self._end(None, error))
        job.cancelled.connect(lambda: self._end(None, None))
        models.loading.emit(True)
        job.ended.connect(models.refresh_loaded)
        self.busy_changed.emit(True)
        self.path_changed.emit()
        self.answer_started.emit(message)
        self.conversations_changed.emit()
        self._timer.start(FULL_MILLISECONDS)

    def _options(self) -> dict[str, Json]:
        return dict(self.conversation.options if self.conversation else self._draft_options)

    def _request(self, message: StoredMessage, continue_last: bool) -> GenerationRequest:
        turns = self.tree.path(message.id if continue_last else message.parent_id)
        messages = [prompt_message(turn.message) for turn in turns]
        if self.option("math", bool) and self.models.offers_math_hint:
            messages = [with_math_hint(m) if m.role == "user" else m for m in messages]
        system = self.option("system", str)
        if system:
            messages.insert(0, Message("system", system))
        return GenerationRequest(
            id=uuid.uuid4().hex,
            messages=tuple(messages),
            sampling=self.sampling(),
            max_tokens=self.option("max_tokens", int),
            continue_last=continue_last,
        )

    def sampling(self) -> SamplingParams:
        """What this conversation samples with: its own values over the model's recommended ones."""
        return replace(self.models.recommended(), **(self.option("sampling", dict) or {}))

    def _set_head(self, head_id: int) -> None:
        assert self.conversation is not None
        self.store.update_conversation(self.conversation.id, head_id=head_id)
        self.conversation = replace(self.conversation, head_id=head_id)

    # -- the stream ------------------------------------------------------------------------------

    def _frame(self) -> None:
        stream = self._stream
        if stream is None:
            self._timer.stop()
            return
        chunks, text = stream.buffer.drain_to_show()
        if not chunks:
            return
        content, reasoning, tokens = joined(chunks)
        now = time.monotonic()
        stream.first = now if stream.first is None else stream.first
        stream.tokens += tokens
        stream.message = replace(stream.message, content=text.answer, reasoning=text.reasoning)
        seconds = now - stream.first
        self.answer_grew.emit(
            Delta(
                stream.message.id, content, reasoning, stream.tokens, stream.buffer.decode_tps,
                seconds,
            )
        )  # fmt: skip
        pace = self._rate.milliseconds(self._session.worker_pid)
        if pace != self._timer.interval():
            self._timer.setInterval(pace)

    def _end(self, stats: GenerationStats | None, error: Exception | None) -> None:
        stream = self._stream
        if stream is None:
            return
        self._frame()
        self._timer.stop()
        self._stream = None
        message, problem = self._settle(stream, stats)
        if self.conversation is not None and message.conversation_id == self.conversation.id:
            self.tree.put(message)
        self.busy_changed.emit(False)
        self.answer_ended.emit(message, error or problem)
        if error is not None and problem is not None:
            self.not_stored.emit(problem)
        self.conversations_changed.emit()

    def _settle(
        self, stream: _Stream, stats: GenerationStats | None
    ) -> tuple[StoredMessage, StoreError | None]:
        """The ended answer as stored; as shown, with the reason, where the store fails."""
        whole = stats is not None and stats.finish_reason in ("stop", "loop")
        state: MessageState = "finished" if whole else "cut"
        seconds: dict[str, Json] = {"seconds": time.monotonic() - stream.started}
        remote = bool(self.models.address(stream.message.model or ""))
        kept = stats_json(stats, None if remote else self.models) if stats else seconds
        try:
            stream.recorder.flush()
            return self.store.finish(stream.message.id, state, kept), None
        except StoreError as problem:
            log.exception("an answer could not be settled in the history")
            return replace(stream.message, state=state, stats=kept), problem


def prompt_message(message: StoredMessage) -> Message:
    """A stored message as the model is to see it."""
    content = with_attachments(message.attachments, message.content)
    return Message(message.role, content, message.reasoning)


def stats_json(stats: GenerationStats, models: ModelSelection | None) -> dict[str, Json]:
    """The statistics a message keeps: what was measured, and what had been predicted. Of a remote
    model (`models` is None) nothing was."""
    kept: dict[str, Json] = msgspec.to_builtins(stats)
    if models is None:
        return {**kept, "engine": "remote"}
    expected = models.predicted_tps(stats)
    if expected is not None:
        kept["predicted_decode_tps"] = msgspec.to_builtins(expected)
    if models.report is not None:
        kept["engine"] = models.report.engine
        kept["n_ctx"] = models.report.n_ctx
    return kept
