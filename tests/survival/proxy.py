"""A proxy in front of PostgreSQL that has bad days when it is told to: it understands just enough to find COMMIT."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from enum import Enum, auto

STARTUP_CODES = {80877103, 80877104, 80877102}
"""What a client may ask before it begins: SSL, GSSAPI, cancel."""


class Fault(Enum):
    """What happens to a COMMIT."""

    BEFORE = auto()
    """It never reaches the server; the connection is cut."""
    UNANSWERED = auto()
    """It is carried out; the connection is cut before the answer."""
    HALF_ANSWERED = auto()
    """It is carried out; the connection is cut in the middle of the answer."""


class Proxy:
    """Forwards connections from a free port of 127.0.0.1 to a server.

    Attributes:
        commits: how many COMMITs have come by.
        cuts: how many connections were cut at one.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._faults: dict[int, Fault] = {}
        self._pairs: set[_Pair] = set()
        self.commits = 0
        self.cuts = 0
        self._swallowing = threading.Event()
        self._refusing = threading.Event()
        self._closed = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, database: str, user: str = "postgres") -> str:
        """The URL of a database behind it."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    # -- bad days --------------------------------------------------------------------------------

    def at_commit(self, fault: Fault, *, every: int = 1, times: int = 1) -> None:
        """Let a fault befall COMMITs from the next one on: each ``every``-th, so many times."""
        with self._lock:
            first = self.commits + 1
            self._faults |= {first + every * n: fault for n in range(times)}

    def swallow(self) -> None:
        """Take what comes, on every connection, old and new, and forward nothing, without a word."""
        self._swallowing.set()
        with self._lock:
            for pair in self._pairs:
                pair.swallows = True

    def cut(self) -> None:
        """Cut every connection."""
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            pair.reset()

    def refuse(self) -> None:
        """Cut every connection, and each new one at once."""
        self._refusing.set()
        self.cut()

    def heal(self) -> None:
        """Forward new connections again. Those that were swallowed stay open, and swallow for ever."""
        self._refusing.clear()
        self._swallowing.clear()

    def close(self) -> None:
        """End."""
        self._closed.set()
        self._listener.close()
        self.cut()

    # -- every day -------------------------------------------------------------------------------

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._refusing.is_set():
                _reset(client)
                continue
            try:
                server = socket.create_connection(self._target, 5)
                server.settimeout(None)
            except OSError:
                _reset(client)
                continue
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pair = _Pair(self, client, server)
            with self._lock:
                pair.swallows = self._swallowing.is_set()
                self._pairs.add(pair)
            threading.Thread(target=pair.upwards, daemon=True).start()
            threading.Thread(target=pair.downwards, daemon=True).start()

    def _count_commit(self) -> Fault | None:
        with self._lock:
            self.commits += 1
            fault = self._faults.pop(self.commits, None)
            self.cuts += fault is not None
            return fault


class _Pair:
    """One connection, from a client to the server."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy, self._client, self._server = proxy, client, server
        self._answer_lost: Fault | None = None
        self.swallows = False

    def upwards(self) -> None:
        """Forward what the client sends, message by message."""
        with contextlib.suppress(OSError):
            for message in _messages(self._client):
                if self.swallows:
                    continue
                if _is_commit(message):
                    fault = self._proxy._count_commit()
                    if fault is Fault.BEFORE:
                        break
                    self._answer_lost = fault
                self._server.sendall(message)
        self._end()

    def downwards(self) -> None:
        """Forward what the server answers."""
        with contextlib.suppress(OSError):
            while some := self._server.recv(65536):
                if self.swallows:
                    continue
                fault = self._answer_lost
                if fault is Fault.HALF_ANSWERED:
                    self._client.sendall(some[: len(some) // 2])
                if fault is not None:
                    break
                self._client.sendall(some)
        self._end()

    def _end(self) -> None:
        with self._proxy._lock:
            self._proxy._pairs.discard(self)
        self.reset()

    def reset(self) -> None:
        for one in (self._client, self._server):
            _reset(one)


def _messages(client: socket.socket) -> Iterator[bytes]:
    """What a client sends, cut into its messages; the first ones have no letter in front."""
    buffer, begun = b"", False
    while some := client.recv(65536):
        buffer += some
        while len(buffer) >= (at := int(begun)) + 4:
            end = at + struct.unpack_from("!i", buffer, at)[0]
            if len(buffer) < end:
                break
            message, buffer = buffer[:end], buffer[end:]
            begun = begun or struct.unpack_from("!i", message, 4)[0] not in STARTUP_CODES
            yield message


def _is_commit(message: bytes) -> bool:
    """Whether a message is a query, or the parsing of one, that commits."""
    return message[:1] in {b"Q", b"P"} and b"COMMIT\0" in message[5:40].upper()


def _reset(one: socket.socket) -> None:
    """Close at once, without a farewell."""
    with contextlib.suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        one.close()
