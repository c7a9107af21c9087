"""What was predicted is kept in order over all pages, counted once, and leaves as a table that no spreadsheet runs."""

import csv
import io

from app import journal, syllabus
from app.journal import Entry
from tests.pages.opening import fine, open_page, words


def radio(app):
    return next(r for r in app.radio if r.key.startswith("predict_"))


def rows(app):
    text = journal.table(tuple(app.session_state[journal.KEY])).decode()
    return list(csv.DictReader(io.StringIO(text)))


def test_answers_of_all_pages_are_kept_in_order_and_counted():
    app = open_page("attention", attention_seed="0", attention_temperature="2.0")
    assert journal.KEY not in app.session_state
    first = radio(app)
    fine(first.set_value(first.options[1]).run())
    fine(radio(app).set_value(first.options[0]).run())
    assert len(rows(app)) == 1, "after the reveal a second answer is no prediction"

    app.switch_page(str(syllabus.STATIONS["bpe-merges"].file))
    fine(app.run())
    second = radio(app)
    fine(second.set_value(second.options[0]).run())
    fine(app.button(key="bpe_merges_tour").click().run())
    third = next(r for r in app.radio if r.key.startswith("bpe_merges_tour_1"))
    fine(third.set_value(third.options[0]).run())
    table = rows(app)
    pages = ["attention", "bpe-merges"] if third.label == second.label else ["attention", "bpe-merges", "bpe-merges"]
    assert [row["page"] for row in table] == pages, "the same question in the same state counts once, tour or not"
    assert [row["number"] for row in table] == [str(i + 1) for i in range(len(pages))]
    assert table[0]["question"] == first.label
    assert table[0]["answer"] == first.options[1]
    assert "attention_temperature=2.0" in table[0]["link"]
    assert table[0]["where"] == "free play"
    for row in table:
        assert (row["result"] == "right") == (row["answer"] == row["right answer"])

    app.switch_page(str(syllabus.PAGES / "home.py"))
    fine(app.run())
    n_right = sum(row["result"] == "right" for row in table)
    assert f"Your predictions: **{n_right} of {len(table)} right**" in words(app)


def test_the_verdict_and_the_table_agree():
    app = open_page("bpe-merges", bpe_merges_step="0")
    fine(radio(app).set_value("`n` + `d`").run())
    assert app.success[0].value.startswith("Right.")
    assert rows(app)[0]["result"] == "right"
    app = open_page("bpe-merges", bpe_merges_step="0")
    other = next(o for o in radio(app).options if o != "`n` + `d`")
    fine(radio(app).set_value(other).run())
    assert app.info[0].value.startswith("Not this time: `n` + `d`.")
    assert rows(app)[0] | {"result": "wrong", "right answer": "`n` + `d`"} == rows(app)[0]


def test_home_says_nothing_where_nothing_was_predicted():
    assert "Your predictions" not in words(open_page())


def test_only_so_many_are_kept():
    app = open_page("bpe-merges", bpe_merges_step="0")
    app.session_state[journal.KEY] = [Entry("p", 0, f"state={i}", "", "q", "a", "b") for i in range(journal.MOST)]
    fine(app.run())
    fine(radio(app).set_value("`n` + `d`").run())
    kept = app.session_state[journal.KEY]
    assert len(kept) == journal.MOST
    assert (kept[0].state, kept[-1].page) == ("state=1", "bpe-merges")


def test_a_visitors_words_are_no_formula_and_no_broken_row():
    hostile = Entry("attention", 2, "", "http://x/?a=1", '=cmd|"/c calc"!A1\n\ud800', "+1,2", "-x\r\n@y")
    text = journal.table((hostile,)).decode("utf-8")
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert list(row) == list(journal.COLUMNS)
    assert row["question"] == '\'=cmd|"/c calc"!A1\n?'
    assert (row["answer"], row["right answer"], row["where"]) == ("'+1,2", "'-x\r\n@y", "tour stop 2")
