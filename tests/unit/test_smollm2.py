"""SmolLM2's textbook heads, where it was fetched (``python -m models.fetch smollm2``); counted from 0."""

import pytest
import torch

from models.fetch import available, model_folder
from models.pretrained import PretrainedModel, load_pretrained
from models.trace import Encoding

pytestmark = pytest.mark.skipif(not available("smollm2").offered, reason=available("smollm2").note)


@pytest.fixture(scope="module")
def smollm2() -> PretrainedModel:
    return load_pretrained(model_folder("smollm2"))


def weights_of(model: PretrainedModel, encoding: Encoding) -> torch.Tensor:
    """[layer, head, query, key]"""
    return torch.stack([layer.attention.weights for layer in model.trace(encoding).layers])


def best_head(scores: torch.Tensor) -> tuple[int, int]:
    return divmod(int(scores.argmax()), scores.shape[1])


def test_the_pronoun_looks_at_its_noun(smollm2):
    encoding = smollm2.encode("The cat sat on the mat because it was tired.")
    it, cat = encoding.tokens.index(" it"), encoding.tokens.index(" cat")
    found = weights_of(smollm2, encoding)[:, :, it, cat]
    assert best_head(found) == (13, 8)
    assert found[13, 8] == pytest.approx(0.80, abs=0.03)


def test_the_head_of_the_previous_token(smollm2):
    encoding = smollm2.encode("The old house on the hill was empty, and nobody had lived there for many years.")
    found = weights_of(smollm2, encoding).diagonal(-1, -2, -1).mean(-1)
    assert best_head(found) == (16, 0)
    assert found[16, 0] > 0.7


def test_the_induction_head(smollm2):
    """On random tokens said twice, it looks from a token to what followed it the first time."""
    once = torch.randint(1000, 20_000, (24,), generator=torch.Generator().manual_seed(0)).tolist()
    encoding = Encoding(tuple(once + once), tuple(map(str, once + once)))
    found = weights_of(smollm2, encoding).diagonal(-23, -2, -1)[..., 1:].mean(-1)
    assert best_head(found) == (18, 6)
    assert found[18, 6] > 0.85


def test_it_knows_where_the_tower_stands(smollm2):
    trace = smollm2.trace(smollm2.encode("The Eiffel Tower is in the city of"))
    probability, best = trace.logits[-1].softmax(-1).max(-1)
    assert smollm2.decode([int(best)]) == " Paris"
    assert probability > 0.5
    assert int(smollm2.read_out(trace.hidden[-1])[-1].argmax()) == int(best)
