"""Why several heads? One projection cut into slices, every slice attending for itself, joined and mixed again."""

import math

import streamlit as st
import torch
from torch import Tensor

from app import compute, text
from app.controls import Controls
from app.figures import charts, heatmap, slices
from app.frame import Experiment, Lab, Prediction, Proof, Stage
from app.recipe import Recipe
from models import bert, measures, transformer
from models.head_effect import (
    FreshLayer,
    Layer,
    TrainedLayer,
    by_pytorch,
    contributions,
    fresh_layer,
    next_token_change,
    overlap,
    recut,
    relative_change,
)  # fmt: skip
from models.masks import causal
from models.multihead import (
    MultiHeadTrace,
    MultiHeadWeights,
    attend_in_heads,
    divisors,
    join_heads,
    multi_head,
    split_heads,
)  # fmt: skip
from models.trace import ModelTrace

MAX_TOKENS = 16
MAX_HEADS = 64
OWN, FRESH_HEADS = 0, 8
WIDTHS = (16, 32, 64, 128, 256)
SOURCES = {"minilm": "MiniLM-L6", "small-gpt": "Small GPT", "random": "Random"}
MEASURES = ("previous token", "first token", "same token", "entropy ÷ ln N", "distance ÷ (N−1)")
EXPERIMENTS = (
    Experiment("A later layer", {"layer": 4, "head": 0}, "Deeper heads look further, and many rest on the first token."),
    Experiment("One wide head", {"heads": 1, "head": 0}, "Nothing is cut: the same numbers give one map, so every token makes one choice."),
    Experiment("64 thin heads", {"heads": 64, "head": 0}, "Sixty-four narrow slices: many opinions, each from few numbers."),
    Experiment("Switch a head off", {"off": [2]}, "The greyed head adds zeros: its columns of the joined tensor go blank."),
    Experiment("A causal model", {"source": "small-gpt", "layer": 1, "head": 0}, "No head may look ahead; each fills its triangle in its own way."),
    Experiment("Nothing learned", {"source": "random", "head": 0}, "Random slices differ too, but none has a job."),
)  # fmt: skip


def pick_layer(c: Controls) -> tuple[Layer, int, str]:
    """The layer, its number and its maker."""
    fresh = source == "random"
    left, right = c.columns(2)
    with left:
        layer = c.slider("layer", "Layer", 0, model.n_layer - 1, 0, disabled=fresh)
        d_model = c.steps("d_model", "Width D", WIDTHS, 64, disabled=not fresh)
    with right:
        own = FRESH_HEADS if fresh else model.n_head
        options = [OWN, *(h for h in divisors(d_model if fresh else model.d_model) if h <= MAX_HEADS)]
        cut = c.steps("heads", f"Heads H (own: {own})", options, OWN, format_func=lambda h: str(h or "own"))
        seed = c.seed(disabled=not fresh)
    n_head = cut or own
    if fresh:
        made_by = f"Seeded random weights, seed {seed}: nothing learned. Tensors {compute.device_note()}."
        return FreshLayer(encoding.ids, d_model, n_head, seed), layer, made_by
    cut_note = (
        "" if n_head == own else f" Trained with {own} heads and cut here into {n_head}: nobody trained it to work so."
    )
    made_by = f"Layer {layer} of {model.title}.{cut_note} {model.provenance} Tensors {compute.device_note()}."
    return TrainedLayer(reader, encoding, layer, n_head), layer, made_by


def layer_parts(chosen: Layer) -> tuple[Tensor, MultiHeadWeights, Tensor | None]:
    """The layer's input [token, d_model], its weights, and what a token may look at."""
    if isinstance(chosen, FreshLayer):
        return *compute.run(fresh_layer, chosen), None
    model, number = compute.model(chosen.model), chosen.number
    x = compute.trace(chosen.model, chosen.encoding).layers[number].normed_in
    assert x is not None
    bidirectional = model.kind == "encoder"
    weights = bert.layer_weights(model, number) if bidirectional else transformer.layer_weights(model.model, number)
    allowed = None if bidirectional else causal(len(x)).to(x.device)
    return x, recut(weights, chosen.n_head), allowed


@torch.no_grad()
def attended_layer(chosen: Layer) -> MultiHeadTrace:
    """What the layer does with its text."""
    return multi_head(*layer_parts(chosen))


@torch.no_grad()
def change_without_heads(chosen: Layer, heads: tuple[int, ...]) -> Tensor:
    """How far each token's output [token] moves when these heads are switched off, as a share of its length."""
    before = compute.run(attended_layer, chosen).output
    return relative_change(before, multi_head(*layer_parts(chosen), heads).output)


