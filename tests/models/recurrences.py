"""Recurrences as their authors' PyTorch code has them: loops over time that exporters unroll."""

import math

import numpy as np
import torch


class LMU(torch.nn.Module):
    """LMUFormer's layer in recurrent form (Voelker et al. 2019): m = A m + B u, all states stacked."""

    def __init__(self, width, order, steps):
        super().__init__()
        a, b = self.held(order, steps)
        self.register_buffer("a", a)
        self.register_buffer("b", b)
        self.u, self.out = torch.nn.Linear(width, 1), torch.nn.Linear(order + width, width)

    @staticmethod
    def held(order, steps):
        """The Legendre delay's zero-order hold: exp of [[A, B], [0, 0]]."""
        i, j = np.indices((order, order))
        scale = (2 * np.arange(order) + 1) / steps
        both = np.zeros((order + 1, order + 1))
        both[:order, :order] = scale[:, None] * np.where(i < j, -1.0, (-1.0) ** (i - j + 1))
        both[:order, order] = scale * (-1.0) ** np.arange(order)
        total = sum(np.linalg.matrix_power(both, k) / math.factorial(k) for k in range(30))
        return torch.tensor(total[:order, :order]).float(), torch.tensor(total[:order, order:]).float()

    def forward(self, x):
        u, memory, memories = torch.relu(self.u(x)), x.new_zeros(x.shape[0], self.a.shape[0]), []
        for t in range(x.shape[1]):
            memory = memory @ self.a.T + u[:, t] @ self.b.T
            memories.append(memory)
        return torch.relu(self.out(torch.cat([torch.stack(memories, 1), x], -1)))


class TimeMixing(torch.nn.Module):
    """What RWKV's time mixing of all versions shares."""

    def __init__(self, width):
        super().__init__()
        self.key, self.value, self.receptance, self.output = (torch.nn.Linear(width, width, bias=False) for _ in range(4))


class RWKV4(TimeMixing):
    """WKV with a running maximum, each step written into the output in place."""

    def __init__(self, width):
        super().__init__(width)
        self.decay, self.first = (torch.nn.Parameter(torch.zeros(width)) for _ in range(2))

    def forward(self, x):
        k, v, r = self.key(x), self.value(x), torch.sigmoid(self.receptance(x))
        decay, out = -torch.exp(self.decay), torch.zeros_like(k)
        numerator, denominator, most = torch.zeros_like(k[:, 0]), torch.zeros_like(k[:, 0]), torch.zeros_like(k[:, 0]) - 1e38
        for t in range(k.shape[1]):
            now = torch.maximum(most, k[:, t] + self.first)
            old, new = torch.exp(most - now), torch.exp(k[:, t] + self.first - now)
            out[:, t] = (old * numerator + new * v[:, t]) / (old * denominator + new)
            kept = torch.maximum(most + decay, k[:, t])
            old, new = torch.exp(most + decay - kept), torch.exp(k[:, t] - kept)
            numerator, denominator, most = old * numerator + new * v[:, t], old * denominator + new, kept
        return self.output(r * out)


class RWKV6(TimeMixing):
    """A matrix that decays by rows, by data, and a bonus for the current step; written in place, the last state given."""

    def __init__(self, width, heads):
        super().__init__(width)
        self.heads, self.decay = heads, torch.nn.Linear(width, width)
        self.bonus = torch.nn.Parameter(torch.zeros(heads, width // heads, 1))

    def forward(self, x):
        split = lambda rows: rows.view(*x.shape[:2], self.heads, -1)
        k, v, r = split(self.key(x)), split(self.value(x)), split(self.receptance(x))
        decay = torch.exp(-torch.exp(split(self.decay(x))))
        state, out = x.new_zeros(x.shape[0], self.heads, k.shape[-1], v.shape[-1]), torch.zeros_like(v)
        for t in range(x.shape[1]):
            written = k[:, t, :, :, None] @ v[:, t, :, None]
            out[:, t] = (r[:, t, :, None] @ (self.bonus * written + state)).squeeze(2)
            state = written + decay[:, t, :, :, None] * state
        return self.output(out.flatten(2)), state
