"""`tsformer embed`: series in, the features that an encoder makes of them out."""

import argparse

import numpy as np

from tsformer.commands.files import columns_of, read_cases
from tsformer.commands.models import check_written, loaded, parameters, save
from tsformer.estimators.classifier import TransformerClassifier
from tsformer.estimators.pretrainer import TransformerPretrainer


def run(options: argparse.Namespace) -> None:
    """Turn series into features, by the pretrained encoder or a saved model."""
    check_written(options)
    model = loaded(options, TransformerPretrainer, TransformerClassifier)
    X, y = read_cases(options.data, options, labelled=False)
    if model is None:
        settings = {"max_steps": 0} | parameters(options) | columns_of(options)
        model = TransformerPretrainer(pretrained="bundled", **settings).fit(X)
    model.set_params(**columns_of(options))
    save(model, options)
    features = model.set_output(transform="pandas").transform(X)
    if y is not None:
        features.insert(0, options.label_col, np.asarray(y))
    if options.out is not None:
        features.to_csv(options.out, index_label=options.id_col or "case")
        print(f"Wrote {features.shape[1] - (y is not None)} features of {len(features)} cases to {options.out}.")
