"""Renders chat templates, which come from model files and are untrusted.

Knows Jinja and its limits. Knows nothing of what a template means; `runtime.prompt.chat` does.
Rendering belongs in a worker process: the limits below end every hostile template we know of within
bounded time and memory, and the process that can be killed is the last resort.
"""

import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from types import FrameType
from typing import TYPE_CHECKING, Any

from jinja2 import Template, TemplateError, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from quant.json_types import Json
from runtime.errors import TemplateFailed as TemplateFailed

if TYPE_CHECKING:
    from _typeshed import TraceFunction

MAX_TEMPLATE = 256 * 1024  # characters of template source
MAX_OUTPUT = 16 * 1024 * 1024  # characters rendered, and of any single value on the way
MAX_SECONDS = 2.0
MAX_NUMBER = 1_000_000  # largest integer argument or repeat count
_TRACE_CLOCK_EVERY = 256  # trace events between two checks of the clock

_FILTERS = frozenset(
    "abs attr batch capitalize count d default dictsort e escape first float groupby int items "
    "join last length list lower map max min reject rejectattr replace reverse round safe select "
    "selectattr slice sort string sum title trim truncate unique upper wordcount".split()
)
# Widths beyond reason in a format string, and `%*d`, whose width is unchecked.
_WIDE = re.compile(r"%[^a-zA-Z%]*(?:\*|\d{5,})|\{[^{}]*\d{5,}")

TemplateMessage = Mapping[str, Json]


class _LimitExceeded(SecurityError):
    pass


class _Raised(TemplateError):
    """`raise_exception` was called by the template."""


class _LimitedCodeGenerator(CodeGenerator):
    """Sends the `~` operator through the environment, which checks sizes."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        self.write("environment.join_limited((")
        for argument in node.nodes:
            self.visit(argument, frame)
            self.write(", ")
        self.write("))")


class _LimitedEnvironment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox plus limits on what one operation may build."""

    code_generator_class = _LimitedCodeGenerator
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
        if operator == "*":
            _check_repeat(left, right)
        elif operator == "**":
            _check_number(left, limit=10_000)
            _check_number(right, limit=64)
        elif operator == "%" and isinstance(left, str):
            _check_format(left)
        elif operator == "+" and isinstance(left, _SIZED) and isinstance(right, _SIZED):
            _check_size(len(left) + len(right))
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, obj: object, *args: object, **kwargs: object) -> object:
        for argument in (*args, *kwargs.values()):
            _check_number(argument)
        owner = getattr(obj, "__self__", None)
        if isinstance(owner, str):
            _check_method(owner, getattr(obj, "__name__", ""), args)
        return super().call(context, obj, *args, **kwargs)

    def wrap_str_format(self, value: object) -> Callable[..., str] | None:
        wrapped = super().wrap_str_format(value)
        if wrapped is not None:
            _check_format(str(getattr(value, "__self__", "")))
        return wrapped

    def join_limited(self, parts: Sequence[object]) -> str:
        texts = [str(part) for part in parts]
        _check_size(sum(map(len, texts)))
        return "".join(texts)


_SIZED = (str, list, tuple)


def _check_size(size: int) -> None:
    if size > MAX_OUTPUT:
        raise _LimitExceeded("a value grew too large")


def _check_number(value: object, limit: int = MAX_NUMBER) -> None:
    if isinstance(value, int) and abs(value) > limit:
        raise _LimitExceeded("a number is too large")


def _check_repeat(left: object, right: object) -> None:
    for value, count in ((left, right), (right, left)):
        if isinstance(value, _SIZED) and isinstance(count, int):
            _check_size(len(value) * max(count, 0))
        elif isinstance(value, int):
            _check_number(value, limit=10**18)


def _check_format(text: str) -> None:
    if _WIDE.search(text):
        raise _LimitExceeded("a format width is too large")


def _check_method(text: str, name: str, args: tuple[object, ...]) -> None:
    """Refuse str methods whose result would be too large, before it is built."""
    if name == "replace" and len(args) >= 2:
        _check_replace(text, str(args[0]), str(args[1]))
    elif name == "join" and args:
        parts = args[0]
        if not isinstance(parts, list | tuple | str):
            raise _LimitExceeded("join of something that is not a list")
        _check_join(parts, text)
    elif name == "expandtabs":
        _check_size(len(text) * _whole(args[0] if args else 8))


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise _LimitExceeded("a width is no whole number")
    return value


def _check_replace(text: str, old: str, new: str) -> None:
    found = text.count(old) if old else len(text) + 1
    _check_size(len(text) + found * len(new))


