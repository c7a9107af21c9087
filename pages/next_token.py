"""How does a model choose the next word? From logits to a drawn token, layer by layer, and a head that is learned live."""

import math
import uuid
from functools import partial

import numpy as np
import streamlit as st
import torch
from torch.nn import functional as F

from app import compute, jobs, language, model_menu, model_proofs, parts, text, workshop
from app.controls import Controls
from app.figures import characters, charts, choice, tokens
from app.figures import lens as lens_figure
from app.figures.heatmap import tiled
from app.frame import Experiment, Lab, Prediction, Proof, Stage
from app.recipe import Recipe
from models import induction_race, sampling
from models.induction import InductionConfig, unknowing_loss
from models.induction_race import RaceStep
from models.lens import logit_lens
from models.probes import PAIRS
from models.sampling import SamplingConfig, sampling_stages

MAX_TOKENS, MOST_DRAWN, SHOWN, POSITIONS = 64, 40, 15, 10
KEEP_ALL = "all"
OPEN_END = -1
TOP_K = (KEEP_ALL, "1", "2", "3", "5", "10", "20", "50", "100")
TOY = InductionConfig(steps=400)
EXPERIMENTS = [
    Experiment("Paris is the capital of", {"sentence": "Paris is the capital of", "temperature": 1.0, "top_k": KEEP_ALL, "top_p": 1.0},
               "Nothing is cut here: look for France, and be honest about what you find."),
    Experiment("The keys to the cabinet", {"sentence": "The keys to the cabinet", "temperature": 1.0, "top_k": KEEP_ALL, "top_p": 1.0},
               "The verb must agree with keys, not with the nearer noun: compare are with is, here and in the list below."),
    Experiment("Greedy", {"sentence": "I like to play", "temperature": 0.0, "drawn": 8},
               "At temperature 0 the largest logit is certain, whatever the seed."),
    Experiment("Too hot", {"sentence": "I like to play", "temperature": 2.0, "top_k": KEEP_ALL, "top_p": 1.0, "drawn": 8},
               "Temperature 2 and nothing cut: the long tail of unlikely tokens gets its chance."),
    Experiment("Only the nucleus", {"sentence": "How are you", "temperature": 1.0, "top_k": KEEP_ALL, "top_p": 0.5},
               "Top-p keeps the fewest tokens that together hold half of the probability, however many these are."),
    Experiment("Always three", {"sentence": "How are you", "temperature": 1.0, "top_k": "3", "top_p": 1.0},
               "Top-k keeps three, whether the model is sure or not."),
]  # fmt: skip
LARGE = [
    Experiment("SmolLM2: the capital of", {"model": "smollm2", "sentence": "The Eiffel Tower is in the city of", "temperature": 1.0, "top_k": KEEP_ALL, "top_p": 1.0},
               "The same question to a model of 135 million parameters."),
    Experiment("SmolLM2: the keys", {"model": "smollm2", "sentence": "The keys to the cabinet", "temperature": 1.0, "top_k": KEEP_ALL, "top_p": 1.0},
               "Compare are with is: does it look past the nearer noun?"),
]  # fmt: skip


def shown(token: int) -> str:
    """A token of the vocabulary, visible, for charts that take plain text."""
    return text.visible(language.piece(name, token))


def code(token: int) -> str:
    return text.code(language.piece(name, token))


def draw_one() -> None:
    st.session_state["next_token_drawn"] = min(MOST_DRAWN, st.session_state.get("next_token_drawn", 0) + 1)


def sampling_controls(c: Controls) -> tuple[SamplingConfig, int]:
    """How to choose, and how many tokens stand after the sentence already."""
    temperature = c.slider("temperature", "Temperature", 0.0, 2.0, 0.8, 0.1)
    left, right = c.columns(2)
    with left:
        top_k = c.steps("top_k", "Top-k", TOP_K, "10")
        seed = c.seed()
    with right:
        top_p = c.slider("top_p", "Top-p", 0.05, 1.0, 0.9, 0.05)
        drawn = c.slider("drawn", "Tokens drawn", 0, MOST_DRAWN, 0)
    c.button("draw", "Draw the next token", draw_one, disabled=drawn == MOST_DRAWN)
    return SamplingConfig(temperature, 0 if top_k == KEEP_ALL else int(top_k), top_p, seed), drawn


