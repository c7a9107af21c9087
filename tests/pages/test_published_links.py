"""A link that was given out shows for good what it showed."""

import math
from urllib.parse import parse_qsl

import pytest

from app import takeaway
from tests.pages import published_links
from tests.pages.opening import SLUGS, words

HELD = published_links.read()
LINKS = HELD["links"]


@pytest.mark.parametrize("model", HELD["models"])
def test_the_models_are_those_that_the_links_were_recorded_with(model):
    again = f"python -m tests.pages.published_links {model}"
    assert published_links.hash_of(model) == HELD["models"][model], f"{model} was trained anew; run {again}"


def test_every_page_has_links_of_every_kind():
    for slug in SLUGS:
        kinds = " ".join(e["what"] for e in LINKS if e["link"].partition("?")[0] == slug)
        assert all(kind in kinds for kind in ("default", "experiment", "foreign text", "tour stop")), slug


@pytest.mark.parametrize("entry", LINKS, ids=[f"{e['link'].partition('?')[0]}-{e['what']}" for e in LINKS])
def test_a_published_link_shows_what_it_showed(entry):
    app, seen = published_links.open_link(entry["link"])
    assert app.title[0].value == entry["title"]
    state = sorted(map(list, parse_qsl(seen.address.partition("?")[2], True)))
    assert state == entry["state"], "every part of the link is still understood"
    arrays = {stage.key: stage for stage in seen.stages}[entry["figure"]]
    for name, old in entry["numbers"].items():
        compare(name, old, published_links.numbers(takeaway.arrays(arrays)[name]))
    for part in entry["says"]:
        assert part in words(app)


def compare(name, old, new):
    assert (new["shape"], new["finite"]) == (old["shape"], old["finite"]), name
    near = HELD["tolerance"] * max(old["largest"], 1e-9)
    for place in ("mean", "largest"):
        assert math.isclose(new[place], old[place], abs_tol=near), f"{name}: {place}"
    for place, value in old["at"].items():
        found = new["at"][place]
        assert found == value if isinstance(value, str) else abs(found - value) <= near, f"{name}[{place}]"
