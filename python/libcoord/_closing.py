"""Closes open objects when the interpreter exits.

Native threads must end before the interpreter does, so every object with native
threads registers here. The newest is closed first, so that a client ends its
session while its server still runs. In a forked child nothing is closed: everything
belongs to the parent.
"""

from __future__ import annotations

import atexit
import itertools
import os
import weakref
from typing import Any, Protocol

from . import _native


class _Closable(Protocol):
    def close(self) -> Any: ...


_open: weakref.WeakValueDictionary[int, _Closable] = weakref.WeakValueDictionary()
_numbers = itertools.count()


def close_at_exit(thing: _Closable) -> None:
    """Calls ``thing.close()`` at exit if ``thing`` still exists."""
    _open[next(_numbers)] = thing


def is_forked(native: Any) -> bool:
    """Whether the object belongs to the parent process, which has to close it."""
    try:
        native.require_here()
    except _native.Failure:
        return True
    return False


def _leave_to_the_parent() -> None:
    """Runs in a forked child: open objects have their threads in the parent."""
    _native.forked()
    _open.clear()


os.register_at_fork(after_in_child=_leave_to_the_parent)


@atexit.register
def _close_all() -> None:
    for _number, thing in sorted(_open.items(), key=lambda item: item[0], reverse=True):
        try:
            thing.close()
        except Exception:
            # A failure must not keep the other objects open.
            pass
