"""Sinusoidal and rotary positions against the papers' formulas, transformers' Llama, and the laws they obey."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.positional import (
    PositionalConfig,
    encode_positions,
    frequencies,
    shift,
    shift_matrix,
    similarity_by_offset,
    sinusoidal,
)
from models.rotary import join_pairs, rotate, scores_by_offset, split_pairs

FEW = settings(max_examples=25, deadline=None)
EVEN = st.integers(1, 24).map(lambda n: 2 * n)
BASES = st.sampled_from([2.0, 100.0, 10000.0, 500000.0])


@FEW
@given(d_model=EVEN, n_position=st.integers(1, 40), base=BASES)
def test_the_encoding_is_the_papers_formula(d_model, n_position, base):
    trace = encode_positions(PositionalConfig(n_position, d_model, base))
    for pos in range(n_position):
        for i in range(d_model // 2):
            angle = pos / base ** (2 * i / d_model)
            assert trace.encoding[pos, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-12)
            assert trace.encoding[pos, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-12)


def test_a_worked_example():
    """d_model 4: ω = 1 and 1/100."""
    trace = encode_positions(PositionalConfig(n_position=2, d_model=4))
    expected = [[0, 1, 0, 1], [math.sin(1), math.cos(1), math.sin(0.01), math.cos(0.01)]]
    torch.testing.assert_close(trace.encoding, torch.tensor(expected, dtype=torch.float64))
    torch.testing.assert_close(trace.wavelength, torch.tensor([2 * math.pi, 200 * math.pi], dtype=torch.float64))


@FEW
@given(d_model=EVEN, base=BASES)
def test_wavelengths_grow_from_one_turn_to_the_base(d_model, base):
    wavelength = encode_positions(PositionalConfig(1, d_model, base)).wavelength
    assert wavelength[0].item() == pytest.approx(2 * math.pi)
    assert (wavelength.diff() > 0).all()
    assert wavelength[-1] < 2 * math.pi * base


@FEW
@given(d_model=EVEN, base=BASES, t=st.integers(-500, 500), offset=st.integers(-200, 200))
def test_similarity_depends_on_the_offset_alone(d_model, base, t, offset):
    there, here = sinusoidal(torch.tensor([t, t + offset]), d_model, base)
    by_offset = similarity_by_offset(torch.tensor([offset, -offset, 0]), d_model, base)
    torch.testing.assert_close(there @ here, by_offset[0], atol=1e-9, rtol=0)
    torch.testing.assert_close(by_offset[0], by_offset[1])
    assert by_offset[2].item() == pytest.approx(d_model / 2)


def test_the_similarity_matrix_is_constant_along_its_diagonals():
    trace = encode_positions(PositionalConfig(20, 32))
    for offset in range(20):
        diagonal = trace.similarity.diagonal(offset)
        expected = similarity_by_offset(torch.tensor([offset]), 32).expand_as(diagonal)
        torch.testing.assert_close(diagonal, expected)


@FEW
@given(d_model=EVEN, base=BASES, n_position=st.integers(1, 50), offset=st.floats(-300, 300))
def test_one_rotation_shifts_every_position(d_model, base, n_position, offset):
    trace = shift(PositionalConfig(n_position, d_model, base), offset)
    assert trace.error < 1e-9
    torch.testing.assert_close(trace.shifted, trace.expected, atol=1e-9, rtol=0)
    identity = torch.eye(d_model, dtype=torch.float64)
    torch.testing.assert_close(trace.matrix @ trace.matrix.T, identity)  # a rotation: length stays
    back = shift_matrix(-offset, d_model, base)
    torch.testing.assert_close(trace.matrix @ back, identity, atol=1e-9, rtol=0)


def test_the_shift_needs_the_right_offset():
    right, wrong = shift(PositionalConfig(10, 8), 3.0), shift_matrix(2.0, 8)
    assert (right.encoding @ wrong.T - right.expected).abs().max() > 0.5


def test_float32_differs_only_by_rounding():
    config = PositionalConfig(64, 64)
    trace = encode_positions(config, torch.float32)
    assert trace.encoding.dtype == torch.float32
    assert 0 < shift(config, 7.0, torch.float32).error < 1e-5
    far = sinusoidal(torch.tensor([100_000]), 64, dtype=torch.float32)
    torch.testing.assert_close(far.double(), sinusoidal(torch.tensor([100_000]), 64), atol=1e-7, rtol=0)


@pytest.mark.parametrize(
    "wrong", [{"d_model": 7}, {"d_model": 0}, {"n_position": 0}, {"base": 1.0}, {"base": math.inf}]
)
def test_a_wrong_config_is_refused(wrong):
    with pytest.raises(ValueError, match=r"even number|or more"):
        PositionalConfig(**wrong)


@FEW
@given(d_head=EVEN, n_token=st.integers(1, 12), seed=st.integers(0, 1000))
def test_half_pairing_equals_transformers_llama(d_head, n_token, seed):
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

    generator = torch.Generator().manual_seed(seed)
    q, k = torch.randn(2, 1, 2, n_token, d_head, generator=generator)
    positions = torch.randint(0, 500, (n_token,), generator=generator)
    config = LlamaConfig(hidden_size=2 * d_head, num_attention_heads=2, head_dim=d_head, max_position_embeddings=512)
    cos, sin = LlamaRotaryEmbedding(config)(q, positions[None])
    expected_q, expected_k = apply_rotary_pos_emb(q, k, cos, sin)
    torch.testing.assert_close(rotate(q, positions).rotated, expected_q, atol=2e-4, rtol=0)
    torch.testing.assert_close(rotate(k, positions).rotated, expected_k, atol=2e-4, rtol=0)


@FEW
@given(d_head=EVEN, seed=st.integers(0, 1000), position=st.integers(0, 300))
def test_adjacent_pairing_is_the_papers_complex_product(d_head, seed, position):
    x = torch.randn(1, d_head, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    turned = torch.view_as_complex(x.reshape(1, -1, 2)) * torch.exp(1j * position * frequencies(d_head))
    expected = torch.view_as_real(turned).flatten(-2)
    torch.testing.assert_close(rotate(x, torch.tensor([position]), pairing="adjacent").rotated, expected)


@FEW
@given(d_head=EVEN, seed=st.integers(0, 1000), pairing=st.sampled_from(["adjacent", "half"]))
def test_rotary_laws(d_head, seed, pairing):
    generator = torch.Generator().manual_seed(seed)
    q, k = torch.randn(2, d_head, generator=generator, dtype=torch.float64)
    m = torch.randint(0, 200, (6,), generator=generator)
    offsets = torch.arange(6) * 3
    turned_q = rotate(q.expand(6, -1), m + offsets, pairing=pairing).rotated
    turned_k = rotate(k.expand(6, -1), m, pairing=pairing).rotated
    torch.testing.assert_close((turned_q * turned_k).sum(-1), scores_by_offset(q, k, offsets, pairing=pairing))
    torch.testing.assert_close(turned_q.norm(dim=-1), q.norm().expand(6))
    torch.testing.assert_close(join_pairs(*split_pairs(q, pairing), pairing), q)
    torch.testing.assert_close(rotate(q[None], torch.tensor([0]), pairing=pairing).rotated[0], q)


def test_the_two_pairings_differ_by_an_order_of_columns():
    x = torch.arange(6.0)[None]
    order = torch.tensor([0, 2, 4, 1, 3, 5])  # adjacent pairs laid out as halves
    adjacent = rotate(x, torch.tensor([5]), pairing="adjacent").rotated
    torch.testing.assert_close(adjacent[:, order], rotate(x[:, order], torch.tensor([5])).rotated)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="even number"):
        rotate(torch.ones(2, 3), torch.arange(2))
    with pytest.raises(ValueError, match="positions for"):
        rotate(torch.ones(2, 4), torch.arange(3))
    with pytest.raises(ValueError, match="unknown pairing"):
        rotate(torch.ones(2, 4), torch.arange(2), pairing="thirds")
