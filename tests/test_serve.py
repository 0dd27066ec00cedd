"""The server of examples/serve.py: many requests at once, one model."""

import http.client
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import tsformer

EXAMPLES = Path(__file__).parents[1] / "examples"
SIZE = {"pretrained": None, "n_estimators": 2, "d_model": 16, "n_heads": 2, "n_layers": 1, "d_ff": 16}
N_REQUESTS, N_THREADS = 500, 8


@pytest.fixture
def model(tmp_path):
    X, y = np.random.default_rng(0).normal(size=(24, 2, 40)), np.resize(["a", "b"], 24)
    tsformer.save(tsformer.TransformerClassifier(max_steps=5, random_state=0, **SIZE).fit(X, y), tmp_path / "model")
    return tsformer.load(tmp_path / "model")


@pytest.fixture
def port(model, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    import serve

    with serve.make_server(str(tmp_path / "model")) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def ask(port, requests):
    """Send requests over one connection; return their statuses and replies."""
    connection, replies = http.client.HTTPConnection("127.0.0.1", port, timeout=60), []
    for request in requests:
        connection.request("POST", "/", json.dumps(request))
        response = connection.getresponse()
        replies.append((response.status, json.loads(response.read())))
    connection.close()
    return replies


def test_server__five_hundred_requests_from_eight_threads__answers_as_the_model_does(model, port):
    rng = np.random.default_rng(1)
    series = [rng.normal(size=(2, rng.integers(20, 60))).round(3).tolist() for _ in range(N_REQUESTS)]
    with ThreadPoolExecutor(N_THREADS) as pool:
        shares = [series[i::N_THREADS] for i in range(N_THREADS)]
        replies = list(pool.map(ask, [port] * N_THREADS, shares))
    assert sum(map(len, replies)) == N_REQUESTS
    for share, answers in zip(shares, replies, strict=True):
        expected = model.predict_proba([np.array(each) for each in share])
        assert {status for status, _ in answers} == {200}
        np.testing.assert_allclose([[reply["a"], reply["b"]] for _, reply in answers], expected, atol=1e-9)


def test_server__missing_values_and_what_the_model_refuses__are_told_apart(model, port):
    missing, wrong, no_json_list = [[1.0, None, 3.0], [None, 0.0, 1.0]], [[1.0, 2.0]], {"series": 1}
    (ok, reply), (refused, message), (no_list, _), (again, _) = ask(port, [missing, wrong, no_json_list, missing])
    assert (ok, refused, no_list, again) == (200, 400, 400, 200)
    assert sum(reply.values()) == pytest.approx(1.0)
    assert "channels" in message["error"]
