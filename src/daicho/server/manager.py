"""Telling systemd how a service is (``Type=notify``)."""

import os
import socket
from contextlib import suppress


def tell_manager(state: str) -> None:
    """Send a state, such as ``READY=1``, to who has started this process, if that wants to know."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    # "@" stands for an address without a file.
    address = f"\0{address[1:]}" if address.startswith("@") else address
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.sendto(state.encode(), address)
