"""Why may a token not look ahead? The causal mask, three ways to break it, what leaks then, and the masks beside it."""

import math

import numpy as np
import streamlit as st
import torch
from torch import Tensor

from app import compute, text
from app.controls import Controls
from app.figures import charts, heatmap, masking
from app.frame import Experiment, Lab, Prediction, Proof, Stage
from app.recipe import Recipe
from models import bert
from models.attention import AttentionTrace, attend
from models.continuation import Continuation, carry_on
from models.errors import CheckpointError
from models.head_effect import relative_change
from models.leak import FillReport, exchange, fill_report, gpt_leak, head_leak
from models.masks import MaskConfig, causal, future_weight, mask_with, padding, plain
from models.multihead import multi_head
from models.one_head import fresh_head
from models.sampling import SamplingConfig
from models.trace import Encoding

MAX_TOKENS, MAX_PROMPT, MAX_PADDED, WRITTEN = 14, 12, 13, 16
D_K = 32
SOURCES = {"small-gpt": "Small GPT", "minilm": "MiniLM-L6", "random": "Random"}
MASKS = {
    "right": "−∞ before the softmax",
    "none": "no mask",
    "after": "0 after the softmax",
    "finite": "a number, not −∞",
}
LOWER = 100
FILLS = (-5, -10, -20, -100, -10_000, -1_000_000_000)
SHIFTS = (0, -20, -50, -100, -200)
EXPERIMENTS = (
    Experiment("The mask", {}, "Hatched cells are −∞ before the softmax and exactly 0 after it."),
    Experiment("No mask", {"mask": "none"}, "Every token sees the words it should be guessing."),
    Experiment("0 after the softmax", {"mask": "after"}, "The triangle looks right, but the rows no longer add up to 1 and early tokens fade."),
    Experiment("−5 for −∞", {"mask": "finite", "fill": -5}, "A small number is not −∞: look right of the stairs."),
    Experiment("−100, low scores", {"mask": "finite", "fill": -100, "shift": -200},
               "All scores moved down by 200, which a softmax cannot see. Now −100 is the largest."),
    Experiment("An encoder blindfolded", {"source": "minilm"}, "MiniLM learned to look both ways; here one of its heads has to obey."),
    Experiment("Nothing learned", {"source": "random"}, "The mask needs no training: the same zeros with random weights."),
)  # fmt: skip


def pick_head(c: Controls) -> tuple[AttentionTrace, int, int, str]:
    """The head's Q, K, V on the reader's sentence, its layer and number, and what made it."""
    fresh = source == "random"
    left, right = c.columns(2)
    with left:
        layer = c.slider("layer", "Layer", 0, model.n_layer - 1, 0, disabled=fresh)
    with right:
        looks_back = 2 if source == "small-gpt" else 1  # of the small GPT, the head that looks at the token before
        number = c.slider("head", "Head", 0, model.n_head - 1, looks_back, disabled=fresh)
    seed = c.seed(label="Seed (random weights, sampling)")
    if fresh:
        made_by = f"Seeded random projections, seed {seed}: nothing learned. Tensors {compute.device_note()}."
        return compute.run(fresh_head, encoding.ids, D_K, seed), layer, number, made_by
    head = compute.trace(reader, encoding).layers[layer].attention.head(number)
    return (
        head,
        layer,
        number,
        f"Layer {layer}, head {number} of {model.title}. {model.provenance} Tensors {compute.device_note()}.",
    )


def pick_mask(c: Controls) -> MaskConfig:
    """How the mask is applied."""
    kind = c.choice("mask", "The mask", list(MASKS), "right", show=MASKS.__getitem__)
    left, right = c.columns(2)
    with left:
        fill = c.steps("fill", "Number for −∞", FILLS, -5, disabled=kind != "finite")
    with right:
        shift = c.steps("shift", "Shift all scores by", SHIFTS, 0)
    place = kind if kind in ("none", "after") else "before"
    return MaskConfig(place, float(fill) if kind == "finite" else -math.inf, float(shift))