def layer_measures(chosen: Layer, ids: tuple[int, ...]) -> measures.HeadMeasures:
    """Of the layer's heads."""
    return measures.measure(compute.run(attended_layer, chosen).attention.weights, ids)


def even_measures(ids: tuple[int, ...], is_causal: bool) -> measures.HeadMeasures:
    """Of a head that looks everywhere alike."""
    return measures.measure(measures.uniform_weights(len(ids), is_causal), ids)


def pick_heads(c: Controls) -> tuple[int, list[int]]:
    """Which head is opened and which are switched off."""
    head = c.slider("head", "Head to open", 0, weights.n_head - 1, min(2, weights.n_head - 1))
    off = c.several("off", "Heads to switch off", list(range(weights.n_head)), placeholder="none")
    return head, sorted(off)


def clicked(chart: str, field: str) -> None:
    """A slice or a tile was clicked: its head goes to the picker."""
    points = st.session_state[chart].selection.points
    if points:
        value = points[0][field]
        st.session_state["multi_head_head"] = int(value[0] if isinstance(value, (list, tuple)) else value)


def word(at: int) -> str:
    return text.code(encoding.tokens[at])


def array(x: Tensor):
    return x.detach().cpu().numpy()


def encoder_loss(full: ModelTrace, lost: ModelTrace) -> None:
    """What the loss of the heads does to the encoder's product: its final vectors, and their mean."""
    moved = relative_change(full.final, lost.final).cpu()
    lab.draw(Stage(
        "multi_head_lost", f"What is left of it after the last layer of {model.title}", charts.bars(
            names, moved.tolist(), lab.look, title="‖change‖ ÷ ‖final‖", role="hidden"),
        shape=f"final [token {n} × {model.d_model}]", alt=f"The final vectors move by {moved.min():.0%} to {moved.max():.0%}.",
    ))  # fmt: skip
    cosine = torch.nn.functional.cosine_similarity(full.final.mean(0), lost.final.mean(0), dim=0)
    st.markdown(
        f"The sentence's vector, the mean of all tokens and what this model was trained for, keeps a cosine of **{cosine:.4f}** "
        f"with what it was. {word(int(moved.argmax()))} is hit hardest: its final vector moves by {moved.max():.0%} of its length."
    )


def decoder_loss(full: ModelTrace, lost: ModelTrace) -> None:
    """What the loss of the heads does to the predictions: after every token, and the likeliest after the last."""
    assert full.logits is not None
    assert lost.logits is not None
    moved = next_token_change(full.logits, lost.logits).cpu()
    before, after = full.logits[-1].softmax(-1), lost.logits[-1].softmax(-1)
    likely = before.topk(8).indices.tolist()
    left, right = st.columns(2)
    with left:
        lab.draw(Stage(
            "multi_head_lost", "How the prediction after each token changes", charts.bars(
                names, moved.tolist(), lab.look, title="KL divergence, nats", role="hidden"),
            shape=f"KL [token {n}]", alt=f"The predictions change by {moved.min():.2g} to {moved.max():.2g} nats.",
        ))  # fmt: skip
    with right:
        lab.draw(Stage(
            "multi_head_next", "What likely next tokens gain or lose", charts.bars(
                [f"{text.visible(model.decode([t]), 12)} {before[t]:.2f}" for t in likely], (after - before)[likely].tolist(),
                lab.look, title="change of probability", signed=True, sideways=True),
            shape="Δp [token 8]", alt=f"Changes of the eight likeliest next tokens: {(after - before)[likely].abs().max():.3f} at most.",
        ))  # fmt: skip
    first, second = (text.code(model.decode([int(p.argmax())])) for p in (before, after))
    st.markdown(
        f"The likeliest next token was {first} ({before.max():.2f}) and is {second} ({after.max():.2f}). "
        f"The prediction after {word(int(moved.argmax()))} changes most, by {moved.max():.3f} nats."
    )


lab = Lab("multi-head")
with lab.controls(EXPERIMENTS) as c:
    sentence = c.sentence()
    source = c.choice("source", "Weights", list(SOURCES), "minilm", show=SOURCES.__getitem__)
    reader = "minilm" if source == "random" else source
    model = compute.model(reader)
    encoding = compute.read(reader, sentence, MAX_TOKENS)
    labels, n = text.labels(encoding.tokens, 12), len(encoding.tokens)
    names = [text.visible(token, 12) for token in encoding.tokens]  # for Altair, which reads no markup
    chosen, layer, made_by = pick_layer(c)
    x, weights, allowed = layer_parts(chosen)
    head, off = pick_heads(c)

