"""Which decoders can be written as an ONNX folder. Knows names only, and imports no numpy: the
window asks before anything is read."""

ARCHITECTURES = ("llama", "qwen2", "qwen3")


def exportable(architecture: str, experts: int = 0) -> bool:
    """Whether a decoder of this GGUF architecture, with so many experts a block, can be written."""
    return architecture in ARCHITECTURES and not experts
