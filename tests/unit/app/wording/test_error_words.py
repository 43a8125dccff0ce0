"""Every error class and every code of its closed sets has words in both languages: no bare code, no
gap, and no fact dropped that is not marked as one for the log."""

import ast
import importlib
import inspect
import itertools
import pkgutil
import re
import types
from collections.abc import Container, Iterator
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest

import app
import quant
import runtime
from app.translations.extract import HERE, read
from app.wording.codes import CODES
from app.wording.explain import Explanation, explain
from app.wording.sentences import FINDINGS, REASONS, UNAVAILABLE
from app.wording.worded import Worded
from quant.error_base import StillroomError
from runtime.errors import DeviceUnavailable

CHINESE = read(HERE / "stillroom_zh_CN.ts")
HAN = re.compile(r"[\u4e00-\u9fff]")


def _own_classes() -> list[type[StillroomError]]:
    """The errors of all layers; the modules that define them are found by their text."""
    for package in (quant, runtime, app):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            path = Path(importlib.util.find_spec(module.name).origin or "")  # type: ignore[union-attr]
            if re.search(r"^class \w+\(\w*(Error|Refused)\):", path.read_text("utf-8"), re.M):
                importlib.import_module(module.name)
    own = (cls for cls in StillroomError.registry.values() if cls.__module__[:4] != "test")
    return sorted(own, key=lambda cls: cls.__name__)


CLASSES = _own_classes()


def hints(cls: type[StillroomError]) -> dict[str, Any]:
    known = get_type_hints(cls, include_extras=True)
    return {name: known[name] for name in cls.fact_names()}


def worded_facts(cls: type[StillroomError]) -> set[str]:
    return {name for name, hint in hints(cls).items() if get_origin(hint) is not Annotated}


def samples(name: str, hint: Any, second: bool) -> list[object]:
    """Values of a declared fact: all codes of a closed set, else one of two."""
    origin = get_origin(hint)
    if origin is Annotated:
        return samples(name, get_args(hint)[0], second)
    if origin is Literal:
        return list(get_args(hint))
    if origin in (Union, types.UnionType):
        return samples(name, get_args(hint)[0], second)
    plain: dict[object, object] = {
        str: f"{'other' if second else 'some'}{name}".replace("_", ""),
        int: 4_000_000_000 if second else 3_000_000_000,
        float: 9.0 if second else 7.0,
        bool: second,
        list: ["one", "two" if second else "three"],
        dict: {"n_ctx": 4096 if second else 2048},
    }
    if name == "failed":
        return [{"onnx": "CorruptFile" if second else "SIGILL"}]
    if name == "reason" and origin is dict:  # the JSON of another error
        kind = "dns" if second else "timeout"
        return [{"type": "Offline", "facts": {"kind": kind}}]
    return [plain.get(origin or hint, plain[dict])]


def closed(cls: type[StillroomError]) -> list[str]:
    return [name for name, hint in hints(cls).items() if get_origin(hint) is Literal]


def instances(
    cls: type[StillroomError], changed: str | None = None, left_out: Container[str] = ()
) -> Iterator[StillroomError]:
    """The error with every combination of its codes; `changed` has its other value."""
    values = {
        name: samples(name, hint, name == changed)
        for name, hint in hints(cls).items()
        if name not in left_out
    }
    for chosen in itertools.product(*values.values()):
        yield cls(**dict(zip(values, chosen, strict=True)))


def chinese(text: str) -> str:
    """A sentence as the Chinese window shows it; a template without a translation fails."""

    def translate(template: str) -> str:
        assert not template or template in CHINESE, template
        return CHINESE.get(template, "")

    return text.render(translate) if isinstance(text, Worded) else translate(text)


