"""What do the heads of a trained model look at? All of them in one picture, one opened, any switched off."""

import math

import streamlit as st
import torch
from torch.nn import functional as F

from app import compute, explorer, model_menu, model_proofs, parts, text
from app.figures import arcs, atlas, charts, compare
from app.figures.heatmap import heatmap
from app.frame import Experiment, Lab, Prediction, Stage
from app.recipe import Recipe
from models import heads
from models.attention import attend
from models.head_effect import next_token_change
from models.masks import causal as before
from models.one_head import format_of

MAX_TOKENS = 64
NAMED = 18  # as many names as fit beside the small map
BEST = "first in the order"
STRONGEST = -1
PLACE = "layer and head"
SORTS = {
    PLACE: "", "previous token": "previous_token", "next token": "next_token", "first token": "first_token",
    "same token": "same_token", "same word elsewhere": "duplicate_token", "induction": "induction",
    "distance": "distance", "entropy": "entropy",
}  # fmt: skip
JOBS = {
    "previous_token": "looks at the token just before", "next_token": "looks at the token just after",
    "first_token": "rests on the first token", "same_token": "looks at the token itself",
    "duplicate_token": "finds the same token elsewhere", "induction": "finds what followed the token last time",
}  # fmt: skip
REPEATED = "Mr Dursley met Mrs Dursley, and Mr Dursley told Mrs Dursley a story."
EXPERIMENTS = [
    Experiment("Who is “it”?", {"sentence": "The cat sat on the mat because it was tired.", "head": "L5H11", "token": 8},
               "Follow the blue arcs from it: which word do they reach?"),
    Experiment("One step back", {"order": "previous token", "head": BEST},
               "The first tile is a stripe beside the diagonal: every token looks at the one before."),
    Experiment("One step ahead", {"order": "next token", "head": BEST},
               "This model reads in both directions, so a head may look at the token after."),
    Experiment("Where attention rests", {"order": "first token", "head": BEST},
               "Count the tiles with one dark column: heads with nothing to say look at the first token."),
    Experiment("The same word again", {"sentence": "red green blue red green blue red green blue", "order": "same word elsewhere", "head": BEST},
               "Stripes three places off the diagonal: each colour finds its other occurrences."),
    Experiment("Three heads off", {"sentence": "The cat sat on the mat because it was tired.", "head": "L5H11", "token": 8, "off": ["L3H1", "L5H4"]},
               "In “Switch heads off” below: whose embedding turns without the heads that link it to the cat, and is it among them?"),
    Experiment("A model that cannot look ahead", {"model": "small-gpt", "order": "previous token", "head": BEST},
               "Every tile is a lower triangle: a causal model sees only what came before."),
]  # fmt: skip
LARGE = [
    Experiment("SmolLM2: “it” finds its noun", {"model": "smollm2", "sentence": "The cat sat on the mat because it was tired.", "head": "L13H8", "token": 7},
               "Follow the blue arcs from it, in a model of 135 million parameters."),
    Experiment("SmolLM2: induction", {"model": "smollm2", "sentence": REPEATED, "order": "induction", "head": "L18H6"},
               "A name seen before: the head looks at what followed it then, and so predicts what comes next."),
    Experiment("SmolLM2: one step back", {"model": "smollm2", "order": "previous token", "head": "L16H0"},
               "A stripe beside the diagonal, sixteen layers deep."),
]  # fmt: skip


def label(place: int) -> str:
    return f"L{place // model.n_head}H{place % model.n_head}"


def short(title: str) -> str:
    return title.removesuffix(" token").removeprefix("same word ")


def word(at: int) -> str:
    return text.code(encoding.tokens[at])


def tile_clicked() -> None:
    """A tile was clicked: its head goes to the picker."""
    points = st.session_state["head_explorer_atlas"].selection.points
    if points:
        st.session_state["head_explorer_head"] = label(grid.order[points[0]["point_index"]])


def cell_clicked() -> None:
    points = st.session_state["head_explorer_map"].selection.points
    if points:
        st.session_state["head_explorer_token"] = int(points[0]["y"])


def token_clicked() -> None:
    points = st.session_state["head_explorer_arcs"].selection.points
    if points:
        st.session_state["head_explorer_token"] = int(points[0]["x"])


def about_the_head() -> str:
    """What the open head does on this sentence, from its numbers."""
    own, job = table.of(layer, head), heads.main_job(table, layer, head)
    name = f"**{label(opened)}**"
    if job:
        return f"{name} {JOBS[job]}: {own[job]:.2f} of its weight, where looking everywhere alike would give {table.alike[job]:.2f}."
    at, share = heads.most_read(weights)
    spread = own["entropy"] / table.alike["entropy"] if table.alike["entropy"] > 0 else 0.0
    if share >= 0.3:
        return f"{name} gathers on {word(at)}: {share:.2f} of the other tokens' weight lies there."
    how = "looks broadly" if spread > 0.75 else "is choosy, but about different things for different tokens"
    return f"{name} {how}: its rows' entropy is {own['entropy']:.2f} nats, where looking everywhere alike would give {table.alike['entropy']:.2f}."


lab = Lab("head-explorer")
everything = EXPERIMENTS + (LARGE if compute.offered(model_menu.FETCHED).offered else [])
with lab.controls(everything) as c:
    sentence = c.sentence()
    name, model = model_menu.pick(c, ("causal", "encoder", "encoder-decoder"), ("minilm", "small-gpt"))
    trace = compute.trace(name, compute.read(name, sentence, MAX_TOKENS))
    encoding = trace.encoding
    shown = [text.visible(token) for token in encoding.tokens]
    tokens, n, causal = text.labels(encoding.tokens), len(encoding.tokens), model.kind != "encoder"
    table = explorer.table(name, encoding) if model.kind != "encoder-decoder" else heads.measure_heads(trace, True)
    every = [label(place) for place in range(model.n_layer * model.n_head)]
    order = c.choice("order", "Order of the heads", list(SORTS), PLACE)
    left, right = c.columns(2)
    with left:
        choice = c.choice("head", "Open head", [BEST, *every], "L5H11" if name == "minilm" else BEST)
    with right:
        at = c.choice("token", "Token", [STRONGEST, *range(n)], STRONGEST,
                      show=lambda at: "strongest" if at == STRONGEST else f"{at} {shown[at]}")  # fmt: skip

by_layer, measure = order == PLACE, SORTS[order]
grid = atlas.by_layer(model.n_layer, model.n_head)
if not by_layer:
    grid = atlas.by_rank(heads.order(getattr(table, measure)), grid.columns)
if choice != BEST:
    opened = every.index(choice)
elif by_layer:
    first_layer, first_head = explorer.telling(name, encoding) if model.kind != "encoder-decoder" else (0, 0)
    opened = first_layer * model.n_head + first_head
else:
    opened = grid.order[0]
layer, head = divmod(opened, model.n_head)
weights = trace.layers[layer].attention.weights[head]
strong, _ = heads.telling_link(weights, explorer.special(name, encoding))
i = strong if at == STRONGEST else at

q, k, v, a = (lab.tint(role) for role in ("query", "key", "value", "weight"))
width = model.d_model // model.n_head
lab.formula(
    rf"\text{{head}}_{{l,h}} = {a}_{{l,h}}\,{v}_{{l,h}},\quad {a}_{{l,h}} = \text{{softmax}}\!\left(\tfrac{{{q}_{{l,h}}\,{k}_{{l,h}}^\top}}{{\sqrt{{d_k}}}}\right)",
    f"{model.n_layer} layers × {model.n_head} heads, $N = {n}$ tokens, $d_k = {width}$, open: $l = {layer}$, $h = {head}$",
)
every_map = torch.cat([each.attention.weights for each in trace.layers]).cpu().numpy()
values = None if by_layer else getattr(table, measure).flatten()
titles = [label(p) if values is None else f"{label(p)}<br>{order} {values[p]:.2f}" for p in range(len(every))]
left_out = frozenset(h for h in st.session_state.get("head_explorer_off", []) if h in every)
big = weights.cpu().numpy()
masked = torch.ones(n, n, dtype=torch.bool).triu(1).numpy() if causal else None
lab.stage(
    Stage(
        "head_explorer_atlas", "Every head",
        atlas.atlas(every_map, grid, lab.look, titles, pick=opened, off=[every.index(h) for h in left_out], height=470),
        shape=f"[head {len(every)} × query {n} × key {n}]",
        alt=f"{len(every)} attention maps of {n} tokens, in the order of {order}. Head {label(opened)} is outlined, its weights reach {big.max():.2f}.",
        made_by=f"{model.title}, weights 0 to 1. Click a tile to open it.", on_select=tile_clicked, tensors={"weights": every_map},
    ),
    Stage(
        "head_explorer_map", f"Head {label(opened)}",
        heatmap(big, tokens, tokens, lab.look, masked=masked, pick=(i, int(weights[i].argmax())), row_title="query", column_title="key",
                value_name="weight", bar=False, click=True, numbers=False, tilt=True, most=NAMED, height=470),
        shape=f"[query {n} × key {n}]",
        alt=f"Attention of head {label(opened)}: {shown[i]} gives {big[i].max():.2f} to {shown[int(big[i].argmax())]}.",
        made_by="Rows look at columns. Click a row to follow its token.", on_select=cell_clicked, tensors={"weights": big},
    ),
)  # fmt: skip

resting = int((table.first_token > 0.5).sum())
top = int(weights[i].argmax())
lab.notice(
    about_the_head(),
    f"{word(i)} gives {weights[i, top]:.2f} to {word(top)}.",
    f"{resting} of {len(every)} heads put more than half of their weight on {word(0)}." if n > 1 else "",
    f"This sentence gives “{order}” nothing to measure." if values is not None and bool(values.isnan().all()) else "",
    f"Your text has {encoding.truncated} more tokens than the {n} shown." if encoding.truncated else "",
)

_, main = lab.section("Where a token looks, and who looks at it", key="arcs", wide=True)
with main:
    lab.draw(Stage(
        "head_explorer_arcs", f"Head {label(opened)} between the tokens", arcs.arcs(big, tokens, lab.look, i),
        alt=f"Arcs of weight over 0.05. Above the line where each token looks, blue for {shown[i]}, whose largest weight is {big[i].max():.2f}; below it who looks at that token, at most {big[:, i].max():.2f}.",
        shape=f"weights [query {n} × key {n}]",
        made_by="Above in blue: where the framed token looks (pale: the others). Below in vermilion: who looks at it. Click a word to frame it.",
        on_select=parts.whole(token_clicked),
    ))  # fmt: skip
    for place, (title, shares, role) in zip(st.columns(2), (
        (f"Where {word(i)} looks", weights[i], "query"),
        (f"Who looks at {word(i)}", weights[:, i], "key"),
    ), strict=True):  # fmt: skip
        kept = shares.topk(min(n, 16)).indices.sort().values.tolist()
        with place:
            lab.draw(Stage(
                f"head_explorer_{role}", title,
                charts.bars([shown[j] for j in kept], [float(shares[j]) for j in kept], lab.look,
                            title="weight", role=role, limit=1.0, height=230),
                alt=f"{title.replace('`', '')}: the largest is {float(shares.max()):.2f}.",
            ))  # fmt: skip
    if n > 24:
        lab.draw(Stage("head_explorer_large", f"Head {label(opened)}, large",
                       heatmap(big, tokens, tokens, lab.look, masked=masked, row_title="query", column_title="key", value_name="weight", height=900),
                       alt=f"The same map of {n} tokens, large; the largest weight is {big.max():.2f}."))  # fmt: skip

ranking_by = "first token" if by_layer else order
column = getattr(table, SORTS[ranking_by])
_, main = lab.section(
    "The heads, ranked", key="ranking", wide=True,
    text="The order of the heads, chosen above, ranks them here. A high number on one sentence is a hint and no proof: try another sentence.",
)  # fmt: skip
best = heads.order(column)[:12]
with main:
    ranks, numbers = st.columns([5, 6], gap="medium")
with numbers:
    # Closed until it is asked for: a table makes Streamlit import pandas and write Arrow at every move.
    box = st.expander(f"All {len(every)} heads in numbers", on_change="rerun", key="head_explorer_numbers")
    if box.open:
        box.caption("Click a column's name to sort by it.")
        box.dataframe(
            {"head": every} | {short(title): getattr(table, key).flatten().tolist() for title, key in SORTS.items() if key},
            height=328, hide_index=True,
            column_config={short(title): st.column_config.NumberColumn(format="%.2f", width=76) for title in SORTS},
        )  # fmt: skip
with ranks:
    known = [p for p in best if not math.isnan(float(column.flatten()[p]))]
    if known:
        shares_of = SORTS[ranking_by] in heads.SHARES
        unit = "mean share of the weight" if shares_of else "tokens" if ranking_by == "distance" else "nats"
        lab.draw(Stage(
            "head_explorer_ranking", f"The first {len(known)} by {ranking_by}",
            compare.ranking([label(p) for p in known], [float(column.flatten()[p]) for p in known], lab.look, title=unit,
                            chance=table.alike[SORTS[ranking_by]], limit=1.0 if shares_of else None,
                            pick=known.index(opened) if opened in known else None),
            alt=f"{label(known[0])} leads with {float(column.flatten()[known[0]]):.2f}; looking everywhere alike gives {table.alike[SORTS[ranking_by]]:.2f}.",
            shape=f"{ranking_by} [head {len(every)}]", made_by="Dashed: looking everywhere alike. The open head is drawn in ink.",
        ))  # fmt: skip
    else:
        st.info("This sentence repeats no token, so there is nothing to measure. Write a word twice.")

