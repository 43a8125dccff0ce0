"""llama.cpp's C functions, as the binding's lowest module has them, without the rest of it.

The package imports a whole application with itself (templates, caches, SQLite, NumPy): 0.2 s of
each start of a process that wants a few functions. Imports the native library, so worker and job
processes only.
"""

import importlib.util
import sys

_PACKAGE = "llama_cpp"
_bare = None if _PACKAGE in sys.modules else importlib.util.find_spec(_PACKAGE)
if _bare is not None:
    sys.modules[_PACKAGE] = importlib.util.module_from_spec(_bare)
try:
    import llama_cpp.llama_cpp as native
finally:
    if _bare is not None:
        del sys.modules[_PACKAGE]  # who imports the package after us gets all of it

__all__ = ["native"]
