"""Closes what is still open when the interpreter ends.

Native threads must be gone before the interpreter is, so every object that
has some registers here.
"""

from __future__ import annotations

import atexit
import weakref
from typing import Protocol


class _Closable(Protocol):
    def close(self) -> None: ...


_open: weakref.WeakSet[_Closable] = weakref.WeakSet()


def close_at_exit(thing: _Closable) -> None:
    """Has ``thing.close()`` called at exit, unless it is gone by then."""
    _open.add(thing)


@atexit.register
def _close_all() -> None:
    for thing in list(_open):
        thing.close()
