"""What the Share box says, and the long text that only just fits into a link."""

import random
from urllib.parse import parse_qs

import pytest

from app import longtext, share
from tests.pages.opening import SLUGS, fine, open_page, picture
from tests.pages.published_links import watching

OWN = "bpe_merges_own"
LONG = "".join(chr(random.Random(1).randrange(0x4E00, 0x9FFF)) for _ in range(9)) * 3
RANDOM = random.Random(2)
TOO_LONG = "".join(chr(RANDOM.randrange(0x4E00, 0x9FFF)) for _ in range(3000))


def shared(app, slug):
    """The page with its Share box open."""
    app.session_state[f"{slug.replace('-', '_')}_share"] = True
    return fine(app.run())


@pytest.mark.parametrize("slug", SLUGS)
def test_a_link_that_would_be_cut_is_a_clear_sentence(slug):
    app = shared(open_page(slug, sentence="北" * 400), slug)
    (said,) = [w.value for w in app.warning if "the link has" in w.value]
    assert said.endswith("Shorten the sentence, or send the text beside the link.")
    n_char = int(said.split("the link has ")[1].split(" ")[0].replace(",", ""))
    assert n_char > share.MAX_LINK
    assert not any("http" in block.value for block in app.code)


def test_an_own_text_travels_in_the_link():
    app = open_page("bpe-merges", bpe_merges_corpus="A text of your own")
    with watching() as seen:
        fine(app.text_area(key=OWN).set_value(LONG).run())
    query = {k: v[0] for k, v in parse_qs(seen.address.partition("?")[2]).items()}
    assert longtext.unpack(query[OWN], 20_000) == LONG
    assert app.query_params[OWN] in (query[OWN], [query[OWN]]), "the address itself holds it too"
    friend = fine(open_page("bpe-merges", **query))
    assert friend.text_area(key=OWN).value == LONG
    assert picture(friend) == picture(app)
    app = shared(app, "bpe-merges")
    assert not app.warning


def test_an_own_text_too_long_for_a_link_is_said():
    app = open_page("bpe-merges", bpe_merges_corpus="A text of your own")
    with watching() as seen:
        fine(app.text_area(key=OWN).set_value(TOO_LONG).run())
    assert OWN not in seen.address
    assert OWN not in app.query_params
    app = shared(app, "bpe-merges")
    assert [w.value for w in app.warning] == [
        "Your own text is not in this link, because its 3,000 characters are too many for one: send the text beside "
        "the link, and let the other side paste it into the same box."
    ]
    fine(app.button(key="bpe_merges_experiment_1").click().run())
    assert app.text_area(key=OWN).value == TOO_LONG, "an experiment leaves the reader's own words alone"
    fine(app.button(key="bpe_merges_reset").click().run())
    assert app.text_area(key=OWN).value != TOO_LONG


@pytest.mark.parametrize(
    "bad", ["", "=", "!!", "北京", "A" * 5000, "eJw", "<b>x</b>", "\x00", "..%2F", "eJzLSM3JyQcABiwCF"]
)
def test_a_word_that_is_no_text_falls_back(bad):
    usual = picture(open_page("bpe-merges", bpe_merges_corpus="A text of your own"))
    app = fine(open_page("bpe-merges", bpe_merges_corpus="A text of your own", **{OWN: bad}))
    assert picture(app) == usual
    assert OWN not in app.query_params
