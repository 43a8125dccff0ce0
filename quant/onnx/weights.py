"""The stored weights of one decoder, by the part they play in the graphs.

Matrices that share an input are stored together (q, k, v; gate, up), so a graph can use them as one
matrix or, by row range, as several. Knows no graph.
"""

from dataclasses import dataclass

from quant.onnx.store import StoredTensor


@dataclass(frozen=True)
class StoredMatrix:
    """A 4-bit block-wise matrix [n, k]: packed [n, blocks, B/2], scales [n, blocks], zeros
    [n, ceil(blocks/2)] when asymmetric, bias [n] where the model has one."""

    n: int
    k: int
    block: int
    packed: StoredTensor
    scales: StoredTensor
    zeros: StoredTensor | None = None
    bias: StoredTensor | None = None

    @property
    def blocks(self) -> int:
        return -(-self.k // self.block)

    def rows(self, first: int, count: int) -> "StoredMatrix":
        """Rows first..first+count as a matrix of their own, over the same bytes."""
        return StoredMatrix(
            count,
            self.k,
            self.block,
            self.packed.rows(first, count),
            self.scales.rows(first, count),
            None if self.zeros is None else self.zeros.rows(first, count),
            None if self.bias is None else self.bias.rows(first, count),
        )


@dataclass(frozen=True)
class BlockWeights:
    """One transformer block."""

    attention_norm: StoredTensor
    qkv: StoredMatrix
    q_norm: StoredTensor | None
    k_norm: StoredTensor | None
    attention_output: StoredMatrix
    feed_forward_norm: StoredTensor
    gate_up: StoredMatrix
    down: StoredMatrix


@dataclass(frozen=True)
class DecoderWeights:
    """A whole decoder. With tied embeddings `lm_head` is the same StoredMatrix as `embedding`."""

    embedding: StoredMatrix
    blocks: tuple[BlockWeights, ...]
    output_norm: StoredTensor
    lm_head: StoredMatrix
    cos: StoredTensor
    sin: StoredTensor
