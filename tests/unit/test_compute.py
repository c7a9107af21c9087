"""The one choice of device, and seeds that draw the same everywhere."""

import pytest
import torch

from app import compute
from models.multihead import multi_head, random_weights
from models.one_head import fresh_head


@pytest.fixture(autouse=True)
def asked_anew():
    compute.device.cache_clear()
    compute.device_note.cache_clear()
    yield
    compute.device.cache_clear()
    compute.device_note.cache_clear()


def test_the_environment_chooses_the_device(monkeypatch):
    monkeypatch.setenv("ATTENTION_LAB_DEVICE", "cpu")
    assert compute.device() == torch.device("cpu")
    assert compute.device_note() == "on the CPU"


@pytest.mark.parametrize("wish", ["cuda:99", "no-such-device", ""])
def test_a_device_that_is_not_there_falls_back(monkeypatch, wish):
    monkeypatch.setenv("ATTENTION_LAB_DEVICE", wish)
    assert compute.device() == torch.device("cpu")


def test_a_page_is_executed_anew_and_what_its_functions_found_is_still_known():
    source = "def square(x):\n    asked.append(x)\n    return x * x"

    def run_of(page, x):
        names = {"__name__": "__main__", "asked": asked}
        exec(compile(source, page, "exec"), names)
        return compute.run(names["square"], x)

    asked = []
    assert [run_of("one.py", 3), run_of("one.py", 3), run_of("one.py", 4)] == [9, 9, 16]
    assert asked == [3, 4]
    assert run_of("another.py", 3) == 9
    assert asked == [3, 4, 3], "a function of the same name on another page is another"
    compute.run(abs, -1)  # one that is not written in Python


def test_seeds_draw_the_same_on_the_cpu():
    assert torch.equal(fresh_head((1, 2, 3), 8, seed=5).weights, fresh_head((1, 2, 3), 8, seed=5).weights)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_same_picture():
    from dataclasses import replace

    from models import checkpoints

    weights, x = random_weights(32, 4, seed=1), torch.randn(9, 32, generator=torch.Generator().manual_seed(2))
    moved = replace(weights, **{n: getattr(weights, n).cuda() for n in ("w_qkv", "b_qkv", "w_out", "b_out")})
    torch.testing.assert_close(
        multi_head(x.cuda(), moved).output.cpu(), multi_head(x, weights).output, atol=1e-5, rtol=1e-4
    )
    for name in checkpoints.names():
        here, there = checkpoints.load(name, "cpu"), checkpoints.load(name, "cuda")
        encoding = here.encode("The cat sat on the mat because it was tired.")
        with torch.no_grad():
            torch.testing.assert_close(
                there.trace(encoding).final.cpu(), here.trace(encoding).final, atol=1e-3, rtol=1e-3
            )
