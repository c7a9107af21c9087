"""What the benchmarks say about what they measured."""

import json
import math
import re
from xml.etree import ElementTree

from benchmarks import picture, table
from benchmarks.load import quantile

ABOUT = {
    "date": "today", "cpu": "A <fast> & small one", "cores": 2, "memory_gb": 8.0, "load_before": 0.1, "load_after": 1.1, "system": "any",
    "python": "3.11", "versions": {"streamlit": "1"},
}  # fmt: skip


def page(seconds, pixels):
    return {"first": 0.1, "p50": seconds, "p95": 2 * seconds, "cpu": math.nan, "size": 6000.0, "elements": 2, "key": "k",
            "pixels": pixels}  # fmt: skip


def server(pages, before, after):
    one = {"visitors": 10, "arrived": 1.0, "first_p95": 0.5, "p50": 0.1, "p95": 0.2, "moves": 7, "errors": 1,
           "memory_before": before, "memory_with": after, "memory_after": after}  # fmt: skip
    return {"cold_start": 4.0, "first_visitor": 1.0, "memory_idle": before, "memory_pages": before, "pages": pages,
            "classes": [one]}  # fmt: skip


RESULT = {
    "machine": ABOUT,
    "floor": server({"": page(0.010, 0.1)}, 80.0, 85.0),
    "app": server({"attention": page(0.025, math.nan), "": page(math.nan, math.nan)}, 400.0, 430.0)
    | {"fair": {"moving": 10, "training": 50, "quiet_p95": 0.02, "busy_p95": 0.05, "errors": 3, "memory": 400.0}},
    "largest": {"size": 700_000.0, "p50": 0.1, "pixels": 0.6},
}


def test_a_quantile_is_a_value_that_was_measured():
    assert [quantile([3.0, 1.0, 2.0, 4.0], share) for share in (0.25, 0.5, 0.95, 1.0)] == [1.0, 2.0, 4.0, 4.0]
    assert math.isnan(quantile([], 0.5))


def test_the_table_gives_each_figure_with_its_ratio_to_the_floor():
    said = table.text(RESULT)
    cells = [
        cell.strip() for cell in next(row for row in said.splitlines() if row.startswith("| attention")).split("|")
    ]
    assert cells[2:5] == ["25 (2.5×)", "50 (2.5×)", "–"]
    assert cells[7] == "–", "what could not be measured is not made up"
    klass = next(row for row in said.splitlines() if "10 on attention" in row)
    assert "| 3.00 " in klass, "30 MB of 10 visitors"
    assert "1 (1.0×)" not in klass, "errors are counted, not compared"
    assert "from 20 to 50 ms (2.5×), 3 errors" in said
    assert "of 400 MB together" in said
    assert "0.70 MB a move, and 0.60 s" in said


def test_a_page_is_compared_with_the_floor_of_the_same_minute():
    beside = {"beside": {"p50": 0.02, "p95": 0.02, "cpu": math.nan}}
    pages = {"attention": RESULT["app"]["pages"]["attention"] | beside}
    result = RESULT | {"app": RESULT["app"] | {"pages": pages}}
    said = table.text(result)
    assert "| 25 (1.2×)" in said
    assert "| 50 (2.5×)" in said
    assert "1.2× · 25 ms" in picture.svg(result)


def test_the_kept_result_is_json_and_its_picture_is_xml():
    again = json.loads(json.dumps(table.finite(RESULT), allow_nan=False))
    assert again["app"]["pages"]["attention"]["pixels"] is None
    words = [
        node.text for node in ElementTree.fromstring(picture.svg(RESULT)).iter() if node.text and node.text.strip()
    ]
    assert "2.5× · 25 ms" in words
    assert any("A <fast> & small one" in word for word in words)
    assert not re.search("nan", " ".join(words), re.IGNORECASE)
