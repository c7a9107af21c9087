"""AdamW in a dozen lines, for training in front of the reader.

Loshchilov and Hutter 2017, "Decoupled Weight Decay Regularization", algorithm 2. The same updates as
``torch.optim.AdamW``, whose first use imports PyTorch's compiler: several seconds and a hundred megabytes that a server
of pages need not pay.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn


class AdamW:
    """Updates parameters in place from their gradients; ``weight_decay`` 0 is Adam."""

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        learning_rate: float,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        self.parameters: list[Tensor] = list(parameters)
        self.learning_rate, self.betas, self.weight_decay, self.eps = learning_rate, betas, weight_decay, eps
        self.mean = [torch.zeros_like(p) for p in self.parameters]  # of the gradients
        self.square = [torch.zeros_like(p) for p in self.parameters]  # mean of their squares
        self.steps = 0

    @torch.no_grad()
    def step(self) -> None:
        """One update of every parameter; all of them must have a gradient."""
        self.steps += 1
        (first, second), rate = self.betas, self.learning_rate
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        torch._foreach_mul_(self.parameters, 1 - rate * self.weight_decay)
        torch._foreach_lerp_(self.mean, gradients, 1 - first)
        torch._foreach_mul_(self.square, second)
        torch._foreach_addcmul_(self.square, gradients, gradients, 1 - second)
        spread = torch._foreach_sqrt(self.square)
        torch._foreach_div_(spread, math.sqrt(1 - second**self.steps))
        torch._foreach_add_(spread, self.eps)
        torch._foreach_addcdiv_(self.parameters, self.mean, spread, -rate / (1 - first**self.steps))

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None