lab = Lab("next-token")
everything = EXPERIMENTS + (LARGE if compute.offered(model_menu.FETCHED).offered else [])
with lab.controls(everything) as c:
    sentence = c.sentence()
    name, model = model_menu.pick(c, ("causal",), ("small-gpt",))
    encoding = compute.read(name, sentence, min(MAX_TOKENS, model.n_context - MOST_DRAWN))
    n = len(encoding.ids)
    end = c.choice("read", "Read up to", [OPEN_END, *range(n)], OPEN_END,
                   show=lambda at: "the open end" if at == OPEN_END else f"{at} {text.visible(encoding.tokens[at])}")  # fmt: skip
    config, n_drawn = sampling_controls(c)
n_read = language.open_end(encoding.tokens) if end == OPEN_END else end + 1
ids = encoding.ids[:n_read]
trace = compute.trace(name, encoding)
assert trace.logits is not None
n_vocab = trace.logits.shape[-1]

before = language.continued(name, ids, config, n_drawn)
row = [*ids, *(step.token for step in before)]
stages = sampling_stages(language.logits(name, row)[-1] if n_drawn else trace.logits[n_read - 1].cpu(), config)
uniform = sampling.uniform_number(config.seed, n_drawn)
picked = sampling.draw(stages.probabilities, uniform)

lab.formula(
    rf"p_i = \frac{{e^{{z_i / T}}}}{{\sum_{{j \in \text{{kept}}}} e^{{z_j / T}}}},\quad z = {lab.tint('hidden', 'h')}_N E^\top",
    f"$N = {len(row)}$ tokens read, $|V| = {n_vocab:,}$ tokens to choose from, $T = {config.temperature:g}$",
)
best = stages.logits.topk(SHOWN).indices.tolist()
if picked not in best:
    best[-1] = picked
tempered, after_k = stages.tempered.softmax(-1), stages.top_k.softmax(-1)
finite_k, finite_p = stages.top_k.isfinite()[best].numpy(), stages.top_p.isfinite()[best].numpy()
one_hot = stages.tempered.isfinite()[best].numpy()
cut_p = torch.where(stages.top_p.isfinite(), stages.probabilities, after_k)
cut_k = torch.where(stages.top_k.isfinite(), after_k, tempered)
n_k, n_p = int(stages.top_k.isfinite().sum()), int(stages.top_p.isfinite().sum())
figure = choice.choice(
    [
        choice.Panel("logits z", stages.logits[best].numpy(), np.ones(SHOWN, dtype=bool), ".1f", shared=False),
        choice.Panel(f"T = {config.temperature:g}", tempered[best].numpy(), one_hot),
        choice.Panel(f"top-k: {'all' if not config.top_k else config.top_k}", cut_k[best].numpy(), finite_k),
        choice.Panel(f"top-p: {config.top_p:g}", cut_p[best].numpy(), finite_p),
    ],
    text.labels([language.piece(name, token) for token in best]), lab.look, drawn=best.index(picked), height=510,
)  # fmt: skip
tail = text.visible(model.decode(row[-8:]), 44)
lab.stage(Stage(
    "next_token_choice", f"After {text.code(model.decode(row[-8:]), 44)}", figure, shape=f"logits [token {n_vocab}]",
    alt=f"The {SHOWN} likeliest next tokens after {tail}, as logits and after temperature, top-k and top-p. Drawn: {shown(picked)}, {stages.probabilities[picked]:.2f}.",
    tensors={stage: getattr(stages, stage).numpy() for stage in ("logits", "tempered", "top_k", "top_p", "probabilities")}
    | {"drawn": np.array([picked])},
    made_by=f"{model.title}. Pale and hatched: cut. Drawn with the number {uniform:.3f} of seed {config.seed}.",
))  # fmt: skip

plain = stages.logits.softmax(-1)
top, follows = int(plain.argmax()), encoding.ids[min(n_read, n - 1)]
lab.notice(
    f"The model finds {code(top)} likeliest, with {plain[top]:.3f}; temperature {config.temperature:g} makes that {tempered[top]:.3f}.",
    f"Top-k and top-p leave {n_p} of {n_vocab:,} tokens, which held {tempered[stages.top_p.isfinite()].sum():.0%} of the probability.",
    f"The seed's number {uniform:.3f} falls on {code(picked)}.",
    f"Your text goes on with {text.code(encoding.tokens[n_read])}, which has {plain[follows]:.2g} and rank {int((plain > plain[follows]).sum()) + 1:,}."
    if n_read < n and not n_drawn
    else "",
    f"Your text has {encoding.truncated} more tokens than the {n} read." if encoding.truncated else "",
)