def causal_mask_gpt_leak(ids: tuple[int, ...], token: int, config: MaskConfig) -> Tensor:
    """``gpt_leak`` of the shipped small GPT, for the cache."""
    return gpt_leak(compute.model("small-gpt").model, ids, token, config).cpu()


def causal_mask_carry_on(ids: tuple[int, ...], config: SamplingConfig) -> Continuation:
    """``carry_on`` of the shipped small GPT, for the cache."""
    return carry_on(compute.model("small-gpt"), ids, config, WRITTEN)


def one_token(name: str, word: str) -> int:
    """The first token of a word in the middle of a text."""
    return (
        compute.model(name).encode(word).ids[1]
        if name == "minilm"
        else compute.model(name).encode(f" {word.strip()}").ids[0]
    )


def exchanged(at: int) -> tuple[tuple[int, ...], Encoding, AttentionTrace]:
    """The text with another token at one place, and this head on it."""
    ids = exchange(encoding.ids, at, token)
    changed = Encoding(ids, (*encoding.tokens[:at], model.decode([ids[at]]), *encoding.tokens[at + 1 :]))
    if source == "random":  # the exchanged token's q, k and v are drawn anew
        return ids, changed, compute.run(fresh_head, encoding.ids, D_K, 10_000 + at)
    return ids, changed, compute.trace(reader, changed).layers[layer].attention.head(number)


def array(x: Tensor):
    return x.detach().cpu().numpy()


def to_within(difference: float) -> str:
    return f"to within {difference:.0e}" if difference else "to the last bit"


def code_of(at: int) -> str:
    return text.code(encoding.tokens[at])


lab = Lab("causal-mask")
with lab.controls(EXPERIMENTS) as c:
    sentence = c.sentence()
    source = c.choice("source", "Weights", list(SOURCES), "small-gpt", show=SOURCES.__getitem__)
    reader = "small-gpt" if source == "small-gpt" else "minilm"
    model = compute.model(reader)
    encoding = compute.read(reader, sentence, MAX_TOKENS)
    labels, n = text.labels(encoding.tokens, 12), len(encoding.tokens)
    head, layer, number, made_by = pick_head(c)
    config = pick_mask(c)

allowed = causal(n).to(head.weights.device)
with torch.no_grad():
    now = mask_with(config, head.q, head.k, head.v, allowed)
    theirs, reference = plain(config, head.q, head.k, head.v)
ahead, sums = future_weight(now.weights), now.weights.sum(-1)
right_way = config.place == "before" and config.fill == -math.inf

q, k, v, a = (lab.tint(role) for role in ("query", "key", "value", "weight"))
softmax, none = lab.tint("weight", r"\text{softmax}"), r"-\infty"
lab.formula(
    rf"{a} = {softmax}\!\left(\frac{{{q}\,{k}^\top}}{{\sqrt{{d_k}}}} + M\right), \quad "
    rf"M_{{ij}} = 0 \text{{ if }} j \le i, \text{{ else }} {none}",
    f"$N = {n}$ tokens, {n * (n + 1) // 2} cells allowed, {n * (n - 1) // 2} forbidden",
)
lab.stage(Stage(
    "causal_mask_main", "Before and after the mask", masking.panels(
        array(now.scaled), array(now.masked), array(now.weights), array(~allowed), labels, lab.look,
        limit=heatmap.nice_limit(array(now.scaled)), hatched=(right_way, right_way or config.place == "after"),
        titles=("scores", "masked" if config.place == "before" else "not masked", "softmax → 0" if config.place == "after" else "softmax")),
    shape=f"scores, masked, weights [query {n} × key {n}]",
    alt=f"Scores, masked scores and weights of {n} tokens. Later tokens hold {ahead.mean():.3f} of a row on average; "
        f"rows add up to {sums.min():.2f} at least.",
    tensors={"scaled": array(now.scaled), "masked": array(now.masked), "weights": array(now.weights)},
    made_by=f"{made_by} Scores from −{heatmap.nice_limit(array(now.scaled)):g} to {heatmap.nice_limit(array(now.scaled)):g}, weights from 0 to 1.",
))  # fmt: skip

