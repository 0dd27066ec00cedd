"""The estimators as those of other packages: tsformer.interop.sktime and tsformer.interop.aeon."""
