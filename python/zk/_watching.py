"""Calls watch functions, one at a time, on one thread per client."""

from __future__ import annotations

import itertools
import logging
import threading
from typing import Callable, Optional

from libcoord import _native

from ._types import EVENT_BY_CODE, EventType, WatchedEvent

WatchFunction = Callable[[WatchedEvent], object]

_log = logging.getLogger("zk")
_LOOK = 0.2
#: The native code for a watch that ended with its session.
_SESSION_LOST = -2


class Dispatcher:
    """Reads events from the native client and calls the watch functions. Its thread
    starts with the first watch, so a client without watches has none."""

    def __init__(self, native: _native.ZkClient) -> None:
        self._native = native
        self._lock = threading.Lock()
        self._tokens = itertools.count(1)
        self._functions: dict[int, tuple[WatchFunction, bool]] = {}
        self._thread: Optional[threading.Thread] = None
        self._closed = False

    def expect(self, function: Optional[WatchFunction], lasting: bool = False) -> Optional[int]:
        """The token to set a watch with; ``None`` for no watch."""
        if function is None:
            return None
        with self._lock:
            token = next(self._tokens)
            self._functions[token] = (function, lasting)
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="zk-watches", daemon=True)
                self._thread.start()
        return token

    def forget(self, token: Optional[int]) -> None:
        """Removes the function of a watch that could not be set."""
        if token is not None:
            with self._lock:
                self._functions.pop(token, None)

    def close(self) -> None:
        """Ends the thread after the current function returns."""
        with self._lock:
            self._closed = True
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def abandon(self) -> None:
        """Ends the thread without waiting for it."""
        self._closed = True

    def _run(self) -> None:
        while not self._closed:
            try:
                event = self._native.next_event(_LOOK)
            except _native.Failure:
                return
            if event is not None:
                self._deliver(*event)

    def _deliver(self, token: int, code: int, path: str, _zxid: Optional[int]) -> None:
        kind = EVENT_BY_CODE.get(code, EventType.NONE)
        state = "EXPIRED_SESSION" if code == _SESSION_LOST else "CONNECTED"
        for function in self._called(token, ends=code == _SESSION_LOST):
            try:
                function(WatchedEvent(kind, state, path))
            except Exception:
                _log.exception("the watch function for %s failed", path)

    def _called(self, token: int, ends: bool) -> list[WatchFunction]:
        """The functions to call for an event. Token 0 means that the queue
        overflowed: every watch may have missed an event."""
        with self._lock:
            tokens = list(self._functions) if token == 0 else [token]
            entries = {each: self._functions.get(each) for each in tokens}
            for each, entry in entries.items():
                if entry is not None and (ends or not entry[1]):
                    del self._functions[each]
        return [entry[0] for entry in entries.values() if entry is not None]
