"""Guards against Qt bindings that take a reference of None with every call that returns nothing.

PySide6 6.12.0 does so on Python 3.11, where None is not immortal yet: after some thousand calls the
interpreter ends with "deallocating None". Where the loss is measured, None is given so many
references that it outlives any session. Knows nothing else; does nothing where nothing is lost.
"""

import ctypes
import sys

from PySide6.QtCore import QObject

_PROBES = 100
_ENOUGH = 1 << 40


def lost_references() -> int:
    """How many references of None a hundred calls cost."""
    probe = QObject()
    probe.setObjectName("")
    before = sys.getrefcount(None)
    for _ in range(_PROBES):
        probe.setObjectName("")
    return before - sys.getrefcount(None)


def keep_none() -> bool:
    """Make None outlive the loss; returns whether that was needed."""
    if lost_references() < _PROBES // 2:
        return False
    # The reference count is the first field of every object in CPython.
    ctypes.c_ssize_t.from_address(id(None)).value += _ENOUGH
    return True
