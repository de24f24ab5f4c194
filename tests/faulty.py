"""A server in front of DynamoDB that forwards every request, and has bad days when it is told to."""

import http.client
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

FOREVER = 1_000_000
Answer = tuple[int, list[tuple[str, str]], bytes]
Fault = Callable[[bytes, "Forward"], Answer | None]
Forward = Callable[[bytes], Answer]


class Faulty:
    """A proxy on a free port of 127.0.0.1.

    Attributes:
        seen: the operations that came in, in their order: ``PutItem``, …
        before: called with a request's number, from 0, before it is carried out.
    """

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target).netloc
        self._faults: dict[str, tuple[int, Fault]] = {}
        self._until_cut: int | None = None
        self._lose_last = False
        self._lock = threading.Lock()
        self.seen: list[str] = []
        self.before: Callable[[int], None] = lambda _: None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    # -- bad days --------------------------------------------------------------------------------

    def lose(self, operation: str, times: int = 1) -> None:
        """Carry requests out, and give no answer."""

        def fault(body: bytes, forward: Forward) -> None:
            forward(body)

        self._faults[operation] = (times, fault)

    def refuse(self, operation: str, code: str, times: int = FOREVER, message: str = "refused") -> None:
        """Answer with an error of DynamoDB, and carry nothing out."""
        answer = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message})
        self._faults[operation] = (times, lambda *_: (400, [], answer.encode()))

    def do_some(self, count: int, times: int = FOREVER) -> None:
        """Carry out only the first few deletes of a batch, and tell of the others as not processed."""

        def fault(body: bytes, forward: Forward) -> Answer:
            request = json.loads(body)
            ((table, deletes),) = request["RequestItems"].items()
            if deletes[:count]:
                forward(json.dumps({"RequestItems": {table: deletes[:count]}}).encode())
            left = {table: deletes[count:]} if deletes[count:] else {}
            return 200, [], json.dumps({"UnprocessedItems": left}).encode()

        self._faults["BatchWriteItem"] = (times, fault)

    def cut_after(self, requests: int, *, lose_last: bool = False) -> None:
        """Carry out so many requests more and no other, as if whoever sends them had died.

        Args:
            lose_last: the last of them gets no answer.
        """
        self._until_cut, self._lose_last = requests, lose_last

    def heal(self) -> None:
        """Forward everything again."""
        self._faults.clear()
        self._until_cut = None
        self.before = lambda _: None

    # -- every day -------------------------------------------------------------------------------

    def _answer(self, target: str, path: str, headers: dict[str, str], body: bytes) -> Answer | None:
        operation = target.rpartition(".")[2]
        fault = None
        silent = False
        with self._lock:
            self.seen.append(operation)
            number = len(self.seen) - 1
            if self._until_cut is not None:
                if self._until_cut == 0:
                    return None
                self._until_cut -= 1
                silent = self._lose_last and self._until_cut == 0
            times, known = self._faults.get(operation, (0, None))
            if times:
                fault = known
                self._faults[operation] = (times - 1, known)  # type: ignore[assignment]

        def forward(sent: bytes) -> Answer:
            connection = http.client.HTTPConnection(self._target, timeout=30)
            try:
                connection.request("POST", path, sent, {**headers, "Content-Length": str(len(sent))})
                answer = connection.getresponse()
                return answer.status, answer.getheaders(), answer.read()
            finally:
                connection.close()

        self.before(number)
        answer = fault(body, forward) if fault else forward(body)
        return None if silent else answer

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # an answer's body does not wait for word that its head is there

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                answer = proxy._answer(self.headers.get("X-Amz-Target", ""), self.path, headers, body)
                if answer is None:
                    self.close_connection = True
                    return
                status, given, content = answer
                self.send_response(status)
                for name, value in given:
                    if name.lower() not in {"content-length", "connection", "date", "server"}:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler
