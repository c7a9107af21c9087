"""How does a token look at the others? Q, K and V of one head, from the dot products to the mixed values."""

import math

import streamlit as st
import torch
from torch.nn import functional as F

from app import compute, text
from app.controls import Controls
from app.figures import charts, pipeline
from app.figures.heatmap import nice_limit
from app.frame import Experiment, Lab, Prediction, Proof, Stage
from app.recipe import Recipe
from models.attention import AttentionTrace, attend, entropy
from models.dot_product import WIDTHS, WidthConfig, widths
from models.masks import causal
from models.one_head import AttentionConfig, attend_with, fresh_head, strongest_link

MAX_TOKENS = 24
STRONGEST = -1
SOURCES = {"minilm": "MiniLM-L6", "small-gpt": "Small GPT", "random": "Random"}
GRID = ("QKᵀ", "÷√dₖ", "softmax")
EXPERIMENTS = (
    Experiment("Who is “it”?", {"sentence": "The cat sat on the mat because it was tired.", "query": 8},
               "Follow the row of it: which word does its darkest cell stand for?"),
    Experiment("Turn the scaling off", {"scaling": False}, "Without ÷√dₖ every row hardens towards a single cell."),
    Experiment("Hard attention", {"rule": "hard"}, "One cell a row takes everything, and no gradient reaches the others."),
    Experiment("Melt it", {"temperature": 5.0}, "A temperature of 5 flattens every row towards an average of all values."),
    Experiment("Never look ahead", {"source": "small-gpt", "layer": 0, "head": 2},
               "A causal model: hatched cells are forbidden, and the first row has one place to look."),
    Experiment("Wide and unscaled", {"source": "random", "d_k": 512, "scaling": False},
               "At dₖ = 512 raw dot products are large: the softmax saturates although nothing was learned."),
    Experiment("Nothing learned", {"source": "random"}, "Random weights: some cells are darker, but no word has a reason."),
)  # fmt: skip


def pick_head(c: Controls) -> tuple[AttentionTrace, torch.Tensor | None, str]:
    """The head's Q, K, V on the reader's sentence, what it may look at, and what made it."""
    fresh = source == "random"
    left, right = c.columns(2)
    with left:
        layer = c.slider("layer", "Layer", 0, model.n_layer - 1, min(3, model.n_layer - 1), disabled=fresh)
        d_k = c.steps("d_k", "Width dₖ", WIDTHS, 32, disabled=not fresh)
    with right:
        number = c.slider("head", "Head", 0, model.n_head - 1, 1, disabled=fresh)
        seed = c.seed(disabled=not fresh)
    if fresh:
        made_by = f"Seeded random projections, seed {seed}: nothing learned. Tensors {compute.device_note()}."
        return compute.run(fresh_head, encoding.ids, d_k, seed), None, made_by
    head = compute.trace(reader, encoding).layers[layer].attention.head(number)
    allowed = torch.ones_like(head.weights, dtype=torch.bool).tril() if model.kind == "causal" else None
    return (
        head,
        allowed,
        f"Layer {layer}, head {number} of {model.title}. {model.provenance} Tensors {compute.device_note()}.",
    )


def pick_cell(c: Controls) -> tuple[int, int]:
    """Which cell is to be opened, before the weights are known: −1 stands for the strongest."""
    places = [STRONGEST, *range(n)]
    names = ["strongest", *(f"{at} {text.visible(token)}" for at, token in enumerate(encoding.tokens))]
    left, right = c.columns(2)
    with left:
        query = c.choice("query", "Query", places, STRONGEST, show=lambda at: names[at + 1])
    with right:
        key = c.choice("key", "Key", places, STRONGEST, show=lambda at: names[at + 1])
    return query, key


def clicked() -> None:
    """A cell was clicked: its row and column go to the two pickers."""
    points = st.session_state["attention_pipeline"].selection.points
    if points:
        st.session_state["attention_query"], st.session_state["attention_key"] = (
            int(points[0]["y"]),
            int(points[0]["x"]),
        )


def word(at: int) -> str:
    return text.code(encoding.tokens[at])


lab = Lab("attention")
with lab.controls(EXPERIMENTS) as c:
    sentence = c.sentence()
    source = c.choice("source", "Weights", list(SOURCES), "minilm", show=SOURCES.__getitem__)
    reader = "minilm" if source == "random" else source
    model = compute.model(reader)
    encoding = compute.read(reader, sentence, MAX_TOKENS)
    tokens, n = text.labels(encoding.tokens), len(encoding.tokens)
    head, allowed, made_by = pick_head(c)
    query, key = pick_cell(c)
    left, right = c.columns(2)
    with left:
        rule = c.segments("rule", "Choice", ("soft", "hard"), "soft")
        scaling = c.switch("scaling", "Divide by √dₖ", True)
    with right:
        temperature = c.slider("temperature", "Temperature", 0.1, 5.0, 1.0, 0.1)
    shown = c.segments("stage", "The grid opens on", GRID, GRID[-1])

