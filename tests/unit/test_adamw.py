"""Our AdamW makes the updates of PyTorch's, and does not load PyTorch's compiler for it."""

import subprocess
import sys

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from models.adamw import AdamW
from tests.conftest import ROOT


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 999), st.floats(1e-5, 0.1), st.floats(0, 0.99), st.floats(0.5, 0.9999), st.floats(0, 0.5),
)  # fmt: skip
def test_equals_pytorch(seed, rate, first, second, decay):
    torch.manual_seed(seed)
    ours, theirs = ([nn.Parameter(torch.ones(3, 2)), nn.Parameter(torch.zeros(4))] for _ in range(2))
    mine = AdamW(ours, rate, (first, second), decay)
    reference = torch.optim.AdamW(theirs, lr=rate, betas=(first, second), weight_decay=decay)
    for _ in range(4):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn_like(a)
            b.grad = a.grad.clone()
        mine.step()
        reference.step()
        mine.zero_grad()
        assert all(p.grad is None for p in ours)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_training_live_loads_no_compiler():
    code = (
        "import sys, torch; torch.set_num_threads(1)\n"
        "from models.induction import InductionConfig, train_live\n"
        "c = InductionConfig(n_head=2, d_model=16, n_vocab=32, n_token=12, shortest=3, longest=6, batch=2, steps=1)\n"
        "list(train_live(c, 0))\n"
        "assert 'torch._dynamo' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