# A run: one token a tick, so that nobody waits for another's text.
side, main = lab.section("Let it write", key="write")
with side:
    length = c.slider("length", "Tokens to write", 5, MOST_DRAWN, 24)
run_key = (name, ids, config)
kept_key, written = st.session_state.get("next_token_written", (None, 0))
written = min(max(written if kept_key == run_key else 0, n_drawn), length)
running = st.session_state.get("next_token_running") == run_key and written < length


def start_run() -> None:
    st.session_state["next_token_running"] = run_key
    st.session_state["next_token_written"] = (run_key, n_drawn if written >= length else written)


def stop_run() -> None:
    st.session_state["next_token_running"] = None


@parts.polled(0.25 if running else None)
def write() -> None:
    """The text so far; while a run goes on, one token more at every tick."""
    kept, count = st.session_state.get("next_token_written", (None, 0))
    count = min(max(count if kept == run_key else 0, n_drawn), length)
    going = running and st.session_state.get("next_token_running") == run_key
    if going:
        count = min(count + 1, length)
        st.session_state["next_token_written"] = (run_key, count)
    steps = language.continued(name, ids, config, max(count, n_drawn))
    chips = [[tokens.Chip(piece)] for piece in encoding.tokens[:n_read]]
    chips += [
        [tokens.Chip(language.piece(name, s.token), f"chance {s.chance:.3f}, number {s.uniform:.3f}", "strong")]
        for s in steps[:count]
    ]
    told = f"{n_read} tokens of the text, then {count} that were drawn"
    st.progress(count / length, f"{count} of {length} tokens")
    if going and count < length:
        st.button("Stop", key="next_token_stop", on_click=stop_run)
    else:
        st.button("Write" if count in (0, n_drawn) else "Write on" if count < length else "Write again", key="next_token_write",
                  on_click=start_run, type="primary")  # fmt: skip
    lab.draw(Stage("next_token_text", "The sentence and what was drawn after it", tokens.strip(chips, lab.look, told, size=1.15), alt=told,
                   tensors={"chance": np.array([s.chance for s in steps[:count]]), "number": np.array([s.uniform for s in steps[:count]])}))  # fmt: skip
    if count:
        nats = [-math.log(max(s.chance, 1e-12)) for s in steps[:count]]
        st.caption(f"Hover a token for its chance. Mean surprise of the drawn tokens under these settings: {sum(nats) / count:.2f} nats. "
                   "The same seed draws the same text, one token at a time or in a run.")  # fmt: skip
    if running and not (going and count < length):
        stop_run()
        st.rerun()


with main:
    write()

_, main = lab.section("The road through the layers", key="lens", wide=True,
                      text="The logit lens reads every layer's residual state with the model's own last norm and head: what would it say if it stopped here?")  # fmt: skip
try:
    lens = language.lens(name, encoding, max(0, n_read - POSITIONS), n_read)
except ValueError as problem:
    lens = None
    with main:
        st.info(f"{problem}.")
if lens is not None:
    read = encoding.tokens[lens.start : n_read]
    n_row, final = len(lens.best), int(lens.best[-1, -1])
    settled = lens.settled[-1]
    place = "at the embeddings already" if settled == 0 else f"after layer {settled - 1}"
    with main:
        lab.draw(Stage(
            "next_token_lens", "Each layer's best next token",
            lens_figure.lens(lens.probability.cpu().numpy(), [text.labels([language.piece(name, int(t)) for t in line], 10) for line in lens.best],
                             text.labels(read, 12), lab.look, agrees=(lens.best == lens.best[-1]).cpu().numpy(), height=110 + 30 * n_row),
            shape=f"probability [layer {n_row} × position {len(read)}]",
            alt=f"The logit lens over the last {len(read)} positions. At the last position the answer {shown(final)} stands {place}.",
            made_by=f"Bold: already the model's answer. At the last position {code(final)} stands for good {place}.",
        ))  # fmt: skip
        lab.draw(Stage(
            "next_token_road", f"The probability of {code(final)} on the way",
            charts.bars(["embeddings", *(f"layer {at}" for at in range(n_row - 1))], lens.chosen[:, -1].tolist(), lab.look, title="probability", height=210),
            alt=f"From {lens.chosen[0, -1]:.4f} at the embeddings to {lens.chosen[-1, -1]:.3f} after the last layer.",
        ))  # fmt: skip

