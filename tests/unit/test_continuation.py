"""Writing with kept keys and values against writing with everything computed again."""

import pytest

from models import checkpoints, sampling
from models.continuation import Continuation, carry_on
from models.sampling import SamplingConfig
from models.small_gpt import SmallGPT


@pytest.fixture(scope="module")
def gpt() -> SmallGPT:
    model = checkpoints.load("small-gpt")
    assert isinstance(model, SmallGPT)
    return model


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.3])
def test_the_cache_writes_what_the_whole_pass_would(gpt: SmallGPT, temperature: float) -> None:
    prompt = gpt.encode("The cat sat on the mat because").ids
    config = SamplingConfig(temperature, seed=3)
    written = carry_on(gpt, prompt, config, 6)
    plain = [drawn.token for drawn in sampling.generate(lambda ids: gpt.logits(ids)[-1], prompt, config, 6)]
    assert written.ids == (*prompt, *plain)
    for at, choice in enumerate(written.choices):
        chances = gpt.logits(written.ids[: len(prompt) + at])[-1].softmax(-1)
        assert choice.likely[0][0] == int(chances.argmax())
        assert [p for _, p in choice.likely] == pytest.approx(chances.topk(8).values.tolist(), abs=1e-5)


def test_the_same_seed_writes_the_same_text_and_a_longer_one_goes_on_from_it(gpt: SmallGPT) -> None:
    prompt = gpt.encode("Once").ids
    config = SamplingConfig(1.0, seed=5)
    short, long = carry_on(gpt, prompt, config, 3), carry_on(gpt, prompt, config, 8)
    assert long.ids[: len(short.ids)] == short.ids
    assert carry_on(gpt, prompt, config, 8) == long


def test_what_does_not_fit_is_refused(gpt: SmallGPT) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        carry_on(gpt, (), SamplingConfig(), 1)
    with pytest.raises(ValueError, match="do not fit"):
        carry_on(gpt, (1,) * gpt.n_context, SamplingConfig(), 1)


def test_ids_are_prompt_and_choices() -> None:
    assert Continuation((1, 2), ()).ids == (1, 2)
