"""What every test may use."""

from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Small tensors on one thread, as in the app: two busy workers on two cores would only wait for each other."""
    torch.set_num_threads(1)
