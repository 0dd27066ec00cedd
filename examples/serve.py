"""Serves a saved classifier over HTTP, by Python's standard library alone: series as JSON in, probabilities out.

    python examples/serve.py model.safetensors --port 8000
    curl -d '[[0.1, 0.2, null, 0.4], [1, 0, 1, 0]]' http://127.0.0.1:8000

A request is a list for each channel, null where a value is missing; the reply has the probability of each class. The
model is loaded once, and all threads predict with it, each as it would alone. What the model refuses has status 400,
and its message is the reply.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import torch

import tsformer


def answer(model: Any, series: list[list[float | None]]) -> dict[str, float]:
    """Return the probability of each class."""
    (probability,) = model.predict_proba([np.array(series, dtype=np.float64)])
    return dict(zip(map(str, model.classes_), probability.tolist(), strict=True))


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    protocol_version = "HTTP/1.1"  # a connection may ask again
    disable_nagle_algorithm = True  # else the body would wait for an answer to the headers

    def __init__(self, model: Any, *connection: Any) -> None:
        self.model = model
        super().__init__(*connection)

    def do_POST(self) -> None:
        """Answer one request."""
        request = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            status, reply = 200, answer(self.model, json.loads(request))
        except (ValueError, TypeError) as error:
            status, reply = 400, {"error": str(error)}
        body = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *values: Any) -> None:
        """Say nothing of each request."""


def make_server(path: str, port: int = 0) -> ThreadingHTTPServer:
    """Load a model, and make a server of it that listens on a port of this machine; 0 takes a free one."""
    return ThreadingHTTPServer(("127.0.0.1", port), partial(Handler, tsformer.load(path, device="cpu")))


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a file of tsformer.save")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # requests are what runs side by side
    with make_server(options.model, options.port) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
