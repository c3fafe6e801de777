"""Passes the log of members to Python's ``logging``.

A member writes to a queue and never blocks; a Python thread reads the records and
passes them to the loggers below ``libcoord``, one per part of the library, such as
``libcoord.storage``. Handlers therefore run on that thread, which is named
``libcoord-log`` and ends with the member.
"""

from __future__ import annotations

import logging
import threading
import traceback

from . import _native

#: Silent until the program configures logging, as a library should be.
logging.getLogger("libcoord").addHandler(logging.NullHandler())

#: How often to check whether the level of the loggers changed.
_LOOK = 0.5
#: How long stopping a member waits for slow handlers.
_FLUSH = 5.0

_LEVELS = (logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG, logging.DEBUG - 5)


def _wanted() -> int:
    """The most detailed level of any of our loggers, as a native level: 1 for
    errors, 5 for everything."""
    manager = logging.getLogger("libcoord").manager
    names = [name for name in list(manager.loggerDict) if name.startswith("libcoord.")]
    loggers = [logging.getLogger(name) for name in ["libcoord", *names]]
    level = min(each.getEffectiveLevel() for each in loggers)
    return max([number for number, each in enumerate(_LEVELS, 1) if each >= level], default=1)


def _logger(target: str) -> logging.Logger:
    """The logger for a module of the library: `coord_core::storage::x` is
    ``libcoord.storage``."""
    parts = target.split("::")
    name = parts[1] if parts[0] == "coord_core" and len(parts) > 1 else parts[0]
    return logging.getLogger(f"libcoord.{name}")


class MemberLog:
    """The log of one or more members, and the thread that reads it."""

    def __init__(self) -> None:
        self.native = _native.NativeLog(_wanted())
        # No reference to this object, so that it can be garbage collected.
        self._thread = threading.Thread(
            target=_run, args=(self.native,), name="libcoord-log", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Passes on the queued records and ends the thread."""
        self.native.close()
        if self._thread is not threading.current_thread():
            self._thread.join(_FLUSH)

    def __del__(self) -> None:
        native = getattr(self, "native", None)
        try:
            if native is not None:
                native.close()
        except _native.Failure:
            # A forked child has no such thread.
            pass


def _run(native: _native.NativeLog) -> None:
    level = _wanted()
    while True:
        try:
            record = native.next(_LOOK)
        except _native.Failure:
            return
        if record is not None:
            _hand_on(*record)
            continue
        wanted = _wanted()
        if wanted != level:
            level = wanted
            native.set_level(level)


def _hand_on(level: int, target: str, message: str, unix_ms: int) -> None:
    logger, number = _logger(target), _LEVELS[level - 1]
    if not logger.isEnabledFor(number):
        return
    record = logger.makeRecord(logger.name, number, target, 0, message, (), None)
    # The time of the event, not of reading the record.
    record.created = unix_ms / 1000
    record.msecs = float(unix_ms % 1000)
    try:
        logger.handle(record)
    except Exception:
        # A failing handler must not stop the delivery of further records.
        if logging.raiseExceptions:
            traceback.print_exc()
