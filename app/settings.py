"""Every setting, declared once: type, default, group, title, help, and the values it may take.

The settings dialog, the command line and the documentation are generated from these declarations.
Knows JSON and one path that it is given; knows no widget. Precedence: default, then the file, then
the environment (STILLROOM_<NAME>), then what the caller overrides.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TypeVar, get_args

from app.errors import SettingCode, SettingsError
from quant.files import write_json_atomically
from quant.json_types import Json
from runtime.planning.format_choice import Wish
from runtime.registry import offered
from runtime.tracebacks import summary_of

log = logging.getLogger(__name__)

VERSION = 1
ENVIRONMENT_PREFIX = "STILLROOM_"


Value = bool | int | str
_V = TypeVar("_V", bool, int, str)
_DECLARATION = "declaration"


@dataclass(frozen=True)
class Declaration:
    """One setting as it is declared. A number lies between `minimum` and `maximum`; a text is one
    of `choices`, if there are any."""

    default: Value
    group: str
    title: str
    help: str
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    secret: bool = False


def _setting(
    default: _V,
    group: str,
    title: str,
    help_text: str,
    *,
    choices: tuple[str, ...] = (),
    minimum: int | None = None,
    maximum: int | None = None,
    secret: bool = False,
) -> _V:
    declared = Declaration(default, group, title, help_text, choices, minimum, maximum, secret)
    made: _V = field(default=default, metadata={_DECLARATION: declared})
    return made


@dataclass(frozen=True)
class Settings:
    """The user's settings. `extra` keeps keys of the file that this version does not know."""

    theme: str = _setting(
        "system", "Appearance", "Theme", "Light, dark, or the system default.",
        choices=("system", "light", "dark"),
    )  # fmt: skip
    language: str = _setting(
        "system", "Appearance", "Language", "Window language. Takes effect after a restart.",
        choices=("system", "en", "zh_CN"),
    )  # fmt: skip
    text_scale: int = _setting(
        100, "Appearance", "Text size", "Size of all text in percent.", minimum=80, maximum=200
    )
    show_thinking: bool = _setting(
        False, "Chat", "Expand thinking", "Show all of a model's thinking instead of one line."
    )
    enter_sends: bool = _setting(
        True,
        "Chat",
        "Send with Enter",
        "Enter sends the message and Shift+Enter starts a new line. When off, the other way round.",
    )
    confirm_links: bool = _setting(
        True,
        "Chat",
        "Ask before opening links",
        "Ask for confirmation before a link opens in the web browser.",
    )
    notify: bool = _setting(
        True, "Chat", "Notify when done",
        "Show a notification when a long answer or a download finishes while the window is in"
        " the background.",
    )  # fmt: skip
    policy: str = _setting(
        "auto", "Models", "Placement", "Where the LM head is placed when a model is loaded.",
        choices=("auto", "split", "full"),
    )  # fmt: skip
    context: int = _setting(
        0, "Models", "Context", "Tokens of context to plan for; 0 lets the plan decide.",
        minimum=0, maximum=1_048_576,
    )  # fmt: skip
    prefer: str = _setting(
        "balanced", "Models", "Prefer",
        "Which format of a model to download or make: balanced loses no more than the usual 4-bit"
        " format, fast gives up some quality for speed, faithful keeps the most quality at a"
        " comfortable speed.",
        choices=get_args(Wish),
    )  # fmt: skip
    kv_cache: str = _setting(
        "auto", "Models", "KV cache type", "Number format of the KV cache.",
        choices=("auto", "f16", "q8_0", "q4_0"),
    )  # fmt: skip
    engine: str = _setting(
        "auto", "Models", "Engine", "Which engine to use when several can run a model.",
        choices=("auto", *offered()),
    )  # fmt: skip
    draft_model: str = _setting(
        "", "Models", "Draft model",
        "A smaller model with the same vocabulary, for speculative decoding. Leave empty for"
        " none.",
    )  # fmt: skip
    threads: int = _setting(
        0, "Models", "CPU threads", "Threads an engine may use; 0 lets the plan decide.",
        minimum=0, maximum=512,
    )  # fmt: skip
    models_folder: str = _setting(
        "",
        "Models",
        "Models folder",
        "Where models are stored. Leave empty for the default folder.",
    )
    last_model: str = _setting(
        "", "Models", "Last model", "The model selected when the window opens."
    )
    hub_endpoint: str = _setting(
        "", "Network", "Hub address", "Address of a hub mirror. Leave empty for the official hub."
    )
    download_limit: int = _setting(
        0, "Network", "Download limit", "Megabytes per second for all downloads together; 0"
                                        " means no limit.",
        minimum=0, maximum=100_000,
    )  # fmt: skip
    offline: bool = _setting(
        False, "Network", "Stay offline", "Refuse every network request, even one you ask for."
    )
    rpc_servers: str = _setting(
        "", "Network", "RPC servers",
        "HOST:PORT of llama.cpp RPC servers, separated by commas. Use only in trusted networks.",
    )  # fmt: skip
    updates_address: str = _setting(
        "", "Network", "Update address", "Contacted only by “Check for updates”."
    )
    serve: bool = _setting(
        False, "Network", "Local server",
        "Let other programs on this machine use the models through an OpenAI-compatible API,"
        " with a key.",
    )  # fmt: skip
    server_port: int = _setting(
        8642, "Network", "Server port", "Port of the local server, on this machine only.",
        minimum=1, maximum=65535,
    )  # fmt: skip
    show_inspector: bool = _setting(
        True,
        "Window",
        "Show the side panel",
        "Whether the panel with the model and its plan is shown.",
    )
    tour_seen: bool = _setting(
        False, "Window", "Tour seen", "Whether the tour of the first start has been shown."
    )
    extra: dict[str, Json] = field(default_factory=dict)

    def with_value(self, name: str, value: object) -> "Settings":
        """A copy with one setting changed; text is converted. Raises SettingsError."""
        return self._with({name: parse(name, value)})

    def _with(self, values: Mapping[str, Value]) -> "Settings":
        return replace(self, **values)  # type: ignore[arg-type]  # of these types by `parse`


