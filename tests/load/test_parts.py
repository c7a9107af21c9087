"""A move draws a part of a page, and leaves the page as a fresh visit to the same state shows it."""

import random

import pytest

from app import parts, syllabus
from benchmarks.load import MAIN_CONTROL
from benchmarks.visitor import Visitor, control, positions
from tests.conftest import apart

pytestmark = pytest.mark.xdist_group("browser")
LONE = MAIN_CONTROL | {"bpe-merges": "bpe_merges_step"}  # controls on which no other depends
SLUGS = [station.slug for station in syllabus.built()]


def inner(element):
    return getattr(element, element.WhichOneof("type"))


def standing(visitor, parts_wanted):
    """(element, place) of all that these parts of the page hold, in the order of the page. What tells the style sheet
    that an experiment was left is no content."""
    held = [(e, place) for place, (e, part) in sorted(visitor.elements.items()) if part in parts_wanted]
    return [(e, place) for e, place in held if "lab-moved" not in str(e)]


def face(element):
    """Pictures and words as they are; controls without their positions, which a browser keeps by itself."""
    kind, part = element.WhichOneof("type"), inner(element)
    if kind == "plotly_chart":
        return kind, part.spec
    if hasattr(part, "label"):
        return kind, part.label, list(getattr(part, "options", ())), getattr(part, "disabled", False)
    return kind, part.SerializeToString(deterministic=True)


def controls_and_picture(visitor, mover):
    """The names of the two parts: the one of the control, and the one of the page's first figure."""
    beside = next(part for e, part in visitor.elements.values() if getattr(inner(e), "id", "") == mover.id)
    drawn = (
        part
        for _, (e, part) in sorted(visitor.elements.items())
        if part not in ("", beside) and e.WhichOneof("type") in ("plotly_chart", "html")
    )
    return beside, next(drawn)


@pytest.mark.parametrize("slug", SLUGS)
def test_a_move_leaves_what_a_fresh_visit_shows(address, slug):
    async def go():
        dice = random.Random(slug)
        async with Visitor(address, slug) as visitor:
            await visitor.open()
            mover = control(visitor, LONE.get(slug))
            beside, picture = controls_and_picture(visitor, mover)
            before = standing(visitor, {beside})
            sizes = [(await visitor.move(mover, place)).size for place in dice.sample(positions(mover), 3)]
            untouched = before == standing(visitor, {beside})
            for element, _ in standing(visitor, {beside}):
                each = inner(element)
                if element.WhichOneof("type") in ("slider", "selectbox") and not each.disabled and each.id != mover.id:
                    await visitor.move(each, dice.choice(positions(each)))
            moved = [face(e) for e, _ in standing(visitor, {beside, picture})]
            async with Visitor(address, slug, dict(visitor._query)) as other:
                await other.open()
                return untouched, sizes, moved, [face(e) for e, _ in standing(other, {beside, picture})]

    untouched, sizes, moved, fresh = apart(go())
    assert untouched, "the first moves changed no other control, so none was drawn"
    assert max(sizes) < 60_000
    assert len(moved) > 5
    assert moved == fresh


@pytest.mark.parametrize("slug", SLUGS)
def test_every_page_has_its_three_parts(slug):
    controls, picture, lower = parts.parts(str(syllabus.STATIONS[slug].file))
    assert "controls" in controls.co_names
    assert "stage" in picture.co_names
    assert "section" in lower.co_names
