"""Objects that live in processes of their own, and whose methods are called from here.

The processes do not import the script of the user, as those of multiprocessing do: it needs no guard for them.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from uqcv.errors import UqcvError
from uqcv.processes import end_with, ended, interrupt_ignored, portable

CODE = "import sys; sys.path[:] = {path}; from uqcv.remote import serve; serve({descriptor}, {parent})"


class RemoteObject:
    """An object in a fresh process, which ends with this one.

    It is made while this process goes on; whoever sends the first call waits for it.

    Parameters
    ----------
    factory
        A class or function at the top level of a module that can be imported.
    *arguments
        Of the factory; they can be pickled.
    """

    def __init__(self, factory: Callable[..., Any], *arguments: Any) -> None:
        ours, theirs = socket.socketpair()
        code = CODE.format(path=sys.path, descriptor=theirs.fileno(), parent=os.getpid())
        with theirs, interrupt_ignored():
            command = [sys.executable, "-c", code]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
        self._connection = Connection(ours.detach())
        self._made = False
        self._send((factory, arguments))

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    @property
    def exitcode(self) -> int | None:
        """Exit code, minus the number of the signal that ended it, or None if it is not known to have ended."""
        return self._process.returncode

    def send(self, method: str, *arguments: Any) -> None:
        """Call a method and go on; its result waits for `receive`.

        Raises
        ------
        UqcvError
            What making the object raised, or that its process has ended.
        """
        self.wait()
        self._send((method, arguments))

    def _send(self, message: tuple[Any, ...]) -> None:
        try:
            self._connection.send(message)
        except OSError as error:
            raise self._ended() from error

    def receive(self) -> Any:
        """Return the result of the call that was sent first.

        Raises
        ------
        UqcvError
            What the method raised, or that the process has ended.
        """
        try:
            result = self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._ended() from error
        if isinstance(result, Exception):
            raise result
        return result

    def answers(self, seconds: float) -> bool:
        """Whether there is something to receive within so many seconds: a result, or that the process has ended."""
        return self._connection.poll(seconds)

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method and return its result."""
        self.send(method, *arguments)
        return self.receive()

    def wait(self) -> None:
        """Wait until the object is made."""
        if not self._made:
            self.receive()
            self._made = True

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.kill()
        self._process.wait()

    def _ended(self) -> UqcvError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1.0)
        return ended(self._process.returncode)


def serve(descriptor: int, parent: int) -> None:
    """Make an object and call its methods for another process, until that closes the connection."""
    threading.Thread(target=end_with, args=(parent,), daemon=True).start()
    connection = Connection(descriptor)
    try:
        factory, arguments = connection.recv()
        served = factory(*arguments)
        connection.send(None)
        while True:
            method, values = connection.recv()
            connection.send(getattr(served, method)(*values))
    except EOFError:
        return
    except Exception as error:
        connection.send(portable(error))