_, main = lab.section("How surprised is it by your text?", key="surprise", wide=True)
with main:
    if n < 2:
        st.info("One token alone has nothing before it. Type a second word.")
    else:
        nats = sampling.surprise(trace.logits, encoding.ids).cpu()
        worst = int(nats.argmax())
        st.markdown(
            f"On average {nats.mean():.2f} nats a token, a perplexity of {nats.mean().exp():,.0f}; who knows nothing has "
            f"ln {n_vocab:,} = {math.log(n_vocab):.2f}. {text.code(encoding.tokens[worst + 1])} surprises most, with {nats[worst]:.2f}."
        )
        names = [text.visible(token) for token in encoding.tokens[1:]]
        coloured_by = f"{n - 1} tokens coloured by surprise, from {nats.min():.2f} to {nats.max():.2f} nats"
        lab.draw(Stage("next_token_strip", "Each token, the redder the less expected",
                       characters.coloured(encoding.tokens[1:], nats.numpy(), math.log(n_vocab), lab.look, coloured_by, pick=worst, name="nats"),
                       alt=coloured_by, tensors={"nats": nats.numpy()}))  # fmt: skip
        lab.draw(Stage("next_token_surprise", "−log p of each token given those before",
                       charts.bars(names, nats.tolist(), lab.look, title="nats", role="gradient", height=260), shape=f"nats [token {n - 1}]",
                       alt=f"Surprise of {n - 1} tokens; the largest is {nats[worst]:.2f} nats.",
                       made_by="The first token has nothing before it and is left out."))  # fmt: skip

side, main = lab.section(
    "What does it know?",
    key="knows",
    text="Asked in its own terms: how likely is the right continuation, and how likely the wrong one?",
)
answers, scores = language.facts(name), language.agreement(name)
margins = [right - wrong for right, wrong in scores]
right_all = sum(m > 0 for m in margins)
far = [m > 0 for m, pair in zip(margins, PAIRS, strict=True) if pair.attractor]
first = [a for a in answers if a.rank == 1]
with side:
    st.markdown(
        f"**Agreement.** {model.title} prefers the right verb in **{right_all} of {len(PAIRS)}** sentences, and in {sum(far)} of the "
        f"{len(far)} where a noun of the other number stands nearer. "
        + (
            "Guessing would get half."
            if right_all <= 0.7 * len(PAIRS)
            else "It follows the subject more often than chance would."
        )
    )
    st.markdown(
        f"**Facts.** It puts the right answer first in **{len(first)} of {len(answers)}**. "
        + (f"It fails at {text.code(min(answers, key=lambda a: a.probability).fact.prefix)}: "
           f"the answer has rank {max(a.rank for a in answers):,}." if len(first) < len(answers) else "")
    )  # fmt: skip
with main:
    lab.draw(Stage(
        "next_token_agreement", "log p(right) − log p(wrong)",
        charts.bars([pair.short for pair in PAIRS], margins, lab.look, title="nats for the right form", signed=True, sideways=True, height=310),
        alt=f"{right_all} of {len(PAIRS)} pairs lie on the right side; the margins run from {min(margins):.2f} to {max(margins):.2f} nats.", shape=f"nats [pair {len(PAIRS)}]",
    ))  # fmt: skip
    # Closed until it is asked for: a table makes Streamlit import pandas and write Arrow at every move.
    box = st.expander("All pairs and facts in numbers", on_change="rerun", key="next_token_numbers")
    if box.open:
        box.dataframe(
            {"beginning": [p.prefix for p in PAIRS], "right": [p.right.strip() for p in PAIRS], "log p right": [s[0] for s in scores],
             "wrong": [p.wrong.strip() for p in PAIRS], "log p wrong": [s[1] for s in scores]},
            hide_index=True, height=387, column_config={f"log p {w}": st.column_config.NumberColumn(format="%.2f") for w in ("right", "wrong")},
        )  # fmt: skip
        box.dataframe(
            {"beginning": [a.fact.prefix for a in answers], "answer": [a.fact.answer.strip() for a in answers],
             "probability": [a.probability for a in answers], "rank": [a.rank for a in answers], "its own choice": [shown(a.best) for a in answers]},
            hide_index=True, height=250, column_config={"probability": st.column_config.NumberColumn(format="%.4f")},
        )  # fmt: skip