config = AttentionConfig(scaling, rule, temperature)
now = attend_with(config, head, allowed)
other = attend_with(AttentionConfig(not scaling, rule, temperature), head, allowed)
strong_i, strong_j = strongest_link(now.weights, tuple(t in ("[CLS]", "[SEP]") for t in encoding.tokens))
i = strong_i if query == STRONGEST else query
j = key if key != STRONGEST else strong_j if query == STRONGEST else int(now.weights[i].argmax())
row, d_k = now.weights[i], now.q.shape[-1]
q, k, v, a = (lab.tint(role) for role in ("query", "key", "value", "weight"))

softmax, root = lab.tint("weight", r"\text{softmax}"), r"\sqrt{d_k}" if scaling else "1"
lab.formula(
    rf"\text{{Attention}}({q},{k},{v}) = {softmax}\!\left(\frac{{{q}\,{k}^\top}}{{{root}}}\right){v}",
    f"$N = {n}$ tokens, $d_k = {d_k}$, $\\sqrt{{d_k}} = {math.sqrt(d_k):.2f}$, temperature ${temperature:g}$",
)
scores, scaled, weights = (part.cpu().numpy() for part in (now.scores, now.scaled, now.weights))
figure = pipeline.attention(
    *(part.cpu().numpy() for part in (now.q, now.k, now.v, now.output)),
    stages=[
        pipeline.GridStage(GRID[0], scores, "signed", nice_limit(scores)),
        pipeline.GridStage(GRID[1] if scaling else "not divided", scaled, "signed", nice_limit(scaled)),
        pipeline.GridStage(GRID[2] if rule == "soft" else "argmax", weights, "probability", 1.0),
    ],
    tokens=tokens, look=lab.look, pick=(i, j), shown=GRID.index(shown),
    masked=None if allowed is None else ~allowed.cpu().numpy(),
)  # fmt: skip
lab.stage(Stage(
    "attention_pipeline", "Who looks at whom", figure, shape=f"weights [query {n} × key {n}]",
    alt=f"Attention weights of {n} tokens. The framed cell is {row[j]:.2f}; the largest is {now.weights.max():.2f}.",
    made_by=f"{made_by} Click a cell to open it; the buttons morph the grid.", on_select=clicked,
    tensors={name: getattr(now, name).cpu().numpy() for name in ("q", "k", "v", "scores", "scaled", "masked", "weights", "output")},
))  # fmt: skip

top, change = int(row.argmax()), float(other.weights[i].max() - row.max())
lab.notice(
    f"{word(i)} gives **{row[j]:.2f}** of its attention to {word(j)}"
    + (", its largest share." if top == j else f"; its largest share, {row[top]:.2f}, goes to {word(top)}."),
    f"The rows' entropy is {entropy(now.weights).mean():.2f} nats on average; looking everywhere alike would be ln {n} = {math.log(n):.2f}.",
    f"With the scaling {'off' if scaling else 'on'}, this row's largest share would be {other.weights[i].max():.2f}.",
    f"Your text has {encoding.truncated} more tokens than the {n} drawn." if encoding.truncated else "",
)

_, opened = lab.section("One cell, opened", wide=True)
products = (now.q[i] * now.k[j]).cpu()
largest = products.abs().argsort(descending=True)[:32].sort().values
with opened:
    divided = (
        rf"\xrightarrow{{\div \sqrt{{{d_k}}}}} {now.scaled[i, j]:.3f}"
        if scaling
        else r"\xrightarrow{\text{not divided}}"
    )
    share = (
        rf"\xrightarrow{{\text{{its share of the row}}}} \frac{{e^{{{float(now.masked[i, j]) / temperature:.3f}}}}}"
        rf"{{\sum_{{\text{{{n} keys}}}} e^{{\dots}}}} = {a} = {row[j]:.4f}"
        if rule == "soft"
        else rf"\xrightarrow{{\text{{largest of the row?}}}} {a} = {row[j]:.0f}"
    )
    blocked = allowed is not None and not bool(allowed[i, j])
    st.markdown(
        f"Query {word(i)}, key {word(j)}: "
        + (f"the mask forbids this cell, so its weight is exactly {row[j]:g}." if blocked
           else rf"${lab.tint('query', 'q')} \cdot {lab.tint('key', 'k')} = {now.scores[i, j]:.3f} {divided} {share}$")
    )  # fmt: skip
    lab.draw(Stage(
        "attention_cell", "The score, term by term",
        charts.bars([str(int(d)) for d in largest], products[largest].tolist(), lab.look, title="q · k, one dimension", signed=True,
                    name_title="dimension of the head" if d_k <= 32 else f"the 32 largest of {d_k} dimensions"),
        alt=f"Products of query and key in each dimension; they sum to {now.scores[i, j]:.3f}.",
        shape=f"products [feature {d_k}]", made_by=f"All {d_k} products add up to {products.sum():.4f}, this cell's score.",
    ))  # fmt: skip

