"""Calls watch functions, one after the other, on one thread per client."""

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


class Dispatcher:
    """Takes events from the native client and calls who waits for them. Its
    thread starts with the first watch, so a client without watches has none."""

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
        """The watch was not set after all."""
        if token is not None:
            with self._lock:
                self._functions.pop(token, None)

    def close(self) -> None:
        """Ends the thread, after the function it is in."""
        with self._lock:
            self._closed = True
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

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
        with self._lock:
            if kind == EventType.MISSED:
                called = [function for function, _ in self._functions.values()]
            else:
                entry = self._functions.get(token)
                if entry is not None and not entry[1]:
                    del self._functions[token]
                called = [entry[0]] if entry is not None else []
        for function in called:
            try:
                function(WatchedEvent(kind, "CONNECTED", path))
            except Exception:
                _log.exception("the watch function for %s failed", path)
