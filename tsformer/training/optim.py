"""Optimiser, learning-rate schedules and weight averaging."""

import copy
import inspect
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

Schedule = Callable[[int], float]


class AdamW(torch.optim.AdamW):
    """torch's AdamW without the wrappers of its methods, which import torch's compiler for a second in a first fit."""

    add_param_group = inspect.unwrap(torch.optim.AdamW.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.AdamW.zero_grad)
    state_dict = inspect.unwrap(torch.optim.AdamW.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.AdamW.load_state_dict)
    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))


def adamw(model: nn.Module, learning_rate: float, weight_decay: float, max_grad_norm: float = 1.0) -> AdamW:
    """AdamW that decays matrices and kernels only, not biases and the gains of norms (Loshchilov & Hutter 2019).

    Before each step, gradients whose norm is larger than `max_grad_norm` are scaled down to it.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    optimizer = AdamW(groups, lr=learning_rate, fused=True)

    def clip(*_: object) -> None:
        nn.utils.clip_grad_norm_(parameters, max_grad_norm)

    optimizer.register_step_pre_hook(clip)
    return optimizer


def cosine(n_steps: int, warmup_steps: int) -> Schedule:
    """Linear warm-up to 1, then half a cosine down to 0 at n_steps (Loshchilov & Hutter 2017)."""

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        progress = (step - warmup_steps) / max(1, n_steps - warmup_steps)
        return 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))

    return factor


def inverse_square_root(n_steps: int, warmup_steps: int) -> Schedule:
    """Linear warm-up to 1, then 1/sqrt(step): equation 3 of Vaswani et al. (2017), its peak scaled to 1."""
    warmup_steps = max(1, warmup_steps)

    return lambda step: min((step + 1) / warmup_steps, math.sqrt(warmup_steps / (step + 1)))


def constant(n_steps: int, warmup_steps: int) -> Schedule:
    """Linear warm-up to 1, then 1."""
    return lambda step: min(1.0, (step + 1) / max(1, warmup_steps))


class WeightAverage:
    """A copy of a model, `model`, whose weights follow it by an exponential moving average.

    The decay after n updates is (1 + n) / (10 + n), at most `decay`, so that early weights are forgotten soon. Buffers,
    such as the statistics of BatchNorm, are the model's own. `torch.optim.swa_utils.AveragedModel` does the same and
    took eight times as long for a small model.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model)
        self.decay = decay
        self.n_updates = 0
        self._averages: list[Tensor] = list(self.model.parameters())
        self._weights: list[Tensor] = list(model.parameters())
        self._buffers = list(zip(self.model.buffers(), model.buffers(), strict=True))

    @torch.no_grad()
    def update(self) -> None:
        """Move the averages towards the model's weights as they are now; the first time they become them."""
        n = self.n_updates
        decay = min(self.decay, (1 + n) / (10 + n)) if n else 0.0
        torch._foreach_lerp_(self._averages, self._weights, 1.0 - decay)
        for average, buffer in self._buffers:
            average.copy_(buffer)
        self.n_updates += 1


@torch.no_grad()
def go_back(model: nn.Module, before: nn.Module, fraction: float = 0.5) -> None:
    """Move weights a fraction of the way back to those `before` training.

    What is gained on the training data stays for the most part, and so does what was known before (Wortsman et al.
    2022, "Robust fine-tuning of zero-shot models").
    """
    for weight, known in zip(model.parameters(), before.parameters(), strict=True):
        weight.lerp_(known.to(weight), fraction)
