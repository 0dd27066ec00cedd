"""The estimators: scikit-learn's fit, predict and transform over the networks."""
