"""Closes what is still open when the interpreter ends.

Native threads must be gone before the interpreter is, so every object that
has some registers here. The newest is closed first: a client ends its session
while the server it talks to still runs. In a forked child nothing is closed:
it is all the parent's.
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
    """Has ``thing.close()`` called at exit, unless it is gone by then."""
    _open[next(_numbers)] = thing


def is_forked(native: Any) -> bool:
    """Whether it is the parent's, and its closing the parent's business."""
    try:
        native.require_here()
    except _native.Failure:
        return True
    return False


def _leave_to_the_parent() -> None:
    """In a forked child: what is open there has its threads in the parent."""
    _native.forked()
    _open.clear()


os.register_at_fork(after_in_child=_leave_to_the_parent)


@atexit.register
def _close_all() -> None:
    for _number, thing in sorted(_open.items(), key=lambda item: item[0], reverse=True):
        try:
            thing.close()
        except Exception:
            # What cannot be closed must not keep the others open.
            pass