def parts(explanation: Explanation) -> tuple[str, str, str]:
    return explanation.title, explanation.sentence, explanation.hint


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_error_and_code_has_words_in_both_languages(cls: type[StillroomError]) -> None:
    for error in instances(cls):
        told = explain(error)
        assert told.title
        assert told.sentence.endswith((".", "”.", "?", "。"))
        for text in (" ".join(parts(told)), " ".join(map(chinese, parts(told)))):
            assert not re.search(r"[{}]|\bunknown$|\bNone\b|\w_\w", text), text
        assert HAN.search(chinese(told.title) + chinese(told.sentence))


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_each_code_has_its_own_sentence(cls: type[StillroomError]) -> None:
    for name in closed(cls):
        if name not in worded_facts(cls):
            continue
        told: dict[object, set[tuple[str, ...]]] = {}
        for error in instances(cls):
            told.setdefault(getattr(error, name), set()).add(parts(explain(error)))
        wordings = list(told.values())
        for one, other in itertools.combinations(wordings, 2):
            assert one != other, (name, told)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_fact_is_worded_or_for_the_log(cls: type[StillroomError]) -> None:
    defaults = inspect.signature(cls).parameters
    optional = {name for name in cls.fact_names() if defaults[name].default is not Parameter.empty}
    for name in worded_facts(cls) - set(closed(cls)):
        pairs = itertools.chain(
            zip(instances(cls), instances(cls, name), strict=True),
            zip(
                instances(cls, None, optional - {name}),
                instances(cls, name, optional - {name}),
                strict=True,
            ),
        )
        differs = any(parts(explain(one)) != parts(explain(other)) for one, other in pairs)
        assert differs, f"{cls.__name__}.{name} changes no word"


@pytest.mark.parametrize("code", UNAVAILABLE)
def test_a_device_says_in_words_why_it_is_not_usable(code: str) -> None:
    error = DeviceUnavailable(device="npu0", reason=code, detail="0x17", known=["cpu", "gpu0"])
    told = explain(error)
    for text in (" ".join(parts(told)), " ".join(map(chinese, parts(told)))):
        assert "npu0" in text
        assert "“0x17”" in text
        assert "cpu, gpu0" in text
        assert code not in text


def _constructions() -> Iterator[tuple[str, type[StillroomError], dict[str, ast.expr]]]:
    """Every place in the product that makes an error: where, its class and its arguments."""
    by_name = {cls.__name__: cls for cls in CLASSES}
    layers = (Path(layer.__path__[0]) for layer in (app, quant, runtime))
    for path in sorted(path for layer in layers for path in layer.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                if node.func.id in by_name and all(each.arg for each in node.keywords):
                    given = {str(each.arg): each.value for each in node.keywords}
                    yield f"{path.name}:{node.lineno}", by_name[node.func.id], given


def test_whoever_tells_a_code_tells_the_facts_of_its_words() -> None:
    """A phrase with a place for a fact that is not given would say None."""
    checked = 0
    for place, cls, given in _constructions():
        for (owner, name), phrases in CODES.items():
            code = given.get(name)
            if owner in (base.__name__ for base in cls.__mro__) and isinstance(code, ast.Constant):
                needed = set(re.findall(r"{(\w+)", phrases[str(code.value)]))
                needed -= {"said", "field"} | ({"file"} if "path" in given else set())
                assert needed <= set(given), (place, code.value)
                checked += 1
    assert checked > 150


def _literals(function: str, position: int) -> Iterator[tuple[str, str]]:
    """The codes that the product gives to a constructor at a place: where, and which."""
    layers = (Path(layer.__path__[0]) for layer in (app, quant, runtime))
    for path in sorted(path for layer in layers for path in layer.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or ast.unparse(node.func) != function:
                continue
            code = node.args[position] if len(node.args) > position else None
            either = (code.body, code.orelse) if isinstance(code, ast.IfExp) else (code,)
            for each in either:
                if isinstance(each, ast.Constant):
                    yield f"{path.name}:{node.lineno}", str(each.value)


@pytest.mark.parametrize(
    ("function", "position", "table"), [("Reason", 0, REASONS), ("Fact", 2, FINDINGS)]
)
def test_every_reason_and_finding_of_the_product_has_words(
    function: str, position: int, table: dict[str, str]
) -> None:
    codes = list(_literals(function, position))
    assert [code for code in codes if code[1] not in table] == []
    assert len(codes) > 10
