"""Parts of a Transformer: each takes and returns tensors and knows torch only."""
