"""One walk over the whole syllabus: a new page is covered the day its file lands."""

import random

import plotly.graph_objects
import pytest

from tests.pages.opening import HOME, SLUGS, charts, fine, open_page, picture, set_sentence, words

HOSTILE = {
    "empty": "",
    "blank": "   ",
    "one character": "a",
    "huge": "attention is all you need " * 4000,
    "emoji and flags": "👩‍👩‍👧‍👦 loves 🇩🇪 and 🏳️‍🌈!",
    "right to left": "القطة جلست על השטיח",
    "combining marks": "e\u0301 \u0301\u0302 Z͑ͫ̓a̴l̨g͜o",
    "controls": "a\x00b\x07c\x1b[31m\u202edlrow\u200b\ufeff",
    "script": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "bold": "<b>bold</b> %{z} %{customdata[0]}",
    "latex": "$\\frac{1}{0}$ $$\\href{javascript:alert(1)}{x}$$",
    "markdown": "[x](javascript:alert(1)) ![y](http://a.b/c) `tick` ``two`` **b** _i_ # h | t |",
    "directive": ":red[x] :material/bug_report: :smile: :blue-background[z]",
}
MARKUP = ("<script", "<img", "<b>bold", "[x](javascript", "![y](http", ":red[x]", "\\href", "onerror=alert(1)>")


@pytest.fixture(scope="module", params=[HOME, *SLUGS])
def page(request):
    """One page opened once; each test leaves it as another visitor's move would."""
    return request.param


def test_opens_with_all_its_parts(page):
    app = fine(open_page(page))
    assert app.title[0].value
    if page == HOME:
        return
    titles = [s.value for s in app.subheader]
    assert "Predict" in titles
    assert "Prove it" in titles
    assert charts(app), "a page opens on a picture"
    assert "equal**" in words(app)
    assert "NOT equal" not in words(app)
    for spec in charts(app):
        plotly.graph_objects.Figure(spec)  # raises on anything Plotly does not know
    assert all(chart.proto.alt for chart in app.get("plotly_chart")), "every figure has an alternative text"


@pytest.mark.parametrize("slug", SLUGS)
def test_every_experiment_changes_the_picture_and_the_words(slug):
    app = open_page(slug)
    seen = {}
    experiments = [b for b in app.button if b.key and "_experiment_" in b.key]
    assert len(experiments) >= 3
    for key, label in [(b.key, b.label) for b in experiments]:
        fine(app.button(key=key).click().run())
        assert "NOT equal" not in words(app), label
        state = (picture(app), words(app))
        assert state not in seen.values(), f"“{label}” shows the same as another experiment"
        seen[label] = state
        assert app.button(key=key).proto.type == "primary", f"“{label}” is marked as the state on show"


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_any_text_is_safe(page, text):
    app = fine(set_sentence(open_page(page), text))
    assert not any(markup in _outside_code(words(app)) for markup in MARKUP)
    for chart in app.get("plotly_chart"):
        assert "<script" not in chart.proto.spec
        assert "<img" not in chart.proto.spec
        assert "<b>bold" not in chart.proto.spec
    if page != HOME and len(text) > 400:
        assert "the first 400 are shown" in words(app)


def _outside_code(markdown: str) -> str:
    """The Markdown without its code spans, where nothing is interpreted."""
    import re

    return re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", markdown, flags=re.S)


@pytest.mark.parametrize("slug", SLUGS)
def test_controls_at_their_ends(slug):
    """Every slider to both ends, every box to its first and last option, every switch both ways, one at a time."""
    app = open_page(slug)
    for kind in ("slider", "select_slider", "selectbox", "toggle", "segmented_control", "number_input"):
        for key in [w.key for w in app.get(kind) if w.key]:
            widget = _present(app, kind, key)
            for end in _ends(kind, widget) if widget else ():
                if widget := _present(app, kind, key):  # an earlier move may have taken this control away
                    fine(widget.set_value(end).run())
                    assert "NOT equal" not in words(app), f"{key} = {end}"


def _present(app, kind, key):
    """The control, if it is drawn and can be moved now."""
    return next((w for w in app.get(kind) if w.key == key and not w.disabled), None)


def _ends(kind, widget):
    if kind == "toggle":
        return [not widget.value, widget.value]
    if kind in ("slider", "number_input"):
        return [widget.min, widget.max, widget.value]
    return [widget.options[0], widget.options[-1]]


@pytest.mark.parametrize("slug", SLUGS)
def test_bad_addresses_fall_back(slug):
    """URL values out of range, of the wrong type and unknown names."""
    app = open_page(slug)
    keys = [
        w.key
        for kind in ("slider", "select_slider", "selectbox", "toggle", "number_input", "segmented_control")
        for w in app.get(kind)
    ]
    usual = picture(app)
    for bad in ("-99999999", "nan", "<b>x</b>", "1e999", ""):
        app = open_page(slug, **{key: bad for key in keys if key}, unknown_key=bad)
        fine(app)
        assert picture(app) == usual, f"{bad!r} in every control is the default state"


def test_random_walk_between_pages():
    """A visitor who jumps about: pages, experiments and texts in a seeded random order, all in one session."""
    from app import syllabus

    rng = random.Random(7)
    app = open_page()
    for _ in range(25):
        slug = rng.choice(SLUGS)
        app.switch_page(str(syllabus.STATIONS[slug].file))
        fine(app.run())
        move = rng.choice(("experiment", "text", "stay"))
        if move == "experiment":
            button = rng.choice([b for b in app.button if b.key and "_experiment_" in b.key])
            fine(button.click().run())
        elif move == "text":
            fine(set_sentence(app, rng.choice(list(HOSTILE.values()))))