def _check_join(parts: Sequence[object], separator: str) -> None:
    _check_size(sum(len(str(part)) for part in parts) + len(separator) * len(parts))


def _filter_replace(value: object, old: str, new: str, count: int | None = None) -> str:
    text = str(value)
    _check_replace(text, str(old), str(new))
    return text.replace(str(old), str(new), -1 if count is None else count)


def _filter_join(value: Iterable[Any], d: str = "", attribute: str | None = None) -> str:
    parts = list(value)
    if attribute is not None:
        parts = [part[attribute] for part in parts]
    _check_join(parts, str(d))
    return str(d).join(map(str, parts))


def _filter_indent(value: object, width: int | str = 4, first: bool = False) -> str:
    pad = width if isinstance(width, str) else " " * min(int(width), 256)
    text = str(value)
    _check_size(len(text) + len(pad) * (text.count("\n") + 1))
    lines = text.split("\n")
    padded = [pad + line if line else line for line in lines[1:]]
    return "\n".join([pad + lines[0] if first else lines[0], *padded])


def _filter_tojson(value: object, indent: int | None = None, ensure_ascii: bool = False) -> str:
    _check_number(indent, limit=64)
    return json.dumps(value, indent=indent, ensure_ascii=ensure_ascii)


def _raise_exception(message: str = "") -> None:
    raise _Raised(str(message)[:1000])


def _strftime_now(pattern: str) -> str:
    _check_format(pattern)
    return datetime.now().strftime(pattern[:200])


def _environment() -> _LimitedEnvironment:
    environment = _LimitedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        optimized=False,  # constants must not be computed before the limits apply
        extensions=["jinja2.ext.loopcontrols"],
        cache_size=0,
    )
    for name in set(environment.filters) - _FILTERS:
        del environment.filters[name]
    environment.filters.update(
        replace=_filter_replace, join=_filter_join, indent=_filter_indent, tojson=_filter_tojson
    )
    for name in ("lipsum", "cycler"):
        environment.globals.pop(name, None)
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now
    return environment


@lru_cache(maxsize=8)
def _compiled(template: str) -> Template:
    """A template ready to run: compiling costs as much as several tokens, for every answer."""
    return _environment().from_string(template)


@contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """Raise _LimitExceeded from within whatever Python code runs in the block once time is over.

    Uses the interpreter's trace hook of this thread: the only way to stop a loop that yields
    nothing without another process, and the same on every system.
    """
    end = time.monotonic() + seconds
    events = 0

    def trace(frame: FrameType, event: str, argument: object) -> "TraceFunction":
        nonlocal events
        events += 1
        if events % _TRACE_CLOCK_EVERY == 0 and time.monotonic() > end:
            raise _LimitExceeded("the template took too long")
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def render(
    template: str,
    messages: Sequence[TemplateMessage],
    *,
    bos: str,
    eos: str,
    add_generation_prompt: bool,
    continue_last: bool = False,
    max_seconds: float = MAX_SECONDS,
) -> str:
    """Render `messages` ({"role", "content"} mappings) as a prompt.

    With `continue_last` the last message is the beginning of the answer: its content follows the
    generation prompt as it stands, unseen by the template. Raises TemplateFailed.
    """
    if len(template) > MAX_TEMPLATE:
        raise TemplateFailed(reason="too_long")
    tail = ""
    if continue_last and messages:
        tail = str(messages[-1]["content"])
        messages, add_generation_prompt = messages[:-1], True
    variables = {
        "messages": [dict(message) for message in messages],
        "bos_token": bos,
        "eos_token": eos,
        "add_generation_prompt": add_generation_prompt,
        "tools": None,
    }
    try:
        with _deadline(max_seconds):
            return _joined(_compiled(template).generate(variables)) + tail
    except _Raised as error:
        raise TemplateFailed(reason="raised", detail=str(error)) from None
    except (SecurityError, RecursionError, MemoryError) as error:
        raise TemplateFailed(reason="limit", detail=str(error)[:1000]) from None
    except TemplateError as error:
        raise TemplateFailed(reason="syntax", detail=str(error)[:1000]) from None
    except Exception as error:  # a template may raise anything Python can
        detail = f"{type(error).__name__}: {error}"[:1000]
        raise TemplateFailed(reason="error", detail=detail) from None


def _joined(parts: Iterator[str]) -> str:
    texts: list[str] = []
    size = 0
    for part in parts:
        size += len(part)
        _check_size(size)
        texts.append(part)
    return "".join(texts)


def defined_variables(template: str) -> frozenset[str]:
    """Names the template mentions, cheaply (no parsing): for telling template families apart."""
    return frozenset(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", template))