worst = int(ahead.argmax())
middle = n // 2
if config.place == "after":
    state = (f"The forbidden weights are 0, but they were taken away after the shares were dealt: {code_of(0)} keeps "
             f"**{sums[0]:.2f}** of its attention, and the rows add up to {sums.mean():.2f} on average.")  # fmt: skip
elif float(ahead.max()) == 0:
    state = (f"{n * (n - 1) // 2} of {n * n} cells are forbidden, and their weights add up to exactly **0**. {code_of(0)} has only "
             f"itself to look at; {code_of(middle)} deals its attention out over {middle + 1} of {n} tokens.")  # fmt: skip
else:
    state = (f"**{ahead.mean():.1%}** of the attention lies on later tokens. {code_of(worst)} looks ahead most, with "
             f"{ahead[worst]:.2f} of its row.")  # fmt: skip
lab.notice(
    state,
    f"Your text has {encoding.truncated} more tokens than the {n} drawn." if encoding.truncated else "",
)

side, main = lab.section("The leak detector", key="leak")
with side:
    st.markdown("Change one token and see which outputs move. With the mask, nothing before it may know.")
    place = c.slider("changed", "Change token number", 0, n - 1, n // 2)
    word = c.text("word", "into", "dog", max_chars=40)
    token = one_token(reader, word)
    swapped, other_encoding, other = exchanged(place)
    st.markdown(f"{code_of(place)} becomes {text.code(model.decode([swapped[place]]))}.")
asked_at = place or min(1, n - 1)  # the first token has nothing before it that could move
other_there = other if asked_at == place else exchanged(asked_at)[2]
with torch.no_grad():
    moved = head_leak(config, head, other, place).cpu()
    moved_right = head_leak(MaskConfig(), head, other_there, asked_at).cpu()
    moved_after = head_leak(MaskConfig("after"), head, other_there, asked_at).cpu()
whole: Tensor | None = None
if source == "small-gpt":
    table = compute.run(causal_mask_gpt_leak, encoding.ids, swapped[place], config)
    whole, unit, what = table[place], "largest |Δ logit|", f"{model.title}'s logits"
elif source == "minilm":
    whole = relative_change(compute.trace(reader, encoding).final, compute.trace(reader, other_encoding).final).cpu()
    unit, what = "‖change‖ ÷ ‖final‖", f"{model.title}'s final vectors, unmasked"
names = [("▸ " if at == place else "") + text.visible(t, 12) for at, t in enumerate(encoding.tokens)]


def zeros(moves: Tensor) -> str:
    """How many of the outputs before the change did not move, exactly."""
    still = int((moves[:place] == 0).sum())
    if place == 0:
        return "Nothing stands before the first token."
    return (f"Of {place} earlier outputs {still if still < place else 'all'} moved by exactly 0"
            + ("." if still == place else f"; the largest move is {moves[:place].max():.2g}."))  # fmt: skip


with main:
    left, right = st.columns(2)
    with left:
        lab.draw(Stage(
            "causal_mask_head_leak", "This head's outputs", charts.bars(names, moved.tolist(), lab.look, title="‖change‖", role="hidden"),
            shape=f"change [token {n}]", alt=f"Change of this head's outputs: {zeros(moved)}", made_by=zeros(moved),
        ))  # fmt: skip
    with right:
        if whole is None:
            st.markdown("**The whole model**")
            st.caption("One random head is no model. Choose trained weights to follow the change through all layers.")
        else:
            lab.draw(Stage(
                "causal_mask_model_leak", what, charts.bars(names, whole.tolist(), lab.look, title=unit, role="hidden"),
                shape=f"change [token {n}]", alt=f"Change of the model's outputs: {zeros(whole)}", made_by=zeros(whole),
            ))  # fmt: skip
    if source == "small-gpt":
        upper = int((table.tril(-1) > 0).sum())
        lab.draw(Stage(
            "causal_mask_table", "Every token changed in turn", heatmap.heatmap(
                array(table), labels, labels, lab.look, limit=heatmap.nice_limit(array(table), 0.9), role="hidden", row_title="changed",
                column_title="output after", value_name=unit, numbers=False, tilt=True, pick=None, height=420),
            shape=f"largest |Δ logit| [changed {n} × output {n}]",
            alt=f"How far the logits after each token move when each token is changed; {upper} of {n * (n - 1) // 2} earlier outputs move.",
            made_by=f"{upper} of {n * (n - 1) // 2} outputs before a change move. Each row is two runs of {model.title} under the mask chosen above, bit against bit; the largest tenth takes the darkest colour.",
        ))  # fmt: skip

side, main = lab.section("One token at a time", key="generation")
growth: Proof | None = None
try:
    writer = compute.model("small-gpt")
except CheckpointError as problem:
    with main:
        st.info(f"{problem} Nothing can be written here without it.")
else:
    with side:
        st.markdown(
            "Because no row ever looks ahead, a new token adds one row to the triangle and changes none: a text can be carried on."
        )
        step = c.slider("step", "Tokens written", 0, WRITTEN, WRITTEN // 2)
        temperature = c.slider("temperature", "Temperature (0 takes the likeliest)", 0.0, 1.5, 0.7, 0.1)
        left, right = st.columns(2)
        with left:
            gen_layer = c.slider("text_layer", "Layer", 0, writer.n_layer - 1, 1)
        with right:
            gen_head = c.slider("text_head", "Head", 0, writer.n_head - 1, 0)
    prompt = compute.read("small-gpt", sentence, MAX_PROMPT)
    seed = c.values["seed"]
    written = compute.run(causal_mask_carry_on, prompt.ids, SamplingConfig(temperature, seed=seed))
    pieces = prompt.tokens + tuple(writer.decode([choice.token]) for choice in written.choices)
    n_now = len(prompt.ids) + step
    grown = compute.trace("small-gpt", Encoding(written.ids, pieces)).layers[gen_layer].attention.weights[gen_head]
    shorter = (
        compute.trace("small-gpt", Encoding(written.ids[:n_now], pieces[:n_now]))
        .layers[gen_layer]
        .attention.weights[gen_head]
    )
    growth = Proof(
        "Rows already written, when the text grows",
        "the shorter text alone",
        float((grown[:n_now, :n_now] - shorter).abs().max()),
        1e-5,
    )
    with main:
        lab.draw(Stage(
            "causal_mask_growing", "The growing triangle", masking.growing(
                array(grown), len(prompt.ids), n_now, text.labels(pieces, 12), lab.look),
            shape=f"weights [query {n_now} × key {n_now}]", alt=f"Attention of {n_now} tokens, {step} of them written by {writer.title}; the last gives at most {grown[n_now - 1, :n_now].max():.2f} to one.",
            made_by=f"Layer {gen_layer}, head {gen_head} of {writer.title}, keys and values kept from step to step. Below the dots is what it wrote.",
            tensors={"weights": array(grown[:n_now, :n_now])},
        ))  # fmt: skip
        if step:
            choice = written.choices[step - 1]
            chance = dict(choice.likely).get(choice.token)
            st.markdown(
                f"Step {step} wrote {text.code(pieces[n_now - 1])}"
                + (f", which had probability {chance:.2f}. " if chance is not None else ", none of the likeliest. ")
                + f"It looked at {n_now} tokens; the {n_now - 1} rows above stayed as they were, {to_within(growth.difference)}."
            )
        upcoming = written.choices[min(step, WRITTEN - 1)].likely
        lab.draw(Stage(
            "causal_mask_likely", f"Likely after {n_now} tokens" if step < WRITTEN else "Likely at the last step", charts.bars(
                [text.visible(writer.decode([token]), 12) for token, _ in upcoming], [chance for _, chance in upcoming], lab.look,
                title="probability", limit=heatmap.nice_limit(np.array([chance for _, chance in upcoming])), sideways=True, height=240),
            alt=f"The likeliest next tokens; the first has probability {upcoming[0][1]:.2f}.",
            made_by=f"{writer.title}'s own distribution; temperature {temperature:g} and seed {seed} choose from it.",
        ))  # fmt: skip

side, main = lab.section("What may stand for −∞?", key="fills")
reports: list[FillReport] = [
    compute_report
    for fill in (-math.inf, *reversed(FILLS))
    if (compute_report := fill_report(now.scaled.detach(), float(fill)))
]
with side:
    st.markdown(
        "A finite number works while every real score lies far above it, the format can hold it and each row has something to see. "
        "Move the shift above and watch the small ones fail."
    )
with main:

    def share(x: float | None) -> str:
        return "refused" if x is None else "NaN" if math.isnan(x) else "0" if x == 0 else f"{x:.2g}"

    body = "\n".join(
        f"| {'−∞' if r.fill == -math.inf else f'{r.fill:,.0f}'.replace('-', '−')} | {share(r.leak)} | {share(r.half)} | {share(r.blocked)} |"
        for r in reports
    )
    st.markdown(
        "| in place of −∞ | leak in float32 | leak in float16 | a row with nothing to see gives each key |\n|---|---|---|---|\n"
        + body
    )
    refused = [r for r in reports if r.refusal]
    line = [10 ** (exponent / 4) for exponent in range(17)]
    curve, lower = ([fill_report(now.scaled.detach() - down, -x).leak for x in line] for down in (0, LOWER))
    lab.draw(Stage(
        "causal_mask_fills", "Largest leak of a row", charts.lines(
            line, {"these scores": curve, f"the same, {LOWER} lower": lower}, lab.look, x_title="minus the number that stands for −∞", y_title="weight on later tokens", x_scale="log",
            y_domain=(0, 1), mark=-config.fill if math.isfinite(config.fill) and config.fill >= -1e4 else None),
        alt=f"The leak falls from {curve[0]:.2f} at −1 to {curve[-1]:.2g} at −10,000; scores lie between {now.scaled.min():.1f} and {now.scaled.max():.1f}.",
        made_by=f"This head's scores lie between {now.scaled.min():.1f} and {now.scaled.max():.1f}."
        + (f" In half precision PyTorch refuses −1,000,000,000: “{refused[-1].refusal}”." if refused else "")
        + " A softmax over −∞ alone is NaN; PyTorch's attention and this page give 0 there, a finite number looks everywhere alike.",
    ))  # fmt: skip

side, main = lab.section(
    "Two other masks",
    "Not every mask is a triangle. Sentences of a batch are padded to one length; a decoder asks another text.",
    key="others",
)
with side:
    second = c.text("second", "A second sentence", "Birds sing.", max_chars=200)
    pad = c.switch("pad", "Mask the padding", True)
encoder = compute.model("minilm")
both = [compute.read("minilm", s, MAX_PADDED) for s in (sentence, second)]
lengths = [len(e.ids) for e in both]
size = max(lengths)
padded = [Encoding(e.ids + (0,) * (size - len(e.ids)), e.tokens + ("[PAD]",) * (size - len(e.ids))) for e in both]
first_layer, real = bert.layer_weights(encoder, 0), padding(lengths)
pad_head = min(number, encoder.n_head - 1)
inputs = [compute.trace("minilm", e).layers[0].normed_in for e in padded]
with torch.no_grad():
    batch = [multi_head(x, first_layer, real[at].to(x.device) if pad else None) for at, x in enumerate(inputs)]
    short = lengths.index(min(lengths))
    alone = multi_head(inputs[short][: lengths[short]], first_layer)
    asked, answering = batch[1].attention.head(pad_head), batch[0].attention.head(pad_head)
    cross = attend(asked.q[: lengths[1]], answering.k, answering.v, real[0].to(asked.q.device) if pad else None)
off_by = float((batch[short].output[: lengths[short]] - alone.output).abs().max())
with main:
    for column, at, title in zip(st.columns(2), (0, 1), ("Your sentence", "The second sentence"), strict=True):
        names = text.labels(padded[at].tokens, 10)
        with column:
            lab.draw(Stage(
                f"causal_mask_batch_{at}", title, heatmap.heatmap(
                    array(batch[at].attention.weights[pad_head]), names, names, lab.look, bar=False, numbers=False, tilt=True, height=340,
                    masked=array(~real[at].expand(size, size)) if pad else None),
                shape=f"batch {at} [{size} × {size}]",
                alt=f"Attention of {lengths[at]} tokens padded to {size}; the padding is {'masked' if pad else 'not masked'}, the largest weight {batch[at].attention.weights[pad_head].max():.2f}.",
            ))  # fmt: skip
    st.markdown(
        f"The shorter sentence is filled up with {size - lengths[short]} [PAD] tokens. "
        + (f"With the mask its outputs are those of the sentence alone, {to_within(off_by)}." if pad else
           f"Without the mask they are read like words: its outputs are off by up to **{off_by:.2f}**.")
    )  # fmt: skip
    lab.draw(Stage(
        "causal_mask_cross", "Cross-attention: the second sentence asks yours", heatmap.heatmap(
            array(cross.weights), text.labels(both[1].tokens, 10), text.labels(padded[0].tokens, 10), lab.look, numbers=False, tilt=True, height=300,
            row_title="asks", column_title="answers", value_name="weight", masked=array(~real[0].expand(lengths[1], size)) if pad else None),
        shape=f"weights [query {lengths[1]} × key {size}]",
        alt=f"A rectangle of {lengths[1]} queries over {size} keys; nothing is causal in it, the largest weight is {cross.weights.max():.2f}.",
        made_by=f"Layer 0, head {pad_head} of {encoder.title} on all three pictures. It learned to look within one text; across two it shows the shape: "
                "a translator's decoder may see the whole source, so only padding is masked.",
    ))  # fmt: skip

leaks_after = float(moved_after[:asked_at].max()) if asked_at else 0.0
lab.predict(Prediction(
    "Suppose the forbidden weights are set to 0 after the softmax instead. A later token changes: do this head's earlier outputs stay as they were?",
    ("yes, to the last bit", "no, they move"), int(leaks_after > 0),
    f"The largest move of an earlier output is {leaks_after:.2g}. The later token's score has already gone into the softmax's sum, "
    "so it changes every share of the row, although its own is erased." if leaks_after else
    "They do not move here: there is no earlier output, or the changed score is too small to show in the softmax's sum.",
))  # fmt: skip

proofs = [
    Proof("This head's output", reference, float((now.output - theirs).abs().max()), 1e-4 if not config.shift else 1e-3, (mask_with, causal)),
    Proof("Earlier outputs of this head when a token changes, with the mask", "0", float(moved_right[:asked_at].max()) if asked_at else 0.0, 0.0, (head_leak,)),
]  # fmt: skip
if source == "small-gpt":
    exact = compute.run(causal_mask_gpt_leak, encoding.ids, swapped[place], MaskConfig()).tril(-1)
    proofs.append(
        Proof(
            f"Earlier logits of {model.title} when a token changes, with the mask",
            "0",
            float(exact.max()),
            0.0,
            (gpt_leak,),
        )
    )
lab.prove(*proofs, *([growth] if growth else []))


def recipe() -> Recipe:
    """The main figure as code: the head drawn again from its seed, or its Q, K and V as numbers."""
    fresh = source == "random"
    drawn = {"IDS": encoding.ids, "D_K": D_K, "SEED": c.values["seed"]} if fresh else {}
    start = "head = fresh_head(IDS, D_K, SEED)\nq, k, v = head.q, head.k, head.v\n" if fresh else ""
    return Recipe(
        {name: f"causal_mask_main.{name}" for name in ("scaled", "masked", "weights")},
        uses=(mask_with, MaskConfig, causal, *([fresh_head] if fresh else [])),
        settings={"TOKENS": encoding.tokens, **drawn, "PLACE": config.place, "FILL": config.fill, "SHIFT": config.shift},
        inputs={} if fresh else {name: getattr(head, name) for name in ("q", "k", "v")},
        run=f"""{start}
trace = mask_with(MaskConfig(PLACE, FILL, SHIFT), q, k, v, causal(len(TOKENS)))
scaled, masked, weights = trace.scaled, trace.masked, trace.weights
""",
        shows="""
show("masked scores [query × key]", masked, TOKENS, TOKENS)
show("weights [query × key]", weights, TOKENS, TOKENS)
""",
        note=made_by,
    )  # fmt: skip


lab.recipe(recipe)