# The induction toy, trained in front of the reader; app/jobs.py keeps it from costing the others.
_, main = lab.section(
    "A head that learns to copy, live", key="toy", wide=True,
    text="Random tokens that repeat: nothing can be known in the first round, all in the second, by finding the token's earlier place "
    "and looking at what followed. That takes two layers of attention. A one-layer control learns from the same text beside it.",
)  # fmt: skip
with main:
    place_of_seed, place_of_film = st.columns([2, 5], gap="medium")
with place_of_seed:
    toy_seed = c.slider("toy_seed", "Seed of this training", 0, 20, 0)
with place_of_film:
    film = c.slider("film", "Once it has stopped: how far into the film to look, %", 0, 100, 100, 5)
job = ("induction", TOY, toy_seed)
visitor = st.session_state.setdefault("visitor", uuid.uuid4().hex)
job_then = jobs.status(job, visitor)


def start_training() -> None:
    if not jobs.start(job, partial(workshop.film, "induction", TOY, toy_seed), visitor=visitor):
        st.session_state["next_token_full"] = True


def untrained(config: InductionConfig, seed: int) -> RaceStep:
    """Both before their first step."""
    return next(induction_race.race(config, seed))


def training_words(status: jobs.JobStatus, now: RaceStep) -> None:
    """Start or stop, how far it is, and what the numbers say."""
    live = status.live and status.joined
    if live:
        st.progress(
            status.progress,
            f"step {now.step} of {TOY.steps}"
            if status.state == "running"
            else f"Waiting in line, place {status.place}",
        )
        st.button("Stop", key="next_token_toy_stop", on_click=jobs.cancel, args=(job, visitor), width="stretch")
    elif status.state != "done":
        st.button("Train both", key="next_token_toy_train", on_click=start_training, type="primary", width="stretch")
    if st.session_state.pop("next_token_full", False):
        st.caption("Too many trainings are waiting just now. Try again in a minute.")
    elif status.ended:
        st.caption(status.ended)
    layer, head = now.best
    st.markdown(
        f"At step {now.step} the best head, **L{layer}H{head}**, puts **{now.scores[layer][head]:.2f}** on what followed last time; the "
        f"control's best {max(now.control):.2f}. Their losses are {now.two:.2f} and {now.one:.2f} nats; knowing nothing costs {unknowing_loss(TOY):.2f}."
        + (" Training takes about half a minute on a free core; play on meanwhile." if not now.step else "")
    )


@parts.polled(job_then.pace(0.8) if job_then.live and job_then.joined else None)
def training_panel() -> None:
    """Polls only while something moves; the end redraws the page once."""
    status = jobs.status(job, visitor)
    history: tuple[RaceStep, ...] = status.history or (compute.run(untrained, TOY, toy_seed),)
    now = history[-1] if status.live else history[round(film / 100 * (len(history) - 1))]
    left, right = st.columns([2, 5], gap="medium")
    with left:
        training_words(status, now)
    steps = [record.step for record in history]
    with right:
        for column, (key, title, y_title, two, one, domain) in zip(st.columns(2), (
            ("loss", "Loss on text not trained on", "nats a token", [r.two for r in history], [r.one for r in history], (0.0, 6.0)),
            ("score", "The best head's induction score", "weight", [max(map(max, r.scores)) for r in history], [max(r.control) for r in history], (0.0, 1.0)),
        ), strict=True):  # fmt: skip
            with column:
                lab.draw(Stage(
                    f"next_token_toy_{key}", title,
                    charts.lines(steps, {"two layers": two, "one layer": one}, lab.look, x_title="step", y_title=y_title, y_domain=domain, x_domain=(0, TOY.steps), mark=now.step, height=230),
                    alt=f"{title} over {steps[-1]} steps: two layers {two[-1]:.2f}, one layer {one[-1]:.2f}.",
                ))  # fmt: skip
        maps = now.maps.flatten(0, 1).numpy() / 255.0
        titles = [
            f"L{at // TOY.n_head}H{at % TOY.n_head}<br>score {now.scores[at // TOY.n_head][at % TOY.n_head]:.2f}"
            for at in range(len(maps))
        ]
        lab.draw(Stage(
            "next_token_toy_maps", f"Every head of the two-layer model at step {now.step}",
            tiled(maps, lab.look, titles, columns=TOY.n_head, pick=now.best[0] * TOY.n_head + now.best[1], height=400,
                  names=[title.split("<br>")[0] for title in titles]),
            alt=f"{len(maps)} attention maps of {TOY.n_token} tokens at step {now.step}; the framed one scores {max(map(max, now.scores)):.2f}.",
            shape=f"weights [head {len(maps)} × query {TOY.n_token} × key {TOY.n_token}]",
            tensors={"weights": maps},
            made_by="Layer 0 above, layer 1 below. Framed: the best induction head; its stripe runs one place right of the token's earlier copy.",
        ))  # fmt: skip
    if (status.state, status.joined) != (job_then.state, job_then.joined):
        st.rerun()


