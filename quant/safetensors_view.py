"""A safetensors checkpoint as the GGUF file it is to become."""

from quant.errors import UnsupportedFormat
from quant.sources import Source
from quant.views import GgufView


def view_of_safetensors(source: Source) -> GgufView:
    """Raises UnsupportedFormat."""
    raise UnsupportedFormat(path=str(source.path), format="safetensors", detail="not yet")
