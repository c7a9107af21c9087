"""The packed vocabulary against a dict."""

from hypothesis import given
from hypothesis import strategies as st

from models.ranks import Ranks

TOKENS = st.binary(max_size=4)


@given(st.dictionaries(TOKENS, st.integers(0, 2**32 - 1), max_size=60), st.lists(TOKENS, max_size=20))
def test_it_answers_as_the_dict_it_was_made_from(known, asked):
    ranks = Ranks(known.items())
    assert len(ranks) == len(known)
    for token in [*known, *asked]:
        assert ranks.get(token) == known.get(token)