n_head, d_model = weights.n_head, weights.d_model
d_head = d_model // n_head
whole = compute.run(attended_layer, chosen)
maps = whole.attention.weights
trained_cut = source != "random" and n_head == model.n_head
future = None if allowed is None else array(~allowed)
heads_word = f"{n_head} head{'s' * (n_head != 1)}"

q, k, v, a = (lab.tint(role) for role in ("query", "key", "value", "weight"))
softmax, each = lab.tint("weight", r"\text{softmax}"), r"\text{head}_h"
lab.formula(
    rf"\text{{MultiHead}}(X) = [\text{{head}}_1 \dots \text{{head}}_H]\,W_O, \quad {each} = "
    rf"{softmax}\!\left(\frac{{{q}_h {k}_h^\top}}{{\sqrt{{d_h}}}}\right){v}_h",
    f"$N = {n}$, $D = {d_model}$, $H = {n_head}$, $d_h = {d_model}/{n_head} = {d_head}$",
)

thirds = [slices.Block(name, array(part), role, n_head) for name, part, role in
          zip("QKV", whole.qkv.chunk(3, -1), ("query", "key", "value"), strict=True)]  # fmt: skip
lab.stage(Stage(
    "multi_head_split", "One tensor, cut into slices", slices.slices(thirds, labels, lab.look, pick=head, off=off),
    shape=f"qkv [token {n} × {3 * d_model}] → [head {n_head} × token {n} × {3 * d_head}]",
    alt=f"Q, K and V of {n} tokens side by side, {3 * d_model} columns cut into {n_head} slices each; head {head} is framed. Values from {whole.qkv.min():.2f} to {whole.qkv.max():.2f}.",
    on_select=lambda: clicked("multi_head_split", "customdata"), tensors={"qkv": array(whole.qkv)},
))  # fmt: skip
columns = next(c for c in (4, 8) if c * c >= n_head or c == 8) if n_head > 3 else n_head
lab.stage(
    Stage(
        "multi_head_maps", "Every head's map", heatmap.tiled(
            array(maps), lab.look, [f"head {h}" for h in range(n_head)], columns=columns, pick=head, off=off,
            names=[str(h) for h in range(n_head)] if n_head <= 16 else (), height=360, mark=60 if n_head <= 16 else 30),
        shape=f"[head {n_head}, query, key]",
        alt=f"The attention maps of all {n_head} heads, tiled; head {head} is framed, its weights reach {maps[head].max():.2f}.",
        on_select=lambda: clicked("multi_head_maps", "point_index"), tensors={"weights": array(maps)},
    ),
    Stage(
        "multi_head_opened", f"Head {head}, opened", heatmap.heatmap(
            array(maps[head]), labels, labels, lab.look, masked=future, bar=False, numbers=False, tilt=True, height=360),
        shape=f"[query {n} × key {n}]", alt=f"Attention of head {head}: rows are queries, columns keys; the largest weight is {maps[head].max():.2f}.",
    ),
    made_by=f"{made_by} Click a slice or a map to open that head.",
)  # fmt: skip

measured = compute.run(layer_measures, chosen, encoding.ids)
even = compute.run(even_measures, encoding.ids, allowed is not None)


def shares(m: measures.HeadMeasures) -> Tensor:
    """The measures [measure, head], each as a share of the most it could be."""
    return torch.stack([
        m.previous_token, m.first_token, m.same_token, m.entropy / math.log(max(n, 2)), m.distance / max(n - 1, 1),
    ]).cpu()  # fmt: skip


table, flat = shares(measured), shares(even)[:, 0]
excess = (table - flat[:, None])[:3].nan_to_num(-1.0)
job, job_head = divmod(int(excess.argmax()), n_head)
change = compute.run(change_without_heads, chosen, tuple(off or [head]))
gone = "heads " + ", ".join(map(str, off)) if len(off) > 1 else f"head {(off or [head])[0]}"
lab.notice(
    f"The sharpest job among the {heads_word}: head {job_head} puts **{table[job, job_head]:.2f}** of its weight on the "
    f"{MEASURES[job]}, where looking everywhere alike would put {flat[job]:.2f}."
    if n > 1
    else "",
    f"Head {head} spreads a row over about {math.exp(float(measured.entropy[head])):.1f} of {n} tokens.",
    f"Without {gone} the layer's output moves by {change.mean():.0%} of its length on average.",
    f"Your text has {encoding.truncated} more tokens than the {n} drawn." if encoding.truncated else "",
)