side, main = lab.section("Why divide by √dₖ?", key="widths")
with side:
    st.markdown(
        "A dot product of dₖ independent terms has variance dₖ. Large scores push the softmax to one cell, where its "
        "gradient dies. Dividing by √dₖ keeps the variance at 1, whatever the width."
    )
    law_seed = c.slider("law_seed", "Seed of this experiment", 0, 20, 0)
on, off = (compute.run(widths, WidthConfig(seed=law_seed), scaled) for scaled in (True, False))
with main:
    for pair in (("variance", "largest"), ("entropy", "gradient")):
        for place, measure in zip(st.columns(2), pair, strict=True):
            title, y_title, log = {
                "variance": ("Variance of the scores", "variance", True), "largest": ("Largest weight of a row", "weight", False),
                "entropy": ("Entropy of a row", "nats", False), "gradient": ("Gradient through the softmax", "‖∂A/∂score‖", False),
            }[measure]  # fmt: skip
            both = {"divided by √dₖ": getattr(on, measure), "not divided": getattr(off, measure)}
            chart = charts.lines(
                WIDTHS, both, lab.look, x_title="dₖ", y_title=y_title, x_scale="log", y_scale="log" if log else "linear", mark=d_k,
                colours={"divided by √dₖ": "weight", "not divided": "gradient"}, y_domain=None if log else (0, max(max(ys) for ys in both.values())),
            )  # fmt: skip
            with place:
                lab.draw(Stage(f"attention_{measure}", title, chart,
                               alt=f"{title} over widths 1 to 512: {both['divided by √dₖ'][-1]:.3g} divided and {both['not divided'][-1]:.3g} not divided at 512."))  # fmt: skip
    st.caption(
        f"Unit-normal q and k, 200 queries of 16 keys a width, seed {law_seed}. The rule stands at this page's dₖ = {d_k}."
    )

_, table = lab.section("Ask, label, answer", wide=True)
with table:
    st.markdown(
        f"""| | what it does | shape by name | here |
|---|---|---|---|
| ${q}$ query | asks: what am I looking for? | N × dₖ | {n} × {d_k} |
| ${k}$ key | labels: what do I have? | M × dₖ | {n} × {d_k} |
| ${v}$ value | answers: what do I give? | M × dᵥ | {n} × {now.v.shape[-1]} |
| ${q}{k}^\\top$ scores | every question against every label | N × M | {n} × {n} |
| ${a}$ weights | shares that sum to 1 in each row | N × M | {n} × {n} |
| output | the values, mixed by the weights | N × dᵥ | {n} × {now.v.shape[-1]} |

A text looks at itself here, so M = N. In a translator the queries come from one text and keys and values from another."""
    )

lab.predict(Prediction(
    f"Look at the row of “{text.visible(encoding.tokens[i])}”. With the scaling {'off' if scaling else 'on'}, its largest share …",
    ("grows", "stays within 0.01", "shrinks"), 0 if change > 0.01 else 2 if change < -0.01 else 1,
    f"It goes from {row.max():.3f} to {other.weights[i].max():.3f}: the scores are {'multiplied' if scaling else 'divided'} by "
    f"√{d_k} = {math.sqrt(d_k):.2f}, and the softmax exaggerates differences.",
))  # fmt: skip

if rule == "soft":
    theirs = F.scaled_dot_product_attention(
        now.q[None], now.k[None], now.v[None], None if allowed is None else allowed[None],
        scale=(d_k**-0.5 if scaling else 1.0) / temperature,
    )[0]  # fmt: skip
    reference = "torch.nn.functional.scaled_dot_product_attention"
else:
    theirs, reference = now.v[now.masked.argmax(-1)], "value rows picked by torch.argmax"
lab.prove(
    Proof("The output", reference, float((now.output - theirs).abs().max()), 1e-4, (attend, attend_with)),
    Proof("Each row's sum", "1", float((now.weights.sum(-1) - 1).abs().max()), 1e-5),
)


def recipe() -> Recipe:
    """The main figure as code: the head drawn again from its seed, or its Q, K and V as numbers."""
    fresh = source == "random"
    drawn = {"IDS": encoding.ids, "D_K": d_k, "SEED": c.values["seed"]} if fresh else {}
    return Recipe(
        {name: f"attention_pipeline.{name}" for name in ("weights", "output")},
        uses=(attend, attend_with, AttentionConfig, *([fresh_head] if fresh else []), *([causal] if allowed is not None else [])),
        settings={"TOKENS": encoding.tokens, **drawn, "SCALING": scaling, "RULE": rule, "TEMPERATURE": temperature},
        inputs={} if fresh else {name: getattr(now, name) for name in ("q", "k", "v")},
        run=f"""
head = {"fresh_head(IDS, D_K, SEED)" if fresh else "attend(q, k, v)"}
allowed = {"None" if allowed is None else "causal(len(TOKENS))"}
trace = attend_with(AttentionConfig(SCALING, RULE, TEMPERATURE), head, allowed)
weights, output = trace.weights, trace.output
""",
        shows='show("weights [query × key]", weights, TOKENS, TOKENS)',
        note=made_by,
    )  # fmt: skip


lab.recipe(recipe)
