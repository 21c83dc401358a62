"""moto's S3 on a thread, with what a race needs: of puts that ask for an absent or an unchanged object one is answered at a time.

moto looks at the object and puts it in two steps, and answers each request on a thread of its own: two commits of one version both succeeded.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.server import ThreadedMotoServer
from werkzeug.serving import make_server

_CONDITIONS = {"HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH"}

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class S3Server(ThreadedMotoServer):
    """On a free loopback port."""

    def __init__(self) -> None:
        super().__init__(ip_address="127.0.0.1", port=0, verbose=False)

    def _server_entry(self) -> None:
        app = atomic(DomainDispatcherApplication(create_backend_app))
        self._server = make_server(self._ip_address, self._port, app, threaded=True, request_handler=MotoRequestHandler)
        self._server_ready_event.set()
        self._server.serve_forever()

    @property
    def endpoint(self) -> str:
        host, port = self.get_host_and_port()
        return f"http://{host}:{port}"


def atomic(app: Application) -> Application:
    lock = threading.Lock()

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "PUT" or not _CONDITIONS & environ.keys():
            return app(environ, start_response)
        if length := environ.get("CONTENT_LENGTH"):      # all of it first: a client that dies on its way must not hold up the others
            environ["wsgi.input"] = BytesIO(environ["wsgi.input"].read(int(length)))
        with lock:
            return app(environ, start_response)

    return answer
