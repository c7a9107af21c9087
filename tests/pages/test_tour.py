"""The guided tour on every page: walked, answered, left, found again, and opened from a link."""

from urllib.parse import parse_qs

import pytest

from app import journal, syllabus, tour
from tests.pages.opening import SLUGS, fine, open_page, picture, words
from tests.pages.published_links import badge, watching

WAITING = "What to notice follows your answer."


def start(slug):
    app = open_page(slug)
    n_stop = sum("_experiment_" in (b.key or "") for b in app.button)
    return fine(press(app, slug)), n_stop


def press(app, slug, name=""):
    return app.button(key=f"{syllabus.STATIONS[slug].prefix}_tour{name}").click().run()


def question(app, slug):
    return next((r for r in app.radio if r.key.startswith(f"{syllabus.STATIONS[slug].prefix}_tour_")), None)


def stops(app, slug):
    """The numbers of the stops as their buttons show them."""
    return [b.label for b in app.button if b.key and b.key.startswith(f"{syllabus.STATIONS[slug].prefix}_tour_to_")]


def has(app, slug, name):
    return any(b.key == f"{syllabus.STATIONS[slug].prefix}_tour{name}" for b in app.button)


@pytest.mark.parametrize("slug", SLUGS)
def test_all_stops_are_walked_answered_and_ticked(slug):
    app, n_stop = start(slug)
    assert n_stop >= 3
    asked, seen = 0, set()
    for stop in range(1, n_stop + 1):
        assert app.query_params[tour.PARAM] in (str(stop), [str(stop)])
        assert not has(app, slug, "_again"), f"stop {stop}: the controls stand as the stop sets them"
        assert "NOT equal" not in words(app)
        seen.add((picture(app), words(app)))
        radio = question(app, slug)
        if radio:
            asked += 1
            assert WAITING in words(app)
            right = press_answer(app, radio)
            assert WAITING not in words(app)
            assert right is not None
        assert "✓" in stops(app, slug)[stop - 1]
        if stop < n_stop:
            app = fine(press(app, slug, "_next"))
    assert len(seen) == n_stop, "every stop shows something else"
    assert asked >= n_stop - 1, "nearly every stop has something to ask"
    assert all("✓" in label for label in stops(app, slug))
    kept = app.session_state[journal.KEY]
    assert [e.stop for e in kept] == sorted(e.stop for e in kept)
    assert {e.page for e in kept} == {slug}


def press_answer(app, radio):
    """The first alternative; returns whether it was right, as the page says."""
    fine(radio.set_value(radio.options[0]).run())
    said = [box.value for box in (*app.success, *app.info)]
    return next((text.startswith("Right.") for text in said if text.startswith(("Right.", "Not this time:"))), None)


@pytest.mark.parametrize("slug", SLUGS)
def test_it_waits_while_the_reader_is_elsewhere_and_a_link_opens_it_in_a_new_browser(slug):
    app, n_stop = start(slug)
    fine(app.button(key=f"{syllabus.STATIONS[slug].prefix}_tour_to_{n_stop}").click().run())
    with watching() as mine:
        if radio := question(app, slug):
            press_answer(app, radio)
        else:
            app.run()
    shown, ticked = picture(app), stops(app, slug)
    assert "✓" in ticked[-1]

    app.switch_page(str(syllabus.PAGES / "home.py"))
    fine(app.run())
    app.switch_page(str(syllabus.STATIONS[slug].file))
    fine(app.run())
    assert (picture(app), stops(app, slug)) == (shown, ticked), "it is where it was, ticks and all"
    assert app.query_params[tour.PARAM] in (str(n_stop), [str(n_stop)])

    link = parse_qs(mine.address.partition("?")[2], True)
    friend = fine(open_page(slug, **{k: v if len(v) > 1 else v[0] for k, v in link.items()}))
    assert picture(friend) == shown
    assert stops(friend, slug)[-1] == f"**{n_stop}**"

    fine(press(app, slug))
    assert not stops(app, slug), "free play is one click away"
    assert tour.PARAM not in app.query_params
    assert picture(app) == shown, "nothing moves unless asked"
    fine(press(app, slug))
    assert stops(app, slug) == ticked, "it goes on where it was left"


@pytest.mark.parametrize("slug", ["attention", "bpe-merges"])
@pytest.mark.parametrize(
    "bad", ["", "0", "-1", "99", "1e999", "nan", "<b>x</b>", "٣", "1" * 5000, "~", "1~~", "+1", "\x00"]
)
def test_an_address_that_names_no_stop_is_free_play(slug, bad):
    app = fine(open_page(slug, tour=bad))
    assert not stops(app, slug)
    assert tour.PARAM not in app.query_params
    assert journal.KEY not in app.session_state


def test_a_bare_stop_sets_its_state_and_what_the_link_says_goes_before():
    app = fine(open_page("attention", tour="3"))
    assert app.button_group(key="attention_rule").value == "hard"
    app = fine(open_page("attention", tour="3", attention_temperature="2.0"))
    assert app.button_group(key="attention_rule").value == "hard"
    assert app.slider(key="attention_temperature").value == 2.0
    app = fine(open_page("attention", tour="3~"))
    assert app.button_group(key="attention_rule").value == "soft"
    assert has(app, "attention", "_again")
    fine(press(app, "attention", "_again"))
    assert app.button_group(key="attention_rule").value == "hard"
    assert not has(app, "attention", "_again")


def test_the_readers_own_sentence_comes_back_after_a_stop_that_shows_another():
    app = fine(open_page("bpe-merges", sentence="My own words, my own."))
    fine(press(app, "bpe-merges"))
    fine(app.button(key="bpe_merges_tour_to_4").click().run())
    assert app.text_input(key="sentence").value == "ba ab ba ab"
    fine(press(app, "bpe-merges", "_next"))
    assert app.text_input(key="sentence").value == "My own words, my own."


def test_a_page_in_free_play_draws_one_button_for_it():
    app = open_page("attention")
    assert [b.key for b in app.button if "tour" in (b.key or "")] == ["attention_tour"]
    assert not any(m.value.startswith(":gray-badge") for m in app.markdown)
    assert badge(press(app, "attention")) == "Follow the row of it: which word does its darkest cell stand for?"
