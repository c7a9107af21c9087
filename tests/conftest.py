"""What every test may use."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent


def apart(coroutine):
    """Run it on a thread of its own: Playwright keeps an event loop on the one the tests run on."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Small tensors on one thread, as in the app: two busy workers on two cores would only wait for each other."""
    torch.set_num_threads(1)