side, main = lab.section(
    "Switch heads off",
    key="off",
    text="A head that is off adds zeros. What the model computes without it says what it was for.",
)
with side:
    can = getattr(model, "can_switch_heads", True)
    chosen_off = c.several("off", "Heads that are off", every, disabled=not can, on_change=parts.everything)
    open_too = c.switch("open_off", f"The open head ({label(opened)}) as well", True, disabled=not can)
gone = sorted({every.index(h) for h in chosen_off} | ({opened} if open_too else set())) if can else []
off = frozenset(divmod(p, model.n_head) for p in gone)
without = compute.trace(name, compute.read(name, sentence, MAX_TOKENS), off)
names_off = (
    ", ".join(label(p) for p in gone[:6]) + (f" and {len(gone) - 6} more" if len(gone) > 6 else "")
    if gone
    else "no head"
)
with main:
    if causal and trace.logits is not None and without.logits is not None:
        p, p_off = (t.logits[-1].softmax(-1) for t in (trace, without))
        moved = float(next_token_change(trace.logits[-1:], without.logits[-1:])[0])
        union = list(dict.fromkeys([*p.topk(6).indices.tolist(), *p_off.topk(6).indices.tolist()]))[:10]
        lab.draw(Stage(
            "head_explorer_without", "The next token, with and without",
            compare.before_after([text.visible(model.decode([t])) for t in union], p[union].tolist(), p_off[union].tolist(), lab.look,
                                 title="probability", words=("all heads", f"without {names_off}" if gone else "nothing off")),
            alt=f"Next-token probabilities with all heads and without {names_off}; divergence {moved:.3f} nats.",
            shape=f"probability [token {len(p)}]",
            made_by=f"Kullback–Leibler divergence {moved:.4f} nats; {text.code(model.decode([int(p.argmax())]))} goes from {p.max():.3f} to {p_off[p.argmax()]:.3f}.",
        ))  # fmt: skip
        effect, effect_words = moved, f"Without {names_off} the next-token distribution moves by {moved:.3f} nats."
    else:
        shift = 1 - F.cosine_similarity(trace.final, without.final, dim=-1)
        whole = float(1 - F.cosine_similarity(trace.final.mean(0), without.final.mean(0), dim=-1))
        far = int(shift.argmax())
        kept = shift.topk(min(n, 24)).indices.sort().values.tolist()
        lab.draw(Stage(
            "head_explorer_without", f"How far each embedding turns without {names_off}",
            charts.bars([shown[j] for j in kept], [max(0.0, float(shift[j])) for j in kept], lab.look,
                        title="1 − cosine", role="cell", height=300),
            alt=f"Cosine distance of each token's final embedding; the largest, {shift[far]:.4f}, is of {shown[far]}.",
            shape=f"1 − cos [token {n}]",
            made_by=f"{word(far)} turns most, by {max(0.0, float(shift[far])):.4f}; the sentence's mean embedding by {max(0.0, whole):.5f}.",
        ))  # fmt: skip

few, many = len(every) // 4, len(every) // 2
lab.predict(Prediction(
    f"How many of the {len(every)} heads put more than half of their weight on the first token, “{shown[0]}”?",
    (f"fewer than {few}", f"{few} to {many}", f"more than {many}"), 0 if resting < few else 1 if resting <= many else 2,
    f"It is {resting}. A softmax must put its weight somewhere; a head with nothing to find rests on a token that says little.",
))  # fmt: skip

lab.prove(*model_proofs.proofs(name, encoding))


def recipe() -> Recipe:
    """The open head as code, from its Q, K and V; from its scores where an architecture does more to them than scale
    and mask; and where it shows weights alone, those."""
    one = trace.layers[layer].attention.head(head)
    dtype = format_of(one, before(n).to(weights.device) if causal else None)
    if dtype:
        inputs = {name: getattr(one, name) for name in ("q", "k", "v")}
        rounded = ", ".join(inputs if dtype == torch.float32 else (f"{name}.to({dtype})" for name in inputs))
        run = f"weights = attend({rounded}, {'causal(len(TOKENS))' if causal else 'None'}).weights.float()"
        uses = (attend, *([before] if causal else []))
    elif one.masked is not None and float((one.masked.softmax(-1) - weights).abs().max()) <= 1e-6:
        inputs, run, uses = {"masked": one.masked}, "weights = masked.softmax(-1)", ()
    else:
        inputs, run, uses = {"weights": weights}, "", ()
    return Recipe(
        {"weights": "head_explorer_map.weights"}, uses=uses, settings={"TOKENS": encoding.tokens}, inputs=inputs, run=run,
        shows='show("weights [query × key]", weights, TOKENS, TOKENS)',
        note=f"Layer {layer}, head {head} of {model.title}. {model.provenance}",
    )  # fmt: skip


lab.recipe(recipe)