with main:
    training_panel()

if lens is not None:
    half = (n_row - 1) // 2
    lab.predict(Prediction(
        f"Read the last position layer by layer. When does the model's answer, “{shown(final)}”, stand on top for good?",
        ("in the first half of the layers", "in the second half", "only after the last layer"),
        2 if settled == n_row - 1 else 0 if settled <= half else 1,
        f"It stands there {place} of {n_row - 1} layers.",
    ))  # fmt: skip

own = model_proofs.proofs(name, encoding)
kept_logits = stages.logits[stages.top_p.isfinite()]
again = (kept_logits / config.temperature).softmax(-1) if config.temperature else torch.ones(1)
extra = [
    Proof(
        "The chances that are drawn from",
        "torch.softmax of the kept logits alone",
        float((stages.probabilities[stages.top_p.isfinite()] - again).abs().max()),
        1e-5,
        (sampling_stages,),
    )
]
if n > 1:
    theirs = F.cross_entropy(
        trace.logits[:-1], torch.tensor(encoding.ids[1:], device=trace.logits.device), reduction="none"
    ).cpu()
    extra.append(
        Proof(
            "The surprise of each token",
            "torch.nn.functional.cross_entropy",
            float((nats - theirs).abs().max()),
            1e-4,
            (sampling.surprise,),
        )
    )
if lens is not None:
    gap = float((lens.chosen[-1] - trace.logits[lens.start : n_read].softmax(-1).amax(-1)).abs().max())
    extra.append(
        Proof(
            "The lens after the last layer",
            "the model's own output",
            gap,
            1e-5 if name == "small-gpt" else 3e-2,
            (logit_lens,),
        )
    )
lab.prove(*extra, *own)


def recipe() -> Recipe:
    """The choice as code: the model's logits come as numbers, all that is done to them is done again."""
    return Recipe(
        {name: f"next_token_choice.{name}" for name in ("probabilities", "drawn")},
        uses=(SamplingConfig, sampling_stages, sampling.uniform_number, sampling.draw),
        settings={
            "TEMPERATURE": config.temperature, "TOP_K": config.top_k, "TOP_P": config.top_p, "SEED": config.seed, "POSITION": n_drawn,
            "AFTER": model.decode(row[-8:]), "PIECES": {token: language.piece(name, token) for token in best},
        },
        inputs={"logits": stages.logits},
        run="""
probabilities = sampling_stages(logits, SamplingConfig(TEMPERATURE, TOP_K, TOP_P, SEED)).probabilities
uniform = uniform_number(SEED, POSITION)
drawn = draw(probabilities, uniform)
""",
        shows="""
say(f"After {AFTER!r}, of {len(logits)} tokens:")
for token, piece in PIECES.items():
    say(f"{piece!r:>20}  logit {logits[token]:7.3f}  probability {probabilities[token]:.4f}" + " (cut)" * (not probabilities[token]))
say(f"The seed's number {uniform:.3f} draws {PIECES[drawn]!r}.")
""",
        note=f"The logits are those of {model.title}. {model.provenance}",
    )  # fmt: skip


lab.recipe(recipe)
