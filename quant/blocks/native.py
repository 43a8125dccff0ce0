"""llama.cpp's own block quantizers, called directly in the ggml library that llama-cpp-python
installs.

The library is found and loaded only when `open_native` is called, which happens in job processes;
importing this module loads nothing. Knows no file and no recipe.
"""

import ctypes
import importlib.util
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from quant.errors import NativeQuantizerFailed
from quant.formats import format_named

_LIBRARY = {"win32": "ggml-base.dll", "darwin": "libggml-base.dylib"}.get(
    sys.platform, "libggml-base.so"
)


class NativeQuantizer:
    """The ggml library's row quantizers. Calls release the interpreter lock."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._quantize = library.ggml_quantize_chunk
        self._quantize.restype = ctypes.c_size_t
        self._quantize.argtypes = [
            ctypes.c_int,
            ctypes.c_void_p,
            ctypes.c_void_p,
            ctypes.c_int64,
            ctypes.c_int64,
            ctypes.c_int64,
            ctypes.c_void_p,
        ]
        self._requires_importance = library.ggml_quantize_requires_imatrix
        self._requires_importance.restype = ctypes.c_bool
        self._requires_importance.argtypes = [ctypes.c_int]

    def encode(
        self,
        format_name: str,
        rows: npt.NDArray[np.float32],
        importance: npt.NDArray[np.float32] | None = None,
    ) -> npt.NDArray[np.uint8]:
        """Rows [n, row_length] as blocks [n, bytes per row]; `importance` [row_length] weighs
        columns. Raises NativeQuantizerFailed.
        """
        block = format_named(format_name)
        number = block.gguf_type
        count, length = rows.shape
        if number is None or length % block.block_size:
            raise NativeQuantizerFailed(reason="row_length", format=format_name, found=length)
        if importance is None and self._requires_importance(number):
            raise NativeQuantizerFailed(reason="needs_importance", format=format_name)
        source = np.ascontiguousarray(rows, dtype=np.float32)
        target = np.empty((count, length // block.block_size * block.block_bytes), dtype=np.uint8)
        weights = None
        if importance is not None:
            weights = np.ascontiguousarray(importance, dtype=np.float32)
        written = self._quantize(
            number,
            source.ctypes.data,
            target.ctypes.data,
            0,
            count,
            length,
            None if weights is None else weights.ctypes.data,
        )
        if written != target.nbytes:
            raise NativeQuantizerFailed(
                reason="wrong_size", format=format_name, found=written, wanted=target.nbytes
            )
        return target


def open_native() -> NativeQuantizer:
    """Load the ggml library that llama-cpp-python brought. Raises NativeQuantizerFailed."""
    spec = importlib.util.find_spec("llama_cpp")
    if spec is None or not spec.submodule_search_locations:
        raise NativeQuantizerFailed(reason="not_installed")
    path = Path(spec.submodule_search_locations[0]) / "lib" / _LIBRARY
    try:
        return NativeQuantizer(ctypes.CDLL(str(path)))
    except (OSError, AttributeError) as error:
        raise NativeQuantizerFailed(reason="refused", detail=str(error)) from error
