"""A real HTTP server between the store and its S3: counts what is asked, and fails as told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Proxy:
    """Passes requests on to `upstream`; the next ones meet the given faults, one each, or `always` that one."""

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream).netloc
        self.asked: list[tuple[str, str]] = []
        self.faults: list[Fault] = []
        self.always: Fault | None = None
        self.only = ""
        self.released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Relay,), {"proxy": self}))
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None    # type: ignore[method-assign]  # a client that is killed breaks its connection
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def fault(self, method: str, path: str) -> Fault:
        if self.only not in f"{method} {path}":
            return passed
        return self.faults.pop(0) if self.faults else self.always or passed

    def counted(self) -> list[str]:
        """What was asked since the last time, as methods and folders."""
        asked, self.asked = self.asked, []
        return [f"{method} {'log' if '/_delta_log/' in path else 'data' if '/shard' in path else path}" for method, path in asked]

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()


class Relay(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    proxy: Proxy

    def relay(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.proxy.asked.append((self.command, self.path))
        self.proxy.fault(self.command, self.path)(self)

    def upstream(self) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = HTTPConnection(self.proxy.upstream)
        connection.request(self.command, self.path, self.body, dict(self.headers))
        reply = connection.getresponse()
        answer = reply.status, reply.getheaders(), reply.read()
        connection.close()
        return answer

    def answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("connection", "transfer-encoding"):
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


for _method in ("GET", "HEAD", "POST", "PUT", "DELETE"):
    setattr(Relay, f"do_{_method}", Relay.relay)

Fault = Callable[[Relay], None]


def passed(relay: Relay) -> None:
    relay.answer(*relay.upstream())


def unavailable(relay: Relay) -> None:
    """Nothing happens, and the server says so, more or less."""
    relay.answer(503, [("content-length", "0")], b"")


def slow_down(relay: Relay) -> None:
    """Nothing happens: there were too many requests, says S3."""
    body = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
    relay.answer(503, [("content-type", "application/xml"), ("content-length", str(len(body)))], b"" if relay.command == "HEAD" else body)


class Throttle:
    """A bucket of tokens: of more requests than so many a second the rest are told to slow down."""

    def __init__(self, requests_s: float, burst: int, fault: Fault) -> None:
        """`fault`: what those meet that are let through."""
        self._requests_s, self._burst, self._fault = requests_s, burst, fault
        self._tokens, self._filled_s = float(burst), time.monotonic()
        self._lock = threading.Lock()
        self.passed = self.refused = 0

    def __call__(self, relay: Relay) -> None:
        (self._fault if self._takes() else slow_down)(relay)

    def _takes(self) -> bool:
        with self._lock:
            now_s = time.monotonic()
            self._tokens = min(self._burst, self._tokens + (now_s - self._filled_s) * self._requests_s)
            self._filled_s = now_s
            let = self._tokens >= 1
            self._tokens -= let
            self.passed, self.refused = self.passed + let, self.refused + (not let)
            return let


def lost_request(relay: Relay) -> None:
    relay.close_connection = True


def lost_reply(relay: Relay) -> None:
    """It happens, but the connection breaks."""
    relay.upstream()
    relay.close_connection = True


def late_unavailable(relay: Relay) -> None:
    """It happens, but the server says that it cannot."""
    relay.upstream()
    unavailable(relay)


def mute(relay: Relay) -> None:
    """Nothing happens and nothing is said until the test is over."""
    relay.proxy.released.wait()
    relay.close_connection = True


def echoing(status: int) -> Fault:
    """An answer that quotes all it was sent, as a badly configured gateway does."""

    def echo(relay: Relay) -> None:
        body = f"<Error>{relay.path} {relay.headers}</Error>".encode()
        relay.answer(status, [("content-length", str(len(body)))], b"" if relay.command == "HEAD" else body)

    return echo
