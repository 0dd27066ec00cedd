"""Series in the forms users have them, turned into Batch; knows nothing of models."""
