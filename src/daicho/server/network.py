"""A socket that is bound before anything is said about it."""

import errno
import socket

from daicho.core.errors import Invalid


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises Invalid, naming address and way out, when it cannot be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # The protocol said in full: asyncio turns Nagle's delay off only where it knows that this is TCP.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except socket.gaierror:
        raise Invalid(f"{host}: no such host; try --host 127.0.0.1", f"{host}: ホストがありません") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Invalid(
                f"port {port} on {host} is in use; choose another with --port (0: any)",
                f"{host} のポート {port} は使用中です。--port で別の番号を選んでください",
            ) from None
        raise Invalid(f"cannot listen on {host}:{port}: {error.strerror}") from None
    return listener
