"""What every test may use."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

from benchmarks.servers import ROOT as ROOT
from benchmarks.servers import Server, free_port, serving, wait_until_it_answers


class Served:
    """The app as `make run` starts it, on a port that stays its own when a test stops it and starts it again."""

    def __init__(self, folder: Path) -> None:
        self._port, self._folder, self._running = free_port(), folder, ExitStack()
        self.start()

    def start(self) -> None:
        home = {"ATTENTION_LAB_HOME": str(self._folder)}
        self.server: Server = self._running.enter_context(
            serving("app", self._port, environment=home, folder=self._folder)
        )
        wait_until_it_answers(self.server)

    def stop(self) -> None:
        self._running.close()


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    """One server for all that only visit: started from a foreign folder, and with no fetched model, as after a clone."""
    served = Served(tmp_path_factory.mktemp("elsewhere"))
    yield served
    served.stop()


def apart(coroutine):
    """Run it on a thread of its own: Playwright keeps an event loop on the one the tests run on."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Small tensors on one thread, as in the app: two busy workers on two cores would only wait for each other."""
    torch.set_num_threads(1)
