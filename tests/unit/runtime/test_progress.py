"""Cancel tokens between threads."""

import threading
import time

import pytest

from runtime.progress import Cancelled, CancelToken


def test_a_fresh_token_lets_work_go_on() -> None:
    token = CancelToken()
    token.raise_if_cancelled()
    assert not token.cancelled
    assert not token.wait(0)


def test_cancel_is_seen_and_calls_back_once() -> None:
    token, called = CancelToken(), list[str]()
    token.on_cancel(lambda: called.append("first"))
    token.on_cancel(lambda: called.append("second"))
    token.cancel()
    token.cancel()
    assert called == ["first", "second"]
    assert token.cancelled
    with pytest.raises(Cancelled):
        token.raise_if_cancelled()


def test_a_late_callback_is_called_at_once() -> None:
    token, called = CancelToken(), list[str]()
    token.cancel()
    token.on_cancel(lambda: called.append("late"))
    assert called == ["late"]


def test_a_callback_is_called_no_more_once_its_block_has_ended() -> None:
    token, called = CancelToken(), list[str]()
    with token.calling(lambda: called.append("within")):
        pass
    token.cancel()
    assert called == []
    with token.calling(lambda: called.append("late")):
        assert called == ["late"]


def test_wait_ends_early_when_another_thread_cancels() -> None:
    token = CancelToken()
    threading.Timer(0.05, token.cancel).start()
    started = time.monotonic()
    assert token.wait(10)
    assert time.monotonic() - started < 5


def test_cancelled_belongs_to_no_error_tree() -> None:
    from app.errors import AppError
    from quant.errors import QuantError
    from runtime.errors import EngineError

    assert not issubclass(Cancelled, AppError | QuantError | EngineError)