DECLARATIONS: Mapping[str, Declaration] = {
    f.name: f.metadata[_DECLARATION] for f in fields(Settings) if _DECLARATION in f.metadata
}


_WRONG: dict[type, SettingCode] = {
    bool: "not_switch",
    int: "not_whole",
    str: "not_text",
}


def parse(name: str, value: object) -> Value:
    """`value` as the setting's type, checked against its declaration. Raises SettingsError."""
    declaration = DECLARATIONS.get(name)
    if declaration is None:
        raise SettingsError(key=name, reason="unknown")
    default = declaration.default
    try:
        converted = _convert(value, type(default))
    except (TypeError, ValueError) as error:
        raise SettingsError(key=name, reason=_WRONG[type(default)], value=str(value)) from error
    choices, low, high = declaration.choices, declaration.minimum, declaration.maximum
    if choices and converted not in choices:
        raise SettingsError(key=name, reason="choice", value=converted, choices=list(choices))
    if isinstance(converted, int) and not _is_between(converted, low, high):
        raise SettingsError(key=name, reason="range", value=converted, minimum=low, maximum=high)
    return converted


def _is_between(number: int, low: int | None, high: int | None) -> bool:
    return (low is None or number >= low) and (high is None or number <= high)


def load(
    path: Path, environment: Mapping[str, str] | None = None, **overrides: object
) -> tuple[Settings, tuple[SettingsError, ...]]:
    """Settings from a file (missing is fine), the environment and overrides, with what was wrong.

    A bad value leaves the default in place and is reported; it never stops the program.
    """
    problems: list[SettingsError] = []
    stored = _read(path, problems)
    values: dict[str, Value] = {}
    extra: dict[str, Json] = {}
    for key, value in stored.items():
        if key in DECLARATIONS:
            _take(values, key, value, problems)
        elif key != "version":
            extra[key] = value
    for name in DECLARATIONS:
        text = (environment or {}).get(ENVIRONMENT_PREFIX + name.upper())
        if text is not None:
            _take(values, name, text, problems)
    for name, given in overrides.items():
        _take(values, name, given, problems)
    return Settings(extra=extra)._with(values), tuple(problems)


def save(settings: Settings, path: Path) -> None:
    """Write what differs from the defaults, and unknown keys, whole or not at all."""
    data: dict[str, Json] = {"version": VERSION, **settings.extra}
    for name, declaration in DECLARATIONS.items():
        value = getattr(settings, name)
        if value != declaration.default:
            data[name] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_json_atomically(path, dict(sorted(data.items())))
    except OSError as error:
        raise SettingsError(
            key="", reason="write", path=str(path), detail=_said_by(error)
        ) from error


def _said_by(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)


def _read(path: Path, problems: list[SettingsError]) -> dict[str, Json]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        problems.append(
            SettingsError(key="", reason="read", path=str(path), detail=_said_by(error))
        )
        return {}
    if not isinstance(data, dict):
        problems.append(SettingsError(key="", reason="not_object", path=str(path)))
        return {}
    return data


def _take(
    values: dict[str, Value], name: str, value: object, problems: list[SettingsError]
) -> None:
    try:
        values[name] = parse(name, value)
    except SettingsError as error:
        log.warning("setting left at its default: %s", summary_of(error))
        problems.append(error)


def _convert(value: object, kind: type) -> Value:
    if kind is bool:
        if isinstance(value, bool):
            return value
        words = {"true": True, "1": True, "yes": True, "on": True}
        words |= {"false": False, "0": False, "no": False, "off": False}
        if str(value).lower() not in words:
            raise ValueError(value)
        return words[str(value).lower()]
    if kind is int:
        if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
            raise ValueError(value)
        if not isinstance(value, int | float | str):
            raise TypeError(value)
        return int(value)
    if not isinstance(value, str):
        raise TypeError(value)
    return value