_, shapes = lab.section("Cut, attend, join, mix", wide=True)
with shapes:
    rows = [
        (r"$X$", "the tokens' vectors", "N × D", tuple(whole.x.shape)),
        (rf"${q}{k}{v} = X\,W_{{QKV}}$", "one projection for all heads", "N × 3D", tuple(whole.qkv.shape)),
        ("cut", "each head gets its columns of Q, K and V", "H × N × 3·d_head", tuple(whole.heads.shape)),
        (rf"${q}_h, {k}_h, {v}_h$", f"what head {head} owns", "N × d_head", tuple(whole.attention.q[head].shape)),
        (rf"${a}_h$", "each head's own attention", "H × N × N", tuple(maps.shape)),
        (rf"${a}_h {v}_h$", f"what head {head} gives", "N × d_head", tuple(whole.attention.output[head].shape)),
        ("join", "the heads side by side again", "N × H·d_head = N × D", tuple(whole.joined.shape)),
        (r"$[\dots]\,W_O$", "the output projection mixes the heads", "N × D", tuple(whole.output.shape)),
    ]  # fmt: skip
    body = "\n".join(f"| {s} | {what} | {name} | {' × '.join(map(str, here))} |" for s, what, name, here in rows)
    st.markdown(f"| step | what happens | shape by name | here |\n|---|---|---|---|\n{body}")
    with torch.no_grad():
        now = multi_head(x, weights, allowed, off) if off else whole
        parts = contributions(whole, weights)
    joined = slices.Block("heads side by side", array(now.joined), "value", n_head)
    lab.draw(Stage(
        "multi_head_joined", "Joined again, before the output projection", slices.slices([joined], labels, lab.look, pick=head, off=off),
        shape=f"joined [token {n} × head·feature {d_model}]",
        alt=f"The outputs of {heads_word} side by side, from {now.joined.min():.2f} to {now.joined.max():.2f}; {len(off)} of them are zeros.", tensors={"joined": array(now.joined)},
        made_by=f"The output projection makes the layer's output a sum of {n_head} contributions and a bias; "
        f"added up one by one they differ from it by {float((parts.sum(0) + weights.b_out - whole.output).abs().max()):.0e}.",
    ))  # fmt: skip

_, looks = lab.section("What does each head look at?", "Every row is a share of the most it could be. The last column is a head "
                       "that looks everywhere alike: only what differs from it says something.", wide=True)  # fmt: skip
with looks:
    both = torch.cat([table, flat[:, None]], dim=1)
    lab.draw(Stage(
        "multi_head_measures", "Jobs of the heads", heatmap.heatmap(
            array(both), MEASURES, [*map(str, range(n_head)), "alike"], lab.look, numbers=n_head <= 16, bar=False, height=270,
            pick=None, column_title="head", row_title="", value_name="share"),
        shape=f"measures [{len(MEASURES)} × head {n_head} + 1]",
        alt=f"Five measures of {heads_word}. Head {job_head} has {table[job, job_head]:.2f} on the {MEASURES[job]}.",
        made_by="Means over the queries of this sentence; the first token is left out of the first three, entropy in nats, distance in tokens.",
    ))  # fmt: skip

side, alike = lab.section("How alike are the heads?")
common = overlap(maps).detach().cpu()
pairs = common.clone().fill_diagonal_(-1.0)
near, far = divmod(int(pairs.argmax()), n_head), divmod(int(common.argmin()), n_head)
with side:
    st.markdown(
        "How much of their attention two heads put on the same cells: 1 means the same map, 0 that they never meet."
    )
    if n_head > 1:
        st.markdown(
            f"Most alike: heads {near[0]} and {near[1]}, **{common[near]:.2f}**. Least alike: heads {far[0]} and {far[1]}, "
            f"**{common[far]:.2f}**. The average pair shares {(common.sum() - n_head) / (n_head * (n_head - 1)):.2f}."
        )
    else:
        st.markdown("One head has nobody to be like.")
with alike:
    numbered = [str(h) for h in range(n_head)]
    lab.draw(Stage(
        "multi_head_alike", "Shared attention of two heads", heatmap.heatmap(
            array(common), numbered, numbered, lab.look, row_title="head", column_title="head", value_name="shared", square=True,
            numbers=n_head <= 8, height=440),
        shape=f"overlap [head {n_head} × head {n_head}]",
        alt=f"Share of attention that two heads have in common, for {heads_word}: from {common.min():.2f} to {common.max():.2f}.",
        made_by="Σ min(a, b) over keys, averaged over queries: 1 minus the total variation distance.",
    ))  # fmt: skip

