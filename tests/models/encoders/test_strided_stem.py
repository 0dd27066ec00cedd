"""The encoder of pretraining: several looks at the same series, side by side or one after the other."""

import pytest
import torch
from torch.testing import assert_close

from tsformer.models.encoders import strided_stem
from tsformer.models.encoders.strided_stem import StridedStemEncoder


@pytest.mark.parametrize("has_gap", [False, True])
@pytest.mark.parametrize("n_layers", [1, 4])
def test_tokens_by_depth__looks_side_by_side__are_those_of_each_alone(n_layers, has_gap, monkeypatch):
    encoder = StridedStemEncoder(1, 64, d_model=16, n_heads=2, n_layers=n_layers, d_ff=24).double().eval()
    x = torch.randn(3, 64, 1, dtype=torch.float64)
    observed = torch.ones_like(x, dtype=torch.bool)
    observed[1, 20 if has_gap else 64 :] = False
    looks = [(x, observed), (x[:, ::4], observed[:, ::4])]
    together = encoder.tokens_by_depth(*looks)
    monkeypatch.setattr(strided_stem, "FEW", 0)
    for (depths, token_mask), look in zip(together, looks, strict=True):
        ((alone, mask_alone),) = encoder.tokens_by_depth(look)
        assert torch.equal(token_mask, mask_alone)
        for tokens, expected in zip(depths, alone, strict=True):
            assert_close(tokens[token_mask], expected[token_mask])
        assert_close(depths[-1][token_mask], encoder(*look)[0][token_mask])
