"""Closes what is still open when the interpreter ends.

Native threads must be gone before the interpreter is, so every object that
has some registers here. The newest is closed first: a client ends its session
while the server it talks to still runs.
"""

from __future__ import annotations

import atexit
import itertools
import weakref
from typing import Any, Protocol


class _Closable(Protocol):
    def close(self) -> Any: ...


_open: weakref.WeakValueDictionary[int, _Closable] = weakref.WeakValueDictionary()
_numbers = itertools.count()


def close_at_exit(thing: _Closable) -> None:
    """Has ``thing.close()`` called at exit, unless it is gone by then."""
    _open[next(_numbers)] = thing


@atexit.register
def _close_all() -> None:
    for _number, thing in sorted(_open.items(), key=lambda item: item[0], reverse=True):
        try:
            thing.close()
        except Exception:
            # What cannot be closed must not keep the others open.
            pass
