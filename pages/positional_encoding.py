"""How does attention know the order? Sinusoidal, learned and rotary positions, and what happens without any."""

import math

import streamlit as st
import torch

from app import compute, text
from app import position_data as data
from app.controls import Controls
from app.figures import charts, positions
from app.figures.heatmap import nice_limit
from app.frame import Experiment, Lab, Prediction, Proof, Stage
from app.recipe import Recipe
from models.learned_positions import fit_shift, waves_in
from models.order import OrderConfig, compare, reorder, run_encoder
from models.position_view import learned_view, query_and_key, rotary_view
from models.positional import PositionalConfig, frequencies, rows, shift, shift_matrix, sinusoidal
from models.rotary import rotate

MAX_TOKENS, MAX_WORDS = 24, 12
READERS = {"minilm": "MiniLM-L6", "small-gpt": "Small GPT"}
BASES = (1.001, 2, 10, 100, 1000, 10000, 100000, 1000000)
EXPERIMENTS = (
    Experiment("Learned: MiniLM", {"scheme": "learned"},
               "No formula made this table. Look for waves in it, below."),
    Experiment("Learned: small GPT", {"scheme": "learned", "reader": "small-gpt", "positions": 256},
               "A learned table ends: beyond its last row there is nothing to add."),
    Experiment("Rotary", {"scheme": "rotary"}, "Nothing is added: one query, turned a little further at every position."),
    Experiment("One speed", {"base": 1.001, "positions": 64}, "Row 44 is row 0 again: with one clock, the positions repeat."),
    Experiment("Two dimensions", {"d_model": 2, "positions": 64}, "One wave alone: the same two numbers come back every 6.28 positions."),
    Experiment("Huge base", {"base": 1000000, "d_model": 128}, "Most columns stand still: they tell no two of these positions apart."),
    Experiment("Waves too short", {"step": 6.0}, "Less than two positions a turn: the dots trace a slow wave that is not there."),
    Experiment("No cosines", {"cosines": False}, "The stripes break: now the offset alone no longer decides."),
)  # fmt: skip


def pick(c: Controls) -> tuple[PositionalConfig, int, int]:
    """The encoding, the position t and the offset φ."""
    left, right = c.columns(2)
    by_formula = scheme != "learned"
    with left:
        n = c.steps("positions", "Positions", (8, 16, 32, 64, 128, 256), 32)
        base = c.steps("base", "Base", BASES, 10000, disabled=not by_formula)
        at = c.steps("t", "Position t", list(range(n)), 3)
    with right:
        d_model = c.steps("d_model", "Width d", (2, 4, 8, 16, 32, 64, 128, 256), 32, disabled=not by_formula)
        step = c.steps("step", "Step", (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 6.0), 1.0, disabled=not by_formula)
        offset = c.slider("phi", "Offset φ", -32, 32, 5)
    cosines = c.switch("cosines", "A cosine beside every sine", True, disabled=scheme != "sinusoidal")
    return PositionalConfig(n, d_model, float(base), step, cosines or scheme != "sinusoidal"), at, offset


lab = Lab("positional-encoding")
with lab.controls(EXPERIMENTS) as c:
    sentence = c.sentence()
    scheme = c.segments("scheme", "Positions are", ("sinusoidal", "learned", "rotary"), "sinusoidal")
    left, right = c.columns(2)
    with left:
        reader = c.choice(
            "reader", "Learned by", list(READERS), "minilm", show=READERS.__getitem__, disabled=scheme != "learned"
        )
    with right:
        seed = c.seed()
    config, t, phi = pick(c)
    model = compute.model(reader if scheme == "learned" else "minilm")
    encoding = compute.read(model.name, sentence, MAX_TOKENS)

look, n, d, base = lab.look, config.n_position, config.d_model, config.base
tokens = text.labels(encoding.tokens)
names = [f"{at} {tokens[at]}" if at < len(tokens) else str(at) for at in range(n)]
view = compute.run(data.view, scheme, reader, config, seed)
table, alike = view.rows.numpy(), view.similarity.numpy()
n_row, width = table.shape
omega = frequencies(d, base) * config.step
turns = [2 * math.pi / float(w) for w in omega]
spots = f"{view.closest[0]} and {view.closest[1]}"
value, unit = {"sinusoidal": ("PE", "similarity"), "learned": ("P", "cosine"), "rotary": ("R q", "q·k / √d")}[scheme]
here = f"Tensors {'of this page on the CPU' if scheme != 'learned' else compute.device_note()}."
q, k = lab.tint("query", "q"), lab.tint("key", "k")
framed = [(t, "t"), *([(t + phi, "t+φ")] if phi and 0 <= t + phi < n_row else [])]
closest = f"Of all positions, {spots} are hardest to tell apart: their rows lie {view.distance:.2f} from each other."

