"""Batch norm over the batch of all devices together, also on CPUs."""

from __future__ import annotations

import torch
from torch import Tensor, distributed, nn


def sync_batch_norm(module: nn.Module) -> None:
    """Let every batch norm in ``module`` take its statistics over all processes.

    torch's own ``SyncBatchNorm`` works on GPUs only; this does the same by two sums that
    gradients flow through (Ioffe and Szegedy 2015, with the batch being the whole one).
    """
    base = nn.modules.batchnorm._BatchNorm  # noqa: SLF001 - the base class of all batch norms
    for part in module.modules():
        if isinstance(part, base):
            # The class changes, not the object: names and weights stay as they are.
            part.__class__ = _Synced


class _Sum(torch.autograd.Function):
    """Sum over all processes; a gradient of the sum is one of each of its terms."""

    @staticmethod
    def forward(_context: object, here: Tensor) -> Tensor:
        there = here.clone()
        distributed.all_reduce(there)
        return there

    @staticmethod
    def backward(_context: object, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        distributed.all_reduce(total)
        return total


class _Synced(nn.modules.batchnorm._BatchNorm):  # noqa: SLF001 - the base class of all batch norms
    def _check_input_dim(self, input: Tensor) -> None:
        pass

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or not torch.is_grad_enabled():
            return super().forward(input)
        dims = [dim for dim in range(input.dim()) if dim != 1]
        values = input.float()
        here = torch.cat(
            [
                values.sum(dims),
                (values * values).sum(dims),
                values.new_tensor([values.numel() / values.shape[1]]),
            ]
        )
        there: Tensor = _Sum.apply(here)  # type: ignore[no-untyped-call]
        channels = values.shape[1]
        n = there[-1].detach()
        mean = there[:channels] / n
        variance = there[channels:-1] / n - mean * mean
        self._follow(mean.detach(), variance.detach(), float(n))
        shape = [1, channels] + [1] * (input.dim() - 2)
        scaled = (values - mean.view(shape)) * torch.rsqrt(variance.view(shape) + self.eps)
        result: Tensor = scaled * self.weight.view(shape) + self.bias.view(shape)
        return result.to(input.dtype)

    def _follow(self, mean: Tensor, variance: Tensor, n: float) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        momentum = self.momentum
        rate = 1 / float(self.num_batches_tracked) if momentum is None else momentum
        self.running_mean.lerp_(mean, rate)
        self.running_var.lerp_(variance * n / (n - 1), rate)
