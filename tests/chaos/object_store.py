"""moto's S3 in a process of its own: `python -m tests.chaos.object_store PORT`.

One request at a time: moto looks whether an object is there, and puts it, in two steps, between which another request of its threads can come.
"""

from __future__ import annotations

import sys

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, run_simple


class Silent(WSGIRequestHandler):
    def log(self, *_: object) -> None: ...


if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), DomainDispatcherApplication(create_backend_app), threaded=False, request_handler=Silent)
