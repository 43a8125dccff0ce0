"""The errors of the quant layer. They carry facts; the application alone words them.

QuantError
├── UnsupportedFormat      a file, format or architecture that no code here reads or writes
├── IncompatibleShape      a tensor whose shape is not what its place demands
├── CorruptCheckpoint      a file whose bytes contradict its format
├── AlreadyQuantized       requantizing was not allowed
├── NonFiniteWeights       NaN or infinite values
├── InvalidRecipe          a field of a recipe
├── MissingTensor
├── NotEnoughDisk          bytes
├── SizeOutOfRange         bytes
└── NativeQuantizerFailed

FileDamage and UnknownKind are what the runtime's errors of a model's file share with those here: a
code for what is wrong, and the facts that the code is about.
"""

import errno
from typing import Literal

from quant.error_base import LogOnly, StillroomError

# What the system says where NotEnoughDisk is meant: no room, a quota, a limit on a file's size.
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

DamageCode = Literal[
    # the file as a whole
    "missing",
    "empty",
    "unreadable",
    "refused",
    "wrong_size",
    "wrong_hash",
    "changed",
    "not_object",
    "bad_json",
    "json_too_large",
    "repeated_key",
    # a header
    "truncated_header",
    "header_length",
    "header_not_object",
    "no_magic",
    "gguf_version",
    "tensor_count",
    "metadata_count",
    "metadata_type",
    "nested_arrays",
    "alignment",
    # a tensor's place
    "tensor_not_described",
    "tensor_layout",
    "tensor_too_large",
    "tensor_size",
    "past_end",
    "overlap",
    "tensor_twice",
    "tensor_type",
    "dimension_count",
    "dimensions",
    "row_length",
    "no_such_block",
    "name_clash",
    # several files
    "no_weight_map",
    "bad_shard_name",
    "missing_shard",
    "not_in_shard",
    "not_in_index",
    "in_two_parts",
    "wrong_part",
    "part_name",
    "part_count",
    "outside_folder",
    "not_listed",
    # a value
    "impossible_value",
    "field_missing",
    "field_impossible",
    "not_whole",
    "not_number",
    "not_positive",
    "not_above",
    "not_divisor",
    "odd_head",
    "field_not_object",
    "field_not_text",
    "not_token_id",
    "not_supported",
    "too_many_blocks",
    "unknown_section",
    "end_token",
    "token_id",
    # what a model needs
    "no_vocabulary",
    "no_tokenizer_model",
    "no_graph",
    "graph_input",
    "graph_blocks",
    "graph_heads",
    "graph_head_size",
    "graph_vocabulary",
    "factors_not_positive",
    "no_counts",
    "impossible_sums",
    "no_importance",
    "no_sensitivities",
]

KindCode = Literal[
    "refused",
    "not_installed",
    "not_weights",
    "no_weights",
    "no_model",
    "not_evaluated",
    "tensor_type",
    "unknown_format",
    "not_gguf_format",
    "architecture",
    "no_architecture",
    "not_a_model",
    "header_key",
    "config_value",
    "unknown_tensor",
    "rope_scaling",
    "rope_option",
    "no_tokenizer",
    "tokenizer_model",
    "pre_tokenizer",
    "not_manifest",
    "manifest_version",
    "sliding_window",
    "feed_forward_bias",
    "activation",
    "mixture_of_experts",
    "partial_rotary",
    "pipeline",
    "padded_rows",
    "no_fixed_shape_body",
    "importance_not_measured",
]

ShapeCode = Literal[
    "expected",
    "scales",
    "importance",
    "even_heads",
    "config",
    "text_too_short",
    "vocabularies_differ",
]

RecipeCode = Literal[
    "for_onnx",
    "needs_importance",
    "one_format",
    "families_mixed",
    "not_known",
    "unknown_field",
    "unknown_format",
    "not_a_mapping",
    "override_incomplete",
    "bad_pattern",
    "not_object",
]


class FileDamage(StillroomError):
    """The bytes of a file contradict its format. `tensor` is there where one is to blame; `key`
    names a field, a tensor or a file in it, `found` is what it has and `wanted` what it should
    have; `detail` is what a library or the system says."""

    reason: DamageCode
    tensor: str | None = None
    key: str | None = None
    found: str | int | None = None
    wanted: str | int | None = None
    detail: str | None = None


class UnknownKind(StillroomError):
    """A file is sound and of a kind that no code here reads. The facts are those of FileDamage."""

    reason: KindCode
    tensor: str | None = None
    key: str | None = None
    found: str | int | None = None
    wanted: str | int | None = None
    detail: str | None = None


class QuantError(StillroomError):
    """Base of all quant errors."""


class UnsupportedFormat(QuantError, UnknownKind):
    """`path` is None where a format was named without a file."""

    path: str | None


class IncompatibleShape(QuantError):
    """`tensor` is None where no single one is to blame; `shape` is its own."""

    reason: ShapeCode
    tensor: str | None
    shape: list[int]
    key: str | None = None
    wanted: str | int | None = None


class CorruptCheckpoint(QuantError, FileDamage):
    path: str


class AlreadyQuantized(QuantError):
    """`official` names the repository of the full-precision weights where it is known."""

    path: str
    format: str
    tensor: str
    official: str | None = None


class NonFiniteWeights(QuantError):
    tensor: str
    count: int


class InvalidRecipe(QuantError):
    """`value` is what was given, `choices` what is known; `detail` is what a library says."""

    field: str
    reason: RecipeCode
    value: str | None = None
    choices: list[str] | None = None
    detail: str | None = None


class MissingTensor(QuantError):
    tensor: str
    path: str


class NotEnoughDisk(QuantError):
    """Amounts in bytes; `reserve` is what is to stay free beside what is needed."""

    path: str
    needed: int
    available: int
    reserve: LogOnly[int] = 0


class SizeOutOfRange(QuantError):
    """Bytes of a whole file: what was asked for, and the least and the most that can be made. It
    can lie between these where no formats add up to it."""

    asked: int
    least: int
    most: int


class NativeQuantizerFailed(QuantError):
    """`found` and `wanted` are counts: of a row's values, or of bytes written."""

    reason: Literal["not_installed", "row_length", "needs_importance", "wrong_size", "refused"]
    format: str | None = None
    found: int | None = None
    wanted: int | None = None
    detail: str | None = None