if scheme == "sinusoidal":
    pair_name = r"\cos" if config.cosines else r"\sin"
    place = "pos" if config.step == 1 else rf"{config.step:g}\,pos"
    lab.formula(
        rf"PE_{{(pos,\,2i)}} = \sin({place}\cdot\omega_i) \quad PE_{{(pos,\,2i+1)}} = {pair_name}({place}\cdot\omega_i)"
        rf" \quad \omega_i = {base:.10g}^{{-2i/d}}",
        rf"$d = {d}$, $\omega_{{{d // 2 - 1}}} = {float(omega[-1]) / config.step:.2g}$, "
        rf"here $PE_{{({t},\,0)}} = {table[t, 0]:.3f}$",
    )
    columns = [f"{2 * i + odd}: {wave}(pos · {float(omega[i]):.4g})" for i in range(d // 2)
               for odd, wave in enumerate(("sin", "cos" if config.cosines else "sin"))]  # fmt: skip
    title, limit = "Every position is a row of waves", 1.0
    made_by = f"The formula, in float64. Names of rows: your sentence as MiniLM-L6 cuts it. {here}"
    still = int((view.rows - view.rows[0]).abs().amax(0).lt(0.1).sum())
    step_turns = 1 / turns[0]
    lab.notice(
        f"The fastest pair turns once in {turns[0]:.2f} positions, the slowest in {turns[-1]:,.{0 if turns[-1] >= 100 else 2}f}.", closest,
        f"{still} of {d} columns move by less than 0.1 over these {n} positions." if still else "",
        f"Pair 0 turns {step_turns:.2f} times from one position to the next; its dots look like a wave of {1 / alias:.1f} positions."
        if step_turns > 0.5 and (alias := abs(step_turns - round(step_turns))) > 1e-6 else "",
    )  # fmt: skip
elif scheme == "learned":
    lab.formula(
        r"x_{pos} = E_{token} + P_{pos}", f"$P$ has {len(data.table(reader))} rows of {width} trained numbers, "
        rf"here $P_{{{min(t, n_row - 1)},\,0}} = {table[min(t, n_row - 1), 0]:.3f}$")  # fmt: skip
    columns, title, limit = [], "Every position is a row that training found", nice_limit(table[1:], 0.99)
    made_by = f"The position table of {model.title}. {model.provenance} {here}"
    lengths = view.rows.norm(dim=-1)
    lab.notice(
        f"Row 0 has length {lengths[0]:.2f}, the others {lengths[1:].mean():.2f} on average"
        + (": training set the first place apart." if lengths[0] > 1.2 * lengths[1:].mean() else "."),
        closest,
        f"The table ends after {n_row} rows; this model cannot read position {n_row}." if n_row < n else "",
        f"Equally far apart does not mean equally alike: the cosine differs by up to {view.widest:.2f} between such pairs.",
    )
else:
    lab.formula(
        rf"{q}_m \cdot {k}_n = (R_m\,{q})^\top (R_n\,{k}) = {q}^\top R_{{n-m}}\,{k}",
        f"$d = {d}$, pair $i$ turns by ${config.step:g}\\cdot{base:.10g}^{{-2i/d}}$ a position",
    )
    columns = [f"{at}, turned by pos · {float(omega[at // 2]):.4g}" for at in range(d)]
    title, limit = "One query, turned by its position", nice_limit(table)
    made_by = f"Seeded unit-normal q and k, seed {seed}, turned by the formula in float64; rotary has nothing to learn. {here}"
    lengths = view.rows.norm(dim=-1)
    lab.notice(
        f"Every row is the same query with length {lengths[0]:.3f}; its length changes by {data.small(float(lengths.max() - lengths.min()))} over {n} positions.",
        f"Pair 0 turns by {float(omega[0]):.3g} radians a position, pair {d // 2 - 1} by {float(omega[-1]):.2g}: the right half hardly moves."
        if d > 2 and float(omega[-1]) * n < 0.5 else f"Pair 0 turns by {float(omega[0]):.3g} radians a position.",
        f"Scores of pairs equally far apart agree within {data.small(view.widest)}.",
    )  # fmt: skip
if encoding.truncated:
    made_by += f" Your text has {encoding.truncated} more tokens than the {len(tokens)} named."
lab.stage(Stage(
    "positional_encoding_table", title,
    positions.table(table, names, look, limit=limit, value_name=value, columns=columns, framed=framed, height=540),
    alt=f"{n_row} positions by {width} dimensions, values from {table.min():.2f} to {table.max():.2f}. {closest}",
    shape=f"{value} [position {n_row} × dimension {width}]", made_by=made_by, tensors={"table": table},
))  # fmt: skip

side, main = lab.section("Without positions, order is invisible", key="order")
with side:
    st.markdown("The same words in two orders through the same trained encoder, MiniLM-L6, without and with positions.")
    first = c.text("first", "One text", "The dog bit the man", 120)
    second = c.text("second", "The same words in another order", "The man bit the dog", 120)
    mine = c.switch("mine", "My sentence, shuffled by the seed", False)
    depth = c.slider("depth", "Encoder layers", 1, 6, 1)
one = compute.read("minilm", sentence if mine else first, MAX_TOKENS)
two_ids = reorder(one.ids, seed) if mine else compute.read("minilm", second, MAX_TOKENS).ids
without = compute.run(data.order, one.ids, two_ids, OrderConfig("none", depth, base))
order_config = OrderConfig(scheme, depth, base)  # type: ignore[arg-type]
seen = compute.run(data.order, one.ids, two_ids, order_config)
inner = [at for at, (a, _) in enumerate(seen.pairs) if 0 < a < len(one.ids) - 1]
shown = inner[:MAX_WORDS]
same_words, same_text = sorted(one.ids) == sorted(two_ids), one.ids == two_ids
with main:
    if mine:
        st.markdown(
            "Shuffled: " + " ".join(text.code(data.minilm().tokenizer.id_to_token(at) or "") for at in two_ids[1:-1])
        )
    if not shown:
        st.markdown("The two texts have no token in common, so there is nothing to compare.")
    else:
        blocks = [
            (name, trace.first[shown, :32].cpu().numpy(), trace.second[shown, :32].cpu().numpy())
            for name, trace in (("Without positions", without), (f"With {scheme}", seen))
        ]
        lab.draw(Stage(
            "positional_encoding_order", "What each word became, in both orders",
            positions.order(blocks, text.labels([one.tokens[seen.pairs[at][0]] for at in shown]),
                            ("first text", "second text", "difference"), look),
            alt=f"Outputs of {len(shown)} shared tokens. Largest difference without positions {data.small(float(without.gap.max()))}, with {scheme} {data.small(float(seen.gap.max()))}.",
            shape=f"outputs [token {len(shown)} × feature 32 of {seen.first.shape[-1]}]",
            made_by=f"{data.minilm().title} after {depth} of 6 layers, rows in the order of the first text. It was trained with its own learned table; "
                    f"{'that is what is added here' if scheme == 'learned' else 'here ' + scheme + ' positions stand in its place'}. Tensors {compute.device_note()}.",
        ))  # fmt: skip
        table_rows = [
            f"| {text.code(one.tokens[a]).replace('|', chr(92) + '|')} | {a} → {b} | {data.small(float(without.gap[at]))} | {data.small(float(seen.gap[at]))} |"
            for at, (a, b) in enumerate(seen.pairs) if at in shown
        ]  # fmt: skip
        st.markdown("\n".join((
            f"| token | position | differs, without positions | differs, with {scheme} |", "|---|---|---|---|", *table_rows,
            f"| *mean of the text, cosine* | | {without.cosine:.6f} | {seen.cosine:.6f} |")))  # fmt: skip
        most = max(inner, key=lambda at: float(seen.gap[at]))
        if same_text:
            lesson = "Both texts are the same, so nothing can differ. Change the order of one."
        elif not same_words:
            lesson = (
                f"The texts share {len(seen.pairs)} tokens, marks included, but not all: a word that stands in one alone changes "
                f"the others too, by up to {data.small(float(without.gap.max()))} even without positions."
            )
        else:
            lesson = (
                f"Without positions no output differs by more than **{data.small(float(without.gap.max()))}**, the rounding of float32: "
                f"in either order the encoder reads the same bag of words. With {scheme} positions "
                f"{text.code(one.tokens[seen.pairs[most][0]])} differs by **{data.small(float(seen.gap[most]))}**."
            )
        st.markdown(lesson)
        st.caption(
            "Differs: the largest difference in any feature. A token that occurs twice is paired in order of occurrence."
        )

side, main = lab.section("Waves", key="waves")
with side:
    if scheme == "learned":
        found = compute.run(data.waves, reader)
        a, b = found.clock
        clean = float(found.purity[[a, b]].min()) > 0.7
        likeness = compute.run(data.likeness, reader)
        st.markdown(
            f"The table's strongest directions over positions {found.start} to {found.start + len(found.components) - 1}. "
            + (f"Directions {a} and {b} are waves of **{found.period[a]:.2f}** and **{found.period[b]:.2f}** positions a turn" if clean else
               f"The nearest to a clock are directions {a} and {b}, {found.period[a]:.1f} and {found.period[b]:.1f} positions a turn")
            + f": one sine each explains {found.purity[a]:.0%} and {found.purity[b]:.0%} of them."
        )  # fmt: skip
        origin = (
            "this table looks like the formula from which its training began."
            if likeness > 0.3
            else "nobody gave this model the formula."
        )
        st.markdown(f"The rows' mean cosine with the sinusoidal formula is **{likeness:.2f}**: {origin}")
    else:
        st.markdown(
            "Each pair of columns is one wave and its cosine, slower from pair to pair: like the hands of many clocks. "
            "The model knows the dots alone; the lines are the formula between them."
        )
    focus = c.steps("pair", "Pair i", list(range(d // 2)), min(2, d // 2 - 1), disabled=scheme == "learned")
with main:
    if scheme == "learned":
        drawn = [*found.clock, *(i for i in range(8) if i not in found.clock)][:4]
        heights = found.components / found.components.abs().amax(0)
        bands = [positions.Band(f"direction {i}<br>λ {found.period[i]:.1f}", heights[:, i].numpy()) for i in drawn]
        wave_names = [names[at] if at < n else str(at) for at in range(found.start, found.start + len(heights))]
        figure = positions.waves(bands, wave_names, look, start=found.start)
        shape, made = (
            f"components [position {len(heights)} × direction {len(drawn)}]",
            f"Principal components of the table of {model.title}, each scaled to 1; position 0 left out.",
        )
    else:
        last = d // 2 - 1
        drawn = sorted({0, focus, round(last / 3), last})
        n_wave, fine = min(n, 64), max(2, math.ceil(12 / turns[0]))
        bands = [data.wave_band(config, i, n_wave, fine) for i in drawn]
        marks = [(at, word) for at, word in framed if at < n_wave]
        figure = positions.waves(bands, names[:n_wave], look, fine=fine, marks=marks)
        shape, made = (
            f"PE [position {n_wave} × pair {len(drawn)}]",
            "sin solid and filled, cos dotted and hollow. λ: positions a turn.",
        )
    lab.draw(Stage("positional_encoding_waves", "A few columns as waves", figure, shape=shape, made_by=made,
                   alt="Columns over positions, one band each: " + ", ".join(band.name.replace("<br>", ", ") for band in bands)))  # fmt: skip
    if scheme == "learned":
        directions = [str(i) for i in range(len(found.purity))]
        chart = charts.bars(
            directions, found.purity.tolist(), look, title="explained", name_title="direction", limit=1.0, height=180
        )
        lab.draw(Stage("positional_encoding_purity", "How much of each direction is one wave", chart, shape="share [direction 8]",
                       alt=f"Share that the best sine explains, from {found.purity.min():.2f} to {found.purity.max():.2f}."))  # fmt: skip
    else:
        unfinished = sum(turn > n for turn in turns)
        ends = f"λᵢ = 2π / ωᵢ. {unfinished} of {d // 2} pairs do not finish one turn in these {n} positions."
        if d == 2:
            st.caption(ends)
        else:
            chart = charts.lines(
                range(d // 2), {"wavelength": [round(turn, 2) for turn in turns], "positions shown": [n] * (d // 2)}, look, x_title="pair i",
                y_title="positions a turn", y_scale="log", mark=focus, colours={"wavelength": "weight", "positions shown": "output"}, height=180,
            )  # fmt: skip
            lab.draw(Stage("positional_encoding_wavelengths", "Wavelengths, from pair to pair", chart, shape=f"λ [pair {d // 2}]",
                           alt=f"Wavelengths rise from {turns[0]:.2f} to {turns[-1]:,.0f} positions.", made_by=ends))  # fmt: skip

side, main = lab.section("How alike are two positions?", key="similarity")
with side:
    st.markdown({
        "sinusoidal": "PE(t) · PE(t + φ) = Σ cos(ωᵢφ): t is gone. Along each diagonal, one value, drawn over d/2." if config.cosines
                      else "Sines alone: sin(ωt) · sin(ω(t + φ)) keeps its t. The diagonals fall apart, and the band opens.",
        "learned": "A learned row has no formula, so pairs equally far apart may differ. The band shows by how much.",
        "rotary": "Query at m, key at n, both turned: the score. Along each diagonal, one value.",
    }[scheme])  # fmt: skip
    at_phi = n_row - 1 + phi
    if 0 <= at_phi < len(view.mean):
        st.markdown(
            f"At offset {phi}, over all pairs here: **{view.low[at_phi]:.4f}** to **{view.high[at_phi]:.4f}**, "
            f"a spread of {data.small(float(view.high[at_phi] - view.low[at_phi]))}. The largest spread at any offset is {data.small(view.widest)}."
        )
    else:
        st.markdown(
            f"No two of these {n_row} positions are {abs(phi)} apart. The largest spread at any offset is {data.small(view.widest)}."
        )
with main:
    top = nice_limit(alike) if scheme == "rotary" else 1.0
    spread = (
        min(0.0, float(view.low.min())) * 1.08,
        max(1.0 if scheme != "rotary" else 0.0, float(view.high.max())) * 1.08,
    )
    left, right = st.columns(2)
    with left:
        lab.draw(Stage(
            "positional_encoding_similarity", "Any two",
            positions.square(alike, look, limit=top, value_name=unit, pick=[(t, t + phi)] if len(framed) > 1 and t < n_row else (),
                             titles=("query at", "key at") if scheme == "rotary" else ("position", "position")),
            alt=f"{unit} of any two of {n_row} positions; pairs equally far apart differ by at most {data.small(view.widest)}.",
            shape=f"[position {n_row} × position {n_row}]", tensors={"similarity": alike},
        ))  # fmt: skip
    with right:
        lab.draw(Stage(
            "positional_encoding_offset", "By offset alone",
            positions.by_offset(1 - n_row, view.low.numpy(), view.mean.numpy(), view.high.numpy(), look, y_title=unit, mark=phi, y_range=spread),
            alt=f"{unit} by offset, with the band from the lowest to the highest pair; the band is at most {data.small(view.widest)} wide.",
            shape=f"[offset {2 * n_row - 1}]",
        ))  # fmt: skip
    st.caption(
        f"Left: −{top:g} blue, 0 as the page, {top:g} red. Right: the mean of all pairs that far apart, in a band from the lowest to the highest."
    )

side, main = lab.section("One matrix moves every position", key="shift")
if scheme == "learned":
    fitted = compute.run(data.fit, reader, phi)
    with side:
        st.markdown(
            f"Is there one matrix that takes every row to the row {abs(phi)} places {'further on' if phi >= 0 else 'before'}? The best one, fitted to every second position, misses the "
            f"positions in between by **{fitted.unseen:.1%}** of their length (and its own by {fitted.seen:.1%})."
        )
        st.markdown(
            "At the right, the two directions that come nearest to a clock. Walk along the line from 1: does it go round?"
        )
    with main:
        left, right = st.columns(2)
        with left:
            m = fitted.matrix.numpy()
            lab.draw(Stage("positional_encoding_shift", "The best M", positions.square(m, look, limit=nice_limit(m), value_name="M", titles=("to direction", "from direction")),
                           alt=f"A fitted 8 by 8 matrix; it misses unseen rows by {fitted.unseen:.1%}.", shape="[direction 8 × direction 8]"))  # fmt: skip
        with right:
            early = min(2 * round(float(found.period[a])) + 1, 36)
            x, y = (found.components[:early, i].numpy() for i in found.clock)
            lab.draw(Stage(
                "positional_encoding_clock", "A clock that training built" if clean and likeness < 0.3 else "The nearest to a clock",
                positions.plane(x, y, found.start, look, titles=(f"direction {a}", f"direction {b}"), numbered=early if early < 16 else early // 2,
                                framed=[at - found.start for at, _ in framed]),
                alt=f"Positions as points of directions {a} and {b}, {found.period[a]:.2f} positions a turn.", shape=f"[position {early} × 2]",
            ))  # fmt: skip
        used = min(128, len(data.table(reader)) - 1)
        st.caption(f"Least squares in the 8 strongest directions of the table of {model.title}, positions 1 to {used}.")
else:
    exact, rough = (compute.run(shift, config, float(phi), kind) for kind in (torch.float64, torch.float32))
    with side:
        st.markdown(
            r"$PE(t+\varphi) = M_\varphi\,PE(t)$, the same $M_\varphi$ for every $t$: each pair turns by $\varphi\,\omega_i$. "
            + ("Rotary uses this very matrix, transposed, on queries and keys." if scheme == "rotary" else "")
        )
        st.markdown(
            f"Largest error over all {n} positions: **{data.small(exact.error)}** in float64, **{data.small(rough.error)}** in float32."
            + ("" if config.cosines else " Without its cosine a sine cannot be turned: no such matrix is left.")
        )
        st.latex(
            r"\begin{bmatrix}\cos\varphi\omega_i & \sin\varphi\omega_i\\-\sin\varphi\omega_i & \cos\varphi\omega_i\end{bmatrix}"
        )
        pair = min(focus, d // 2 - 1)
        turned = exact.shifted[t, 2 * pair : 2 * pair + 2].tolist(), exact.expected[t, 2 * pair : 2 * pair + 2].tolist()
        st.markdown(
            f"Pair {pair} of position {t}, turned: ({turned[0][0]:.4f}, {turned[0][1]:.4f}). The formula at {t + phi}: ({turned[1][0]:.4f}, {turned[1][1]:.4f})."
        )
    with main:
        last = d // 2 - 1
        dials = sorted({0, round(last / 6), focus, last})
        hands = [(f"pair {i}", t * float(omega[i]), (t + phi) * float(omega[i])) for i in dials]
        left, right = st.columns(2)
        with left:
            lab.draw(Stage(
                "positional_encoding_shift", f"M for φ = {phi}",
                positions.square(exact.matrix.numpy(), look, limit=1.0, value_name="M", titles=("PE(t + φ)", "PE(t)")),
                alt=f"A block-diagonal rotation for offset {phi}; its largest error over {n} positions is {exact.error:.1e}.",
                shape=f"[dimension {d} × dimension {d}]",
            ))  # fmt: skip
        with right:
            lab.draw(Stage(
                "positional_encoding_clocks", "Pairs as clocks, at t and t + φ", positions.clocks(hands, look, names=(f"t = {t}", f"t + φ = {t + phi}")),
                alt=f"Clock hands of {len(hands)} pairs at position {t} and at position {t + phi}; the first turns by {phi * float(omega[dials[0]]):.3f} radians, the last by {phi * float(omega[dials[-1]]):.3g}.",
            ))  # fmt: skip
        st.caption(
            f"Dotted hand: position {t}. Solid hand: position {t + phi}. The arc is the turn φω, the same wherever t stands."
        )

side, main = lab.section("The same two words, moved along the text", key="moved")
moved = compute.run(data.moved, scheme, reader, config, phi, seed)
swing = [float(part.max() - part.min()) for part in (moved.rotary, moved.added)]
added_name = f"{'learned' if scheme == 'learned' else 'sinusoidal'}, added"
with side:
    st.markdown(
        f"A query, and a key {abs(phi)} places {'further on' if phi >= 0 else 'before it'}, walk along the text. Turned by rotary positions, their score swings by "
        f"**{data.small(swing[0])}**. With a row of positions added to each, it swings by **{data.small(swing[1])}**: "
        "the word then meets the place, and not only the distance."
    )
with main:
    chart = charts.lines(
        range(moved.start, moved.start + len(moved.added)),
        {"rotary": moved.rotary.numpy().round(4).tolist(), added_name: moved.added.numpy().round(4).tolist()}, look,
        x_title="position of the query", y_title="q·k / √d", colours={"rotary": "weight", added_name: "gradient"},
        mark=t if moved.start <= t < moved.start + len(moved.added) else None,
    )  # fmt: skip
    lab.draw(Stage("positional_encoding_moved", f"One score at {len(moved.added)} places", chart, shape=f"scores [place {len(moved.added)}]",
                   alt=f"Rotary swings by {data.small(swing[0])}, {added_name} by {data.small(swing[1])}.",
                   made_by=f"Seeded unit-normal q and k, seed {seed}; added rows are scaled to the same size, so that place and content weigh alike."))  # fmt: skip

gap = phi if phi and abs(phi) < n_row - 1 else 1
low, room = max(0, -gap), n_row - abs(gap)
here_t = min(max(t, low), low + room - 1)
there_t = low + (here_t - low + room // 2) % room
before, after = (float(view.similarity[at, at + gap]) for at in (here_t, there_t))
lab.predict(Prediction(
    f"Positions {here_t} and {here_t + gap} move along together, to {there_t} and {there_t + gap}. Their {'score' if scheme == 'rotary' else 'similarity'} …",
    ("rises", "stays within 0.01", "falls"), 0 if after - before > 0.01 else 2 if after - before < -0.01 else 1,
    f"It is {before:.4f} before and {after:.4f} after. " + ("The offset alone decides." if view.widest < 1e-6 else f"Pairs equally far apart differ by up to {view.widest:.2f} here."),
))  # fmt: skip

unlike = compute.run(data.encoder_gap, one, depth)
proofs = [
    Proof(
        "The order experiment's encoder, with its own positions,",
        "the traced MiniLM-L6",
        unlike,
        1e-4,
        (run_encoder, compare),
    )
]
if same_words:
    proofs.append(
        Proof(
            "Without positions, every word's output",
            "the same word's in the other order",
            float(without.gap.max()),
            1e-4,
        )
    )
if scheme == "sinusoidal":
    proofs.append(
        Proof(
            "The table, in float64,",
            "math.sin, math.cos",
            compute.run(data.formula_gap, config),
            1e-9,
            (sinusoidal, rows),
        )
    )
    if config.cosines:
        proofs.append(
            Proof("M_φ · PE(t), for every t,", "the formula at t + φ", exact.error, 1e-9, (shift_matrix, shift))
        )
elif scheme == "rotary":
    angles = torch.arange(n, dtype=torch.float64)[:, None] * omega
    as_complex = torch.view_as_complex(query_and_key(d, seed)[0].reshape(-1, 2)) * torch.polar(
        torch.ones_like(angles), angles
    )
    turned_gap = float((view.rows - torch.view_as_real(as_complex).flatten(-2)).abs().max())
    proofs.append(
        Proof("Every turned query", "torch.polar, a complex product", turned_gap, 1e-9, (rotate, rotary_view))
    )
    proofs.append(Proof("Scores along each diagonal", "one another", view.widest, 1e-9))
else:
    cosines = torch.nn.functional.cosine_similarity(view.rows[:, None], view.rows[None], dim=-1)
    cosine_gap = float((view.similarity - cosines).abs().max())
    proofs.append(
        Proof(
            "The cosines",
            "torch.nn.functional.cosine_similarity",
            cosine_gap,
            1e-9,
            (learned_view, waves_in, fit_shift),
        )
    )
lab.prove(*reversed(proofs))


def recipe() -> Recipe:
    """The main figure as code: a formula for two of the schemes; a learned table has none and comes as numbers."""
    results = {"table": "positional_encoding_table.table"}
    settings = {"N_POSITION": n, "D_MODEL": d, "BASE": base, "STEP": config.step}
    shows = 'show("table [position × dimension]", table)'
    if scheme == "sinusoidal":
        call = "table = rows(torch.arange(N_POSITION), PositionalConfig(N_POSITION, D_MODEL, BASE, STEP, COSINES))"
        return Recipe(results, (rows, PositionalConfig), call, shows, settings | {"COSINES": config.cosines})
    if scheme == "rotary":
        call = """
q, k = query_and_key(D_MODEL, SEED)
table = rotate(q.expand(N_POSITION, -1), torch.arange(N_POSITION) * STEP, BASE, "adjacent").rotated
"""
        return Recipe(results, (query_and_key, rotate), call, shows, settings | {"SEED": seed})
    return Recipe(
        results | {"similarity": "positional_encoding_similarity.similarity"}, (learned_view,),
        "view = learned_view(learned, N_POSITION)\ntable, similarity = view.rows, view.similarity",
        f'{shows}\nshow("cosine of any two rows [position × position]", similarity)',
        {"N_POSITION": n_row}, {"learned": data.table(reader)[:n_row]},
        f"The position table of {model.title}. {model.provenance}",
    )  # fmt: skip


lab.recipe(recipe)
