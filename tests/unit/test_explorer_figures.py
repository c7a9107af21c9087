"""The atlas of heads, the arcs between tokens, the bars that compare: they show the numbers they are given."""

import numpy as np
import pytest

from app.figures import arcs, atlas, compare, heatmap, tokens
from app.theme import Look

LOOK = Look("light")


@pytest.mark.parametrize(("n_layer", "n_head"), [(6, 12), (4, 8), (30, 9), (1, 1), (12, 12), (7, 3)])
def test_every_head_has_one_place_and_a_click_reports_it(n_layer, n_head):
    grid = atlas.by_layer(n_layer, n_head)
    assert sorted(grid.order) == list(range(n_layer * n_head))
    assert len(grid.rows) == -(-len(grid.order) // grid.columns)
    assert len(grid.across) == grid.columns
    n = n_layer * n_head
    maps = np.zeros((n, 5, 5), dtype=np.float32)
    picked = n // 2
    maps[picked] = 1.0
    figure = atlas.atlas(maps, grid, LOOK, [f"head {p}" for p in range(n)], pick=picked)
    sheet, marks = figure.data[0], figure.data[-1]
    place = grid.order.index(picked)
    assert marks.text[place] == f"head {picked}"
    x, y = int(marks.x[place]), int(marks.y[place])
    assert np.asarray(sheet.z)[y, x] == 255  # the tile under the mark is the picked one
    assert (np.asarray(sheet.z) == 255).sum() == 25


def test_a_ranked_atlas_stands_in_the_given_order():
    grid = atlas.by_rank([2, 0, 1], 2)
    assert (grid.order, grid.rows) == ((2, 0, 1), ("1", "3"))
    figure = atlas.atlas(np.zeros((3, 2, 2)), grid, LOOK, ["a", "b", "c"], pick=1, off=[0])
    assert list(figure.data[-1].text) == ["c", "a", "b"]


def test_too_many_cells_are_pooled_by_their_largest():
    small = np.random.default_rng(0).random((2, 5, 5), dtype=np.float32)
    assert atlas.pooled(small) is small
    large = np.zeros((270, 63, 63), dtype=np.float32)
    large[7, 62, 61] = 0.9
    pooled = atlas.pooled(large)
    assert pooled.size <= atlas.MOST_CELLS
    assert pooled[7].max() == np.float32(0.9)
    assert pooled.sum() == pytest.approx(0.9)


def test_arcs_join_the_tokens_that_look_at_each_other():
    weights = np.array([[1, 0, 0, 0], [0.3, 0.7, 0, 0], [0.8, 0, 0.2, 0], [0, 0.02, 0.9, 0.08]])
    figure = arcs.arcs(weights, ["a", "b", "c", "d"], LOOK, pick=2)
    *lines, marks = figure.data
    ends = set()
    for line in lines:
        x, y = np.asarray(line.x, dtype=float), np.asarray(line.y, dtype=float)
        for part, height in zip(
            np.split(x, np.where(np.isnan(x))[0]), np.split(y, np.where(np.isnan(x))[0]), strict=True
        ):
            part, height = part[~np.isnan(part)], height[~np.isnan(part)]
            if len(part):
                ends.add((round(part[0]), round(part[-1]), line.line.color, bool(np.median(height) > 0)))
    weight, query, key = (LOOK.role(role) for role in ("weight", "query", "key"))
    assert ends == {(1, 0, weight, True), (3, 2, weight, True), (2, 0, query, True), (3, 2, key, False)}
    assert np.allclose(np.asarray(marks.customdata), np.stack([weights[2], weights[:, 2]], axis=1))


@pytest.mark.parametrize("n", [1, 2, 64])
def test_arcs_of_any_length_can_be_drawn(n):
    figure = arcs.arcs(np.full((n, n), 1 / n), [f"token{i}" for i in range(n)], LOOK, pick=n - 1)
    assert len(figure.data[-1].x) == n
    assert len(figure.to_json()) < 200_000


def test_equal_names_stay_two_bars_and_the_values_arrive():
    chart = compare.ranking(["the", "the"], [0.2, 0.1], LOOK, title="p", chance=0.05, pick=1, faint=[0])
    bars, rule = (layer["data"]["values"] for layer in chart.spec["layer"])
    assert len({bar["key"] for bar in bars}) == 2
    assert [(bar["value"], bar["kind"]) for bar in bars] == [(0.2, "faint"), (0.1, "picked")]
    assert rule == [{"value": 0.05}]
    both = compare.before_after(["a"], [0.1], [0.3], LOOK, title="p").spec["layer"][0]["data"]["values"]
    assert [(row["state"], row["value"]) for row in both] == [("before", 0.1), ("after", 0.3)]


@pytest.mark.parametrize("click", [True, False])
def test_a_map_of_64_tokens_draws_some_names_and_says_all(click):
    names = [f"token{place}" for place in range(64)]
    z = np.random.default_rng(0).random((64, 64), dtype=np.float32)
    figure = heatmap.heatmap(
        z, names, names, LOOK, row_title="query", column_title="key", click=click, most=18
    ).to_dict()
    assert figure["layout"]["xaxis"]["ticktext"] == names[::4]
    trace = figure["data"][-1 if click else 0]
    said = trace["text"] if click else [cell for row in trace["text"] for cell in row]
    assert said[5 * 64 + 7] == "token5<br>key token7"
    assert len(said) == 64 * 64
    assert trace["hovertemplate"].startswith("query %{text}<br>")


def test_a_map_whose_names_are_all_drawn_sends_them_once():
    names = [f"token{place}" for place in range(16)]
    figure = heatmap.heatmap(np.eye(16, dtype=np.float32), names, names, LOOK, click=True).to_dict()
    assert figure["layout"]["xaxis"]["ticktext"] == names
    assert not any("text" in trace for trace in figure["data"])


def test_words_of_every_script_stay_whole_and_run_their_way():
    words = ["Straße", "القطة", "猫坐在"]
    strip = tokens.strip([[tokens.Chip(word)] for word in words], LOOK, "3 words", tall=100)
    assert all(f">{word}<" in strip for word in words)
    assert 'dir="auto"' in strip
    assert 'tabindex="0"' in strip, "what scrolls can be scrolled by keys"
