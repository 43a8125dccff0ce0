"""Our table of GGUF formats against the gguf library's own."""

from gguf.constants import GGML_QUANT_SIZES

from quant.formats import FORMATS, format_named, format_numbered


def test_the_table_is_the_librarys() -> None:
    ours = {
        (f.name, f.gguf_type, f.block_size, f.block_bytes)
        for f in FORMATS.values()
        if f.family == "gguf"
    }
    assert ours >= {(kind.name, int(kind), *size) for kind, size in GGML_QUANT_SIZES.items()}


def test_numbers_lead_back_to_names() -> None:
    assert format_numbered(2) is format_named("Q4_0")
    assert format_numbered(4) is None  # a type that ggml removed
