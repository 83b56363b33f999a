"""Objects that live in processes of their own, and whose methods are called from here."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from uqcv.errors import UqcvError
from uqcv.processes import end_with, ended, interrupt_ignored, portable


class RemoteObject:
    """An object in a fresh process, which ends with this one.

    It is made while this process goes on; whoever sends the first call waits for it.

    Parameters
    ----------
    factory
        A class or function at the top level of a module.
    *arguments
        Of the factory; they can be pickled.
    """

    def __init__(self, factory: Callable[..., Any], *arguments: Any) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._connection, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(theirs, os.getpid(), factory, arguments), daemon=True)
        with interrupt_ignored():
            self._process.start()
        theirs.close()
        self._made = False

    def send(self, method: str, *arguments: Any) -> None:
        """Call a method and go on; its result waits for `receive`.

        Raises
        ------
        UqcvError
            What making the object raised, or that its process has ended.
        """
        self.wait()
        try:
            self._connection.send((method, arguments))
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
        self._process.join()

    def _ended(self) -> UqcvError:
        self._process.join(timeout=1.0)
        return ended(self._process.exitcode)


def _serve(connection: Connection, parent: int, factory: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    threading.Thread(target=end_with, args=(parent,), daemon=True).start()
    try:
        served = factory(*arguments)
        connection.send(None)
        while True:
            method, values = connection.recv()
            connection.send(getattr(served, method)(*values))
    except EOFError:
        return
    except Exception as error:
        connection.send(portable(error))
