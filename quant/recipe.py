"""What to turn each tensor into (QuantRecipe) and what was done (QuantReport).

Knows roles and format names. Knows no file and no quantization method's inside.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from quant.errors import InvalidRecipe, UnsupportedFormat
from quant.estimate import Choice
from quant.formats import format_named
from quant.json_types import Json
from quant.roles import TensorRole, block_index

Method = Literal["llama.cpp", "round", "search", "feedback"]
Blocks = Literal["all", "sensitive"]

# When a row is no multiple of the block: the next format with a smaller block, nearest in size.
ROW_FALLBACK: Mapping[str, str] = {
    "Q2_K": "Q4_0",
    "Q3_K": "Q4_0",
    "Q4_K": "Q5_0",
    "Q5_K": "Q5_1",
    "Q6_K": "Q8_0",
    "IQ4_XS": "IQ4_NL",
}


@dataclass(frozen=True)
class FormatOverride:
    """Another format for tensors whose name matches `pattern` (a regular expression, searched).

    "sensitive" blocks are the first and last eighth and every third one between: the error of
    their value and down projections reaches the output least attenuated.
    """

    pattern: str
    format: str
    blocks: Blocks = "all"


@dataclass(frozen=True)
class QuantRecipe:
    """A format per role. Roles that are absent keep full precision (F32 for one-dimensional
    tensors, norms and routers always).

    `method` chooses who rounds: "llama.cpp" its own kernels, "round" plain rounding to nearest,
    "search" our error-minimising scale search, "feedback" rounding that makes good for its own
    errors on real inputs (quant.feedback). `importance` says whether an importance matrix is
    ignored, used when given, or demanded. With tied embeddings the one table serves as LM head and
    takes the wider of the two formats.
    """

    name: str
    formats: Mapping[TensorRole, str]
    method: Method = "llama.cpp"
    importance: Literal["ignored", "optional", "required"] = "optional"
    overrides: tuple[FormatOverride, ...] = ()
    allow_requantize: bool = True

    @property
    def family(self) -> Literal["gguf", "onnx"]:
        return format_named(next(iter(self.formats.values()))).family

    def format_for(
        self, name: str, role: TensorRole, *, block_count: int, tied: bool
    ) -> str | None:
        """The format wanted for tensor `name`; None where the recipe says nothing of its role."""
        for override in self.overrides:
            if re.search(override.pattern, name) and _covers(override, name, block_count):
                return override.format
        wanted = self.formats.get(role)
        if role is TensorRole.EMBEDDING and tied:
            return wider(wanted, self.formats.get(TensorRole.LM_HEAD))
        return wanted

    def to_json(self) -> dict[str, Json]:
        data = asdict(self)
        data["formats"] = {role.value: name for role, name in self.formats.items()}
        return data


def _covers(override: FormatOverride, name: str, block_count: int) -> bool:
    if override.blocks == "all":
        return True
    index = block_index(name)
    return index is not None and is_sensitive_block(index, block_count)


def is_sensitive_block(index: int, block_count: int) -> bool:
    """Whether block `index` of `block_count` is in the first or last eighth, or the third of
    every three between (the rule llama.cpp's mixed formats use)."""
    eighth = block_count // 8
    return index < eighth or index >= 7 * block_count // 8 or (index - eighth) % 3 == 2


def wider(first: str | None, second: str | None) -> str | None:
    """The format with more bits per weight; None (full precision) is widest."""
    if first is None or second is None:
        return None
    return max(first, second, key=lambda name: format_named(name).bits_per_weight)


def fallback_for(name: str, row: int) -> str:
    """`name`, or what replaces it when a row of `row` weights cannot be cut into its blocks."""
    wanted = format_named(name)
    if wanted.family == "onnx" or row % wanted.block_size == 0:
        return name
    narrower = ROW_FALLBACK.get(name)
    if narrower is not None and row % format_named(narrower).block_size == 0:
        return narrower
    return "F16"


_WEIGHT_ROLES = (
    TensorRole.EMBEDDING,
    TensorRole.ATTENTION,
    TensorRole.FEED_FORWARD,
    TensorRole.EXPERT,
    TensorRole.LM_HEAD,
)


def uniform(format_name: str) -> dict[TensorRole, str]:
    """The same format for every weight matrix, embeddings and LM head included."""
    return dict.fromkeys(_WEIGHT_ROLES, format_name)


def _named() -> dict[str, QuantRecipe]:
    q4_k_m = (
        FormatOverride(
            r"\.(attn_v|attn_kv_b|ffn_down(_exps|_shexp)?)\.weight$", "Q6_K", "sensitive"
        ),
    )
    onnx = [f"onnx-q4-b{size}{kind}" for size in (32, 64, 128) for kind in ("", "-asym")]
    methods: Mapping[str, Method] = {"": "round", "-search": "search"}
    recipes = (
        QuantRecipe("q4_0", uniform("Q4_0")),
        QuantRecipe("q4_0-round", uniform("Q4_0"), method="round", importance="ignored"),
        QuantRecipe("q4_0-search", uniform("Q4_0"), method="search"),
        QuantRecipe("q4_0-best", uniform("Q4_0"), method="search", importance="required"),
        QuantRecipe("q4_0-q8head", {**uniform("Q4_0"), TensorRole.LM_HEAD: "Q8_0"}),
        QuantRecipe("q4_1", uniform("Q4_1")),
        QuantRecipe("q4_k_m", {**uniform("Q4_K"), TensorRole.LM_HEAD: "Q6_K"}, overrides=q4_k_m),
        # Blocks of 128: a decode step reads 4.5 bits a weight where blocks of 32 make it read 6.
        # Zero points cost nothing at run time: onnxruntime folds them into sums it keeps anyway.
        QuantRecipe("onnx-q4-fast", uniform("onnx-q4-b128-asym"), method="search"),
        QuantRecipe("q5_k", uniform("Q5_K")),
        QuantRecipe("iq4_nl", uniform("IQ4_NL")),
        QuantRecipe("iq4_xs", uniform("IQ4_XS")),
        QuantRecipe("iq4_xs-feedback", uniform("IQ4_XS"), method="feedback"),
        QuantRecipe("q4_0-feedback", uniform("Q4_0"), method="feedback"),
        QuantRecipe("iq4_nl-feedback", uniform("IQ4_NL"), method="feedback"),
        QuantRecipe("q4_k-feedback", uniform("Q4_K"), method="feedback"),
        QuantRecipe(
            "q4_k_m-feedback",
            {**uniform("Q4_K"), TensorRole.LM_HEAD: "Q6_K"},
            method="feedback",
            overrides=q4_k_m,
        ),
        # Zero points cost nothing at run time, so feedback always has them.
        *(
            QuantRecipe(f"{name}-feedback", uniform(name), method="feedback")
            for name in onnx
            if name.endswith("-asym")
        ),
        QuantRecipe("q5_1-feedback", uniform("Q5_1"), method="feedback"),
        QuantRecipe("q6_k", uniform("Q6_K")),
        QuantRecipe("q8_0", uniform("Q8_0")),
        QuantRecipe("f16", uniform("F16"), importance="ignored"),
        QuantRecipe("bf16", uniform("BF16"), importance="ignored"),
        *(
            QuantRecipe(name + suffix, uniform(name), method=method)
            for name in onnx
            for suffix, method in methods.items()
        ),
    )
    return {recipe.name: recipe for recipe in recipes}


RECIPES: Mapping[str, QuantRecipe] = _named()


def recipe_named(name: str) -> QuantRecipe:
    """One of RECIPES. Raises InvalidRecipe."""
    found = RECIPES.get(name)
    if found is None:
        raise InvalidRecipe(field="name", reason="not_known", value=name, choices=sorted(RECIPES))
    return found


def recipe_from_json(data: Mapping[str, Json]) -> QuantRecipe:
    """A person's own recipe, e.g. {"name": "mine", "formats": {"attention": "Q4_K", ...}}.

    `formats` may give "default" for all roles it does not name. Raises InvalidRecipe.
    """
    known = {
        "name",
        "formats",
        "method",
        "importance",
        "overrides",
        "allow_requantize",
    }
    for key in data:
        if key not in known:
            raise InvalidRecipe(field=str(key), reason="unknown_field", choices=sorted(known))
    method = data.get("method", "llama.cpp")
    importance = data.get("importance", "optional")
    if method not in ("llama.cpp", "round", "search", "feedback"):
        raise InvalidRecipe(
            field="method",
            reason="not_known",
            value=str(method),
            choices=["llama.cpp", "round", "search", "feedback"],
        )
    if importance not in ("ignored", "optional", "required"):
        raise InvalidRecipe(
            field="importance",
            reason="not_known",
            value=str(importance),
            choices=["ignored", "optional", "required"],
        )
    return QuantRecipe(
        name=str(data.get("name", "custom")),
        formats=_formats_from_json(data.get("formats")),
        method=method,
        importance=importance,
        overrides=_overrides_from_json(data.get("overrides", ())),
        allow_requantize=bool(data.get("allow_requantize", True)),
    )


def _overrides_from_json(data: Json) -> tuple[FormatOverride, ...]:
    if isinstance(data, str) or not isinstance(data, Sequence):
        raise InvalidRecipe(field="overrides", reason="override_incomplete")
    return tuple(map(_override_from_json, data))


def _formats_from_json(data: object) -> dict[TensorRole, str]:
    if not isinstance(data, Mapping) or not data:
        raise InvalidRecipe(field="formats", reason="not_a_mapping")
    formats: dict[TensorRole, str] = {}
    if "default" in data:
        formats.update(uniform(_checked_format("formats.default", data["default"])))
    for key, value in data.items():
        if key == "default":
            continue
        try:
            role = TensorRole(key)
        except ValueError:
            raise InvalidRecipe(
                field=f"formats.{key}",
                reason="not_known",
                value=str(key),
                choices=[r.value for r in TensorRole],
            ) from None
        formats[role] = _checked_format(f"formats.{key}", value)
    families = {format_named(name).family for name in formats.values()}
    if len(families) > 1:
        raise InvalidRecipe(field="formats", reason="families_mixed")
    return formats


def _override_from_json(data: object) -> FormatOverride:
    if not isinstance(data, Mapping) or not isinstance(data.get("pattern"), str):
        raise InvalidRecipe(field="overrides", reason="override_incomplete")
    try:
        re.compile(data["pattern"])
    except re.error as error:
        raise InvalidRecipe(
            field="overrides.pattern", reason="bad_pattern", detail=str(error)
        ) from None
    blocks = data.get("blocks", "all")
    if blocks not in ("all", "sensitive"):
        raise InvalidRecipe(
            field="overrides.blocks",
            reason="not_known",
            value=str(blocks),
            choices=["all", "sensitive"],
        )
    return FormatOverride(
        data["pattern"], _checked_format("overrides.format", data.get("format")), blocks
    )


def _checked_format(where: str, name: object) -> str:
    try:
        return format_named(str(name)).name
    except UnsupportedFormat:
        raise InvalidRecipe(field=where, reason="unknown_format", value=str(name)) from None


@dataclass(frozen=True)
class TensorReport:
    """What was done to one tensor. `rmse` is root mean square error relative to the source's root
    mean square (None where the tensor was copied or not measured), `plain_rmse` that of plain
    rounding where a search was to beat it; `fallback_from` is the format the recipe asked for when
    the row did not fit it. Where formats were allotted by what errors cost, `cost` is the
    divergence to expect of this one (nats a token) and `strength` that of an error as large as its
    output."""

    name: str
    role: TensorRole
    source_format: str
    target_format: str
    elements: int
    nbytes: int
    rmse: float | None = None
    plain_rmse: float | None = None
    fallback_from: str | None = None
    cost: float | None = None
    strength: float | None = None


@dataclass(frozen=True)
class QuantReport:
    """What one conversion did. Sizes in bytes, `seconds` wall time, `peak_anonymous` bytes of
    anonymous memory at its highest (0 where the system does not tell)."""

    source: str
    target: str
    recipe: str
    method: str
    tensors: tuple[TensorReport, ...]
    source_bytes: int
    target_bytes: int
    seconds: float
    importance: bool = False
    peak_anonymous: int = 0
    notices: tuple[str, ...] = field(default=())
    choice: Choice | None = None

    @property
    def bits_per_weight(self) -> float:
        elements = sum(t.elements for t in self.tensors)
        return 8 * sum(t.nbytes for t in self.tensors) / elements if elements else 0.0

    @property
    def bits_per_weight_by_role(self) -> dict[str, float]:
        """Bits per weight of each role that occurs."""
        totals: dict[str, tuple[int, int]] = {}
        for tensor in self.tensors:
            bits, elements = totals.get(tensor.role.value, (0, 0))
            totals[tensor.role.value] = (bits + 8 * tensor.nbytes, elements + tensor.elements)
        return {role: bits / elements for role, (bits, elements) in totals.items() if elements}

    @property
    def error_by_role(self) -> dict[str, float]:
        """Relative root mean square error by role, over the tensors it was measured for."""
        return _by_role((t.role, t.rmse, t.elements) for t in self.tensors)

    @property
    def plain_error_by_role(self) -> dict[str, float]:
        """The same for plain rounding, where a search took its place."""
        return _by_role((t.role, t.plain_rmse, t.elements) for t in self.tensors)

    @property
    def expected_kl(self) -> float | None:
        """The divergence to expect, in nats a token, where formats were allotted by it."""
        costs = [tensor.cost for tensor in self.tensors if tensor.cost is not None]
        return sum(costs) if costs else None

    @property
    def fallbacks(self) -> tuple[TensorReport, ...]:
        return tuple(t for t in self.tensors if t.fallback_from is not None)

    def to_json(self) -> dict[str, Json]:
        data = asdict(self)
        data["bits_per_weight"] = self.bits_per_weight
        data["bits_per_weight_by_role"] = self.bits_per_weight_by_role
        data["error_by_role"] = self.error_by_role
        data["plain_error_by_role"] = self.plain_error_by_role
        data["expected_kl"] = self.expected_kl
        data["fallbacks"] = [tensor.name for tensor in self.fallbacks]
        return data


def _by_role(errors: Iterable[tuple[TensorRole, float | None, int]]) -> dict[str, float]:
    """Root mean square by role of relative errors, each of so many elements."""
    totals: dict[str, tuple[float, int]] = {}
    for role, error, elements in errors:
        if error is not None:
            squares, count = totals.get(role.value, (0.0, 0))
            totals[role.value] = (squares + error**2 * elements, count + elements)
    return {role: (squares / count) ** 0.5 for role, (squares, count) in totals.items()}
