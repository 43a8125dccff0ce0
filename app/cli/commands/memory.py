"""The command `memory`: peak memory over batch, context and KV-cache type, models side by side."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass

from app.cli.commands.console import Console, table
from app.session.session import Session
from app.wording.units import format_bytes
from runtime.plan import KvCacheType, PlanModel
from runtime.planning.memory import MemoryCell, memory_table
from runtime.shape import kv_bytes_per_token, kv_cache_bytes

# The models of the DeepSeek LLM paper's table (MHA and GQA), and what MLA made of their cache.
COMPARED = (
    "deepseek-llm-7b-chat", "deepseek-llm-67b-chat", "deepseek-v2-lite-chat", "deepseek-v3",
)  # fmt: skip


@dataclass(frozen=True)
class MemoryTable:
    """The cells of one model. `kv_bytes_per_token` is at f16; `mapped` bytes of the model's file
    stay in memory beside what the cells count, until the system takes them back."""

    model: str
    attention: str
    kv_bytes_per_token: int
    mapped: int
    cells: tuple[MemoryCell, ...]


def memory(session: Session, args: Namespace, console: Console) -> None:
    """Peak memory over batch x context x KV-cache type, from headers or the catalog alone."""
    kv_types: tuple[KvCacheType, ...] = (args.kv_cache,) if args.kv_cache else ("f16", "q8_0")
    models = {name: session.planning.model(name) for name in args.models or COMPARED}
    tables = []
    for name, model in models.items():
        cells = memory_table(model, args.batches, args.contexts, kv_types)
        mapped = max((cell.mapped for cell in cells), default=0)
        per_token = kv_bytes_per_token(model.shape)
        tables.append(MemoryTable(name, model.shape.attention, per_token, mapped, cells))
    blocks = [cache_text(models, args.contexts)] if len(models) > 1 else []
    console.result(tables, "\n\n".join([*blocks, *map(memory_text, tables)]))


def cache_text(models: dict[str, PlanModel], contexts: Sequence[int]) -> str:
    """The KV caches of one sequence side by side: what the kind of attention saves."""
    rows = []
    for name, model in models.items():
        shape = model.shape
        sizes = (
            format_bytes(kv_cache_bytes(shape, n)) if n <= model.longest_context else "–"
            for n in contexts
        )
        rows.append((name, shape.attention, format_bytes(kv_bytes_per_token(shape)), *sizes))
    headings = ("KV CACHE (f16, batch 1)", "ATTENTION", "A TOKEN", *map(str, contexts))
    return table(headings, rows)


def memory_text(found: MemoryTable) -> str:
    """One model's table as a person reads it: a block for each KV type, a row for each batch."""
    lines = [
        f"{found.model}: {found.attention}, KV cache {format_bytes(found.kv_bytes_per_token)}"
        " per token at f16. Peak memory that must be free:"
    ]
    if found.mapped:
        lines.append(
            f"(The operating system shows up to {format_bytes(found.mapped)} more per cell: pages"
            " of the mapped file, which it reclaims when memory is short.)"
        )
    blocks = ["\n".join(lines)]
    for kv_type in dict.fromkeys(cell.kv_type for cell in found.cells):
        part = [cell for cell in found.cells if cell.kv_type == kv_type]
        contexts = sorted({cell.n_ctx for cell in part})
        totals = {(cell.batch, cell.n_ctx): format_bytes(cell.total) for cell in part}
        rows = [
            (str(batch), *(totals[batch, n_ctx] for n_ctx in contexts))
            for batch in sorted({cell.batch for cell in part})
        ]
        headings = (f"BATCH \\ CONTEXT ({kv_type})", *map(str, contexts))
        blocks.append(table(headings, rows))
    return "\n\n".join(blocks)
