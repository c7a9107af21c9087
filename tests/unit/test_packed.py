"""8-bit rows: the rounding error's bound, the groups, and looking rows up."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.packed import pack_rows


@settings(max_examples=20, deadline=None)
@given(
    rows=st.integers(1, 9), groups=st.integers(1, 4), group=st.sampled_from([1, 4, 64]), seed=st.integers(0, 2**32 - 1)
)
def test_no_entry_moves_by_more_than_half_a_level_and_the_rounded_scale(rows, groups, group, seed):
    matrix = torch.randn(rows, groups * group, generator=torch.Generator().manual_seed(seed))
    packed = pack_rows(matrix, group)
    largest = matrix.unflatten(1, (groups, group)).abs().amax(-1, keepdim=True)
    # Half a level of largest/127, and 127 levels each off by the float16 scale's 2^-11 (a tiny scale's: by 2^-25).
    bound = largest * (0.5 / 127 + 2**-11) * 1.01 + 127 * 2**-25
    error = (packed.all_rows() - matrix).unflatten(1, (groups, group)).abs()
    assert (error <= bound).all()


def test_a_row_by_hand():
    packed = pack_rows(torch.tensor([[127.0, 1.0, -2.4, 0.0], [0.0, 0.0, 0.0, 0.0]]), group=2)
    assert packed.levels.tolist() == [[127, 1, -127, 0], [0, 0, 0, 0]]
    assert torch.allclose(packed.all_rows()[0], torch.tensor([127.0, 1.0, -2.4, 0.0]), atol=1e-3)
    assert packed.all_rows()[1].tolist() == [0.0] * 4


def test_rows_are_looked_up_in_any_shape():
    packed = pack_rows(torch.randn(7, 8, generator=torch.Generator().manual_seed(1)), group=4)
    index = torch.tensor([[3, 3], [0, 6]])
    assert torch.equal(packed.rows(index), packed.all_rows()[index])


def test_small_groups_keep_more_than_one_scale_a_row():
    matrix = torch.randn(50, 128, generator=torch.Generator().manual_seed(2))
    matrix[:, 0] = 100.0  # one large entry a row, as embeddings have
    fine, coarse = (((pack_rows(matrix, group).all_rows() - matrix)[:, 64:]).abs().max() for group in (64, 128))
    assert fine < coarse / 10


def test_groups_must_divide_the_columns():
    with pytest.raises(ValueError, match="do not divide"):
        pack_rows(torch.zeros(2, 10), group=4)