_, without = lab.section(f"Without {gone}", "Switching a head off puts zeros where its slice of the joined tensor was. "
                         "Choose others beside the main figure.", key="without", wide=True)  # fmt: skip
worth = (
    torch.stack([(part.norm(dim=-1) / whole.output.norm(dim=-1).clamp_min(1e-12)).mean() for part in parts])
    .detach()
    .cpu()
)
with without:
    left, right = st.columns(2)
    with left:
        lab.draw(Stage(
            "multi_head_change", "How far each token's output moves", charts.bars(
                names, change.tolist(), lab.look, title="‖change‖ ÷ ‖output‖", role="weight"),
            shape=f"change [token {n}]", alt=f"Without {gone} the outputs move by {change.min():.0%} to {change.max():.0%}.",
        ))  # fmt: skip
    with right:
        lab.draw(Stage(
            "multi_head_worth", "Each head alone switched off", charts.bars(
                [str(h) for h in range(n_head)], worth.tolist(), lab.look, title="mean change", role="weight", name_title="head"),
            shape=f"mean change [head {n_head}]",
            alt=f"The mean change of the layer's output by head; head {int(worth.argmax())} has the largest, {worth.max():.0%}.",
        ))  # fmt: skip
    if trained_cut:
        full = compute.trace(reader, encoding)
        lost = compute.trace(reader, encoding, frozenset((layer, h) for h in off or [head]))
        (encoder_loss if full.logits is None else decoder_loss)(full, lost)
    else:
        st.caption(
            "What a whole model loses can be asked of a trained layer with its own number of heads; this layer stands alone."
        )

share = float(worth[head])
fair, root = 1 / n_head, n_head**-0.5
lab.predict(Prediction(
    f"One of {n_head} heads is switched off: head {head}. How far does this layer's output move, as a share of its length?",
    (f"less than 1/{n_head} = {fair:.2f}", f"between {fair:.2f} and {2 * root:.2f}", f"more than {2 * root:.2f}")
    if n_head > 1 else ("not at all", "by half", "by nearly all of it"),
    (0 if share < fair else 1 if share <= 2 * root else 2) if n_head > 1 else (0 if share < 0.25 else 1 if share < 0.75 else 2),
    f"It moves by {share:.2f} of its length, averaged over the tokens. Heads push in different directions, so {n_head} equal "
    f"ones would each be worth about 1/√{n_head} = {root:.2f}, more than their number suggests.",
))  # fmt: skip

theirs, their_maps = by_pytorch(x, weights, allowed)
cut_again = join_heads(torch.cat([split_heads(part, n_head) for part in whole.qkv.chunk(3, -1)]))
lab.prove(
    Proof(
        "The layer's output",
        "torch.nn.MultiheadAttention",
        float((whole.output - theirs).abs().max()),
        1e-4,
        (multi_head,),
    ),
    Proof(
        "All maps",
        "its weights, average_attn_weights=False",
        float((maps - their_maps).abs().max()),
        1e-5,
        (split_heads,),
    ),
    Proof("Cut, then joined", "the uncut tensor", float((cut_again - whole.qkv).abs().max()), 0.0, (join_heads, recut)),
)


def recipe() -> Recipe:
    """All maps as code: a fresh layer drawn again from its seed, or the trained layer's Q, K and V as numbers."""
    fresh = source == "random"
    drawn = {"IDS": encoding.ids, "D_MODEL": d_model, "SEED": c.values["seed"]} if fresh else {}
    attending = """
x, layer = fresh_layer(FreshLayer(IDS, D_MODEL, N_HEAD, SEED))
trace = multi_head(x, layer, allowed, HEADS_OFF)
weights, joined = trace.attention.weights, trace.joined
""" if fresh else """
attention, joined = attend_in_heads(qkv, N_HEAD, allowed, HEADS_OFF)
weights = attention.weights
"""  # fmt: skip
    return Recipe(
        {"weights": "multi_head_maps.weights", "joined": "multi_head_joined.joined"},
        uses=((fresh_layer, FreshLayer, multi_head) if fresh else (attend_in_heads,)) + ((causal,) if allowed is not None else ()),
        settings={"TOKENS": encoding.tokens, **drawn, "N_HEAD": n_head, "HEADS_OFF": off, "HEAD": head},
        inputs={} if fresh else {"qkv": whole.qkv},
        run=f"allowed = {'None' if allowed is None else 'causal(len(TOKENS))'}{attending}",
        shows='show(f"weights of head {HEAD} of {N_HEAD} [query × key]", weights[HEAD], TOKENS, TOKENS)',
        note=made_by,
    )  # fmt: skip


lab.recipe(recipe)
