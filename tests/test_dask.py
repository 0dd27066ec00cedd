"""A real Dask cluster of two worker processes: what they compute is what one process computes."""

from collections.abc import Iterator

import joblib
import numpy as np
import pytest
import torch
from forecasts import long_frame
from forecasts import small as small_forecaster
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import GridSearchCV

from tsformer import TransformerClassifier

pytestmark = pytest.mark.slow
SIZE = {"pretrained": None, "d_model": 16, "n_heads": 2, "n_layers": 1, "d_ff": 16, "max_steps": 5, "random_state": 0}


@pytest.fixture(scope="module")
def client() -> Iterator[object]:
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        client.run(__import__, "tsformer")
        yield client


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As workers have."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def small(**params):
    return TransformerClassifier(**SIZE | params)


def cases() -> tuple[np.ndarray, np.ndarray]:
    return np.random.default_rng(0).normal(size=(30, 2, 40)), np.arange(30) % 3


def test_predict_proba__over_an_array_in_chunks__is_that_of_one_process(client):
    import dask.array as da

    X, y = cases()
    classifier = small(n_estimators=2).fit(X, y)
    chunks = da.from_array(X, chunks=(7, -1, -1))
    of_blocks = {"drop_axis": [1, 2], "new_axis": 1, "chunks": (chunks.chunks[0], 3), "meta": np.empty((0, 3))}
    found = chunks.map_blocks(lambda block, model: model.predict_proba(block), classifier, **of_blocks)
    assert found.numblocks == (5, 1)
    assert_allclose(found.compute(), classifier.predict_proba(X), atol=1e-6)


def test_predict__a_long_frame_by_partitions_of_ids__is_that_of_one_process(client):
    import dask.dataframe as dd

    frame = long_frame()
    forecaster = small_forecaster().fit(frame)
    expected = forecaster.predict(level=80)
    parts = dd.from_pandas(frame.set_index("unique_id"), npartitions=3)
    predict = lambda part, model: model.predict(part.reset_index(), level=80)  # noqa: E731
    found = parts.map_partitions(predict, forecaster, meta=expected).compute().sort_values(["unique_id", "ds"])
    assert parts.npartitions > 1
    assert found["unique_id"].tolist() == expected["unique_id"].tolist()
    assert (found["ds"].to_numpy() == expected["ds"].to_numpy()).all()
    assert_allclose(found.iloc[:, 2:], expected.iloc[:, 2:], rtol=1e-6)


def test_n_jobs__on_the_cluster__is_one_job_here(client, one_thread):
    X, y = cases()
    alone = small(n_estimators=2).fit(X, y).predict_proba(X)
    search = GridSearchCV(small(), {"d_ff": [8, 16]}, cv=2, scoring="neg_log_loss")
    scores = search.fit(X, y).cv_results_["mean_test_score"]
    with joblib.parallel_config(backend="dask", n_jobs=2):
        assert_array_equal(small(n_estimators=2).fit(X, y).predict_proba(X), alone)
        assert_array_equal(search.fit(X, y).cv_results_["mean_test_score"], scores)
