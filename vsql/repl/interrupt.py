"""Ctrl-C for a running statement.

A Python signal handler runs between bytecodes of the main thread, so it would wait for a search or
a join that runs inside a library. The interpreter's wake-up descriptor is written at once, though:
a thread reads it and asks the connection to stop while the main thread still runs the statement.
"""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_END = b"\0"


@contextmanager
def interruptible(interrupt: Callable[[], None]) -> Iterator[None]:
    """Call `interrupt` on each SIGINT while the block runs, instead of raising KeyboardInterrupt.

    Outside the main thread, where Python allows no handlers, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    watcher = threading.Thread(target=_watch, args=(reader, interrupt), daemon=True)
    previous_descriptor = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    previous_handler = signal.signal(signal.SIGINT, _ignore)
    watcher.start()
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous_handler)
        signal.set_wakeup_fd(previous_descriptor)
        writer.setblocking(True)
        writer.sendall(_END)
        watcher.join()
        reader.close()
        writer.close()


def _watch(reader: socket.socket, interrupt: Callable[[], None]) -> None:
    while True:
        received = reader.recv(64)
        if int(signal.SIGINT) in received:
            interrupt()
        if not received or _END in received:
            return


def _ignore(number: int, frame: FrameType | None) -> None:
    """Stand in for KeyboardInterrupt: without a handler, the descriptor would not be written."""
