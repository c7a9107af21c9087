"""How does a gate remember? Every gate of a trained LSTM over the reader's text, opened, forced, and its gradient road."""

import math

import streamlit as st
import torch
from torch import Tensor

from app import compute, text
from app.controls import Controls
from app.figures import backward, characters, charts, gate_stack, heatmap
from app.figures.backward import Line, power
from app.figures.gate_stack import Band
from app.frame import Experiment, Lab, Prediction, Proof, Stage
from app.recipe import Recipe
from models.charmodel import char_model, narrowed
from models.gates import GatesConfig, correlation_here, lstm_weights, open_gates, roads, torch_differences
from models.lstm import Force, LSTMTrace, LSTMWeights, trace_lstm, unit_road
from models.units import FEATURES

MAX_CHARS, MAX_UNITS = 72, 16
FREE = "none"
GATES = ("forget", "input", "output")
STAGES = (*GATES, "candidate", "cell", "hidden")
LINE = "I went to the shop this morning and bought some bread for my sister."
EXPERIMENTS = (
    Experiment("A long line", {"sentence": LINE, "step": 40}, "Follow the framed unit along the line: does it know how far it has come?"),
    Experiment("Forget everything", {"gate": "forget", "value": 0.0}, "f = 0: each cell is only what this step wrote."),
    Experiment("Never forget", {"gate": "forget", "value": 1.0}, "f = 1: all that was ever written stays and adds up."),
    Experiment("Write nothing", {"gate": "input", "value": 0.0}, "i = 0: the cells stay empty, and so does the state."),
    Experiment("Say nothing", {"gate": "output", "value": 0.0}, "o = 0: the cells may know, but h = 0 tells nobody."),
    Experiment("Only this unit forgets", {"sentence": LINE, "gate": "forget", "value": 0.0, "units": "one"},
               "One unit of all loses its memory: see what that costs."),
)  # fmt: skip


def unit_names() -> dict[int, str]:
    """All units by number, those that track something first and named by it."""
    tracked: dict[int, str] = {}
    for found in model.units:
        tracked.setdefault(found.unit, f"{found.unit} · {found.feature}")
    return tracked | {unit: str(unit) for unit in range(model.n_hidden) if unit not in tracked}


def default_unit() -> int:
    """A unit that is worth watching on any sentence: what it tracks changes over a whole line, not at each word."""
    for wish in ("position in the line", "inside a quotation"):
        for found in model.units:
            if found.feature == wish and abs(found.correlation) > 0.5:
                return found.unit
    return model.units[0].unit if model.units else 0


def pick_force(c: Controls) -> tuple[Force, ...]:
    gate = c.choice("gate", "Hold a gate", (FREE, *GATES), FREE)
    left, right = c.columns(2)
    with left:
        value = c.slider("value", "at", 0.0, 1.0, 0.0, 0.05, disabled=gate == FREE)
    with right:
        which = c.segments("units", "of units", ("all", "one"), "all", disabled=gate == FREE)
    return () if gate == FREE else (Force(gate, round(value, 2), None if which == "all" else (unit,)),)


def shown_units(trace: LSTMTrace, count: int) -> list[int]:
    """The picked unit, those that track something, then those whose state moves most on this text."""
    active = trace.hidden.var(0, unbiased=False).argsort(descending=True).tolist()
    return list(dict.fromkeys([unit, *(found.unit for found in model.units), *active]))[:count]


def clicked() -> None:
    """A cell was clicked: its step and its unit go to the two pickers."""
    points = st.session_state["lstm_gates_stack"].selection.points
    if points:
        st.session_state["lstm_gates_step"] = int(points[0]["x"]) + 1
        st.session_state["lstm_gates_unit"] = rows[int(points[0]["y"]) % len(rows)]


lab = Lab("lstm-gates")
with lab.controls(EXPERIMENTS) as c:
    sentence = c.sentence()
    model = compute.run(char_model, "char-lstm")
    names = unit_names()
    read = sentence[:MAX_CHARS]
    unit = c.choice("unit", "Unit", list(names), default_unit(), show=names.__getitem__)
    step = min(c.slider("step", "Step opened", 1, MAX_CHARS, 12), len(read)) - 1
    forces = pick_force(c)
    n_shown = c.slider("n_shown", "Units drawn", 1, MAX_UNITS, 6)
both = compute.run(open_gates, GatesConfig(read, forces))
now, n = both.now, len(read)
labels, rows = text.labels(tuple(read)), shown_units(both.free, n_shown)
f, i, o = (lab.tint(role) for role in ("forget", "input", "output"))
c_now, h_now = lab.tint("cell", "c"), lab.tint("hidden", "h")

lab.formula(
    rf"{c_now}_t = {f}_t \odot {c_now}_{{t-1}} + {i}_t \odot \tilde c_t, \quad {h_now}_t = {o}_t \odot \tanh {c_now}_t, \quad "
    rf"{f}, {i}, {o} = \sigma(W[{h_now}_{{t-1}}, x_t] + b)",
    rf"${c_now}_{{{step + 1}}}[{unit}] = {now.forget[step, unit]:.2f} \cdot {now.before(step)[1][unit]:.2f} + "
    rf"{now.input[step, unit]:.2f} \cdot {now.candidate[step, unit]:.2f} = {now.cell[step, unit]:.2f}$",
)


def band(symbol: str, name: str, role: str, values: Tensor, limit: float | None = None) -> Band:
    return Band(symbol, name, role, values[:, rows].T.numpy(), limit)


cell_limit = heatmap.nice_limit(now.cell[:, rows].numpy(), 0.85)  # one counting unit must not pale the others
figure = gate_stack.stack(
    [
        band("f", "forget", "forget", now.forget),
        band("i", "input", "input", now.input),
        band("o", "output", "output", now.output),
        band("c̃", "candidate", "cell", now.candidate, 1.0),
        band("c", "cell", "cell", now.cell, cell_limit),
        band("h", "hidden", "hidden", now.hidden, 1.0),
    ],
    [str(u) for u in rows], labels, lab.look, pick=(rows.index(unit), step), height=500,
)  # fmt: skip
held = f"{forces[0].gate} gate held at {forces[0].value:g}" if forces else "gates free"
lab.stage(Stage(
    "lstm_gates_stack", "Every gate over your text", figure, shape=f"[unit {len(rows)} of {model.n_hidden} × step {n}], {held}",
    alt=f"Heatmaps of forget, input and output gate, candidate, cell and hidden state of {len(rows)} units over {n} characters; {held}.",
    made_by=f"{model.provenance} Units {', '.join(map(str, rows))}. Click a cell to open its step and unit.", on_select=clicked,
    tensors={name: getattr(now, name)[:, rows].T.numpy() for name in STAGES},
))  # fmt: skip

cost_free, cost_now = float(both.bits_free.mean()) if n > 1 else 0.0, float(both.bits_now.mean()) if n > 1 else 0.0
kept = float(now.highway[0, unit])
most = int(now.forget.mean(0).argmax())
lab.notice(
    f"Of what unit {unit} held after the first character, its forget gates let **{power(math.log10(kept)) if kept > 0 else 'nothing'}** through to the end"
    + ("." if forces and forces[0].gate == "forget" else f"; unit {most} forgets least, its gate stands at {float(now.forget[:, most].mean()):.2f} on average."),
    f"With the {held} the model pays **{cost_now:.2f} bits** a character for your text; with all gates free it pays {cost_free:.2f}."
    if forces else f"The model pays {cost_free:.2f} bits a character for your text, {model.bits_per_character:.2f} on held-out text.",
    f"Your text has {len(sentence) - MAX_CHARS} more characters than the {MAX_CHARS} drawn." if len(sentence) > MAX_CHARS else "",
)  # fmt: skip

side, main = lab.section("A unit that knows something", key="tracks")
found = next((t for t in model.units if t.unit == unit), None)
with side:
    if found:
        here = correlation_here(both.free, read, found)
        st.markdown(
            f"Unit {unit} follows **{found.feature}**: on held-out text its {found.state} correlates with it at **r = {found.correlation:+.2f}**. "
            + (
                f"On your text it is {here:+.2f}."
                if here is not None
                else "On your text that never changes, so there is nothing to correlate."
            )
        )
    else:
        st.markdown(
            f"Nothing that this page can name correlates with unit {unit}. Units that track something stand first in the list."
        )
    table = "\n".join(f"| {t.feature} | {t.state} {t.unit} | {t.correlation:+.2f} |" for t in model.units)
    st.markdown(f"| what | unit | r, held out |\n|---|---|---|\n{table}")
with main:
    state = now.hidden if found and found.state == "hidden" else now.cell
    top = heatmap.nice_limit(state[:, unit].numpy())
    coloured_by = f"The text coloured by unit {unit}, from {state[:, unit].min():.2f} to {state[:, unit].max():.2f}"
    lab.draw(Stage(
        "lstm_gates_text", f"Your text, coloured by unit {unit}",
        characters.coloured(tuple(read), state[:, unit].numpy(), top, lab.look, coloured_by, pick=step, name=f"unit {unit}"),
        alt=coloured_by, tensors={"state": state[:, unit].numpy()}, shape=f"{'hidden' if state is now.hidden else 'cell'} [step {n}], −{top:g} blue to +{top:g} red",
    ))  # fmt: skip
    series = {f"unit {unit}": state[:, unit].tolist()}
    if forces:
        series["gates free"] = (both.free.hidden if state is now.hidden else both.free.cell)[:, unit].tolist()
    if found:
        feature = torch.tensor(FEATURES[found.feature](read))
        series[found.feature] = (
            feature / max(1.0, float(feature.max())) * math.copysign(top, found.correlation)
        ).tolist()
    lab.draw(Stage(
        "lstm_gates_curve", "The same as a curve" + (", what it follows drawn to its scale" if found else ""), charts.lines(
            range(1, n + 1), series, lab.look, x_title="step", y_title="state", mark=step + 1, height=200,
            colours={f"unit {unit}": "cell", "gates free": "hidden"}),
        alt=f"State of unit {unit} over {n} steps, from {series[f'unit {unit}'][0]:.2f} to {series[f'unit {unit}'][-1]:.2f}.",
    ))  # fmt: skip

_, main = lab.section(f"Step {step + 1}, opened", key="step", wide=True)
weights = lstm_weights(model)
previous_h, previous_c = now.before(step)
with main:
    lines = []
    for block, symbol, role in (
        ("forget", "f", "forget"),
        ("input", "i", "input"),
        ("output", "o", "output"),
        ("candidate", r"\tilde c", "cell"),
    ):
        w_xh, w_hh, b = weights.block(block)
        from_h, from_x, bias = float(w_hh[unit] @ previous_h), float(w_xh[unit] @ now.x[step]), float(b[unit])
        squash, value = (
            (r"\tanh", math.tanh(from_h + from_x + bias))
            if block == "candidate"
            else (r"\sigma", 1 / (1 + math.exp(-(from_h + from_x + bias))))
        )
        actual = float(getattr(now, block)[step, unit])
        after = (
            f"= {value:.3f}" if abs(actual - value) < 1e-4 else rf"= {value:.3f} \;\to\; \text{{held at }} {actual:.2f}"
        )
        lines.append(
            f"| {block} | ${lab.tint(role, symbol)} = {squash}({from_h:+.3f} {from_x:+.3f} {bias:+.3f}) {after}$ |"
        )
    f_t, i_t, o_t, g_t = (float(getattr(now, part)[step, unit]) for part in ("forget", "input", "output", "candidate"))
    st.markdown(
        f"Unit {unit} after reading {text.code(read[step])}. Inside the brackets stand the part of $h_{{t-1}}$, the part of $x_t$ and the bias.\n\n"
        "| | |\n|---|---|\n" + "\n".join(lines) + "\n"
        f"| cell | ${c_now}_t = {f}\\,{c_now}_{{t-1}} + {i}\\,\\tilde c = {f_t:.3f} \\cdot {float(previous_c[unit]):.3f} + {i_t:.3f} \\cdot {g_t:.3f} = {float(now.cell[step, unit]):.3f}$ |\n"
        f"| hidden | ${h_now}_t = {o}\\tanh {c_now}_t = {o_t:.3f} \\cdot {math.tanh(float(now.cell[step, unit])):.3f} = {float(now.hidden[step, unit]):.3f}$ |"
    )
    parts = torch.stack(
        [now.forget[step], now.input[step], now.output[step], now.candidate[step], now.cell[step], now.hidden[step]]
    )[:, rows]
    lab.draw(Stage(
        "lstm_gates_opened", "All drawn units at this step", heatmap.heatmap(
            parts.numpy(), ["f", "i", "o", "c̃", "c", "h"], [str(u) for u in rows], lab.look, "signed", limit=1.0, numbers=True,
            column_title="unit", row_title="", value_name="value", height=300, pick=(4, rows.index(unit))),
        alt=f"Gates, candidate, cell and hidden of {len(rows)} units at step {step + 1}, from {parts.min():.2f} to {parts.max():.2f}.", shape=f"[quantity 6 × unit {len(rows)}]",
    ))  # fmt: skip

side, main = lab.section("The gradient's highway", key="road")
road = compute.run(roads, GatesConfig(read, forces), unit)
log = {name: getattr(road, name).double().log10().numpy() for name in ("highway", "own", "mean", "rnn")}
with side:
    st.markdown(
        rf"Along the cell, $\partial {c_now}_T / \partial {c_now}_t = \prod {f}$: no matrix, no squashing, only the gates. "
        f"For unit {unit} the first step keeps {power(log['highway'][0])}, by every road together {power(log['own'][0])}; the mean unit keeps "
        f"{power(log['mean'][0])} along its cell. The trained RNN's gradient is down to **{power(log['rnn'][0])}** there."
    )
with main:
    lab.draw(Stage(
        "lstm_gates_road", "What is left of a memory, seen from the end", backward.norms(
            [Line(f"unit {unit}: ∏f", log["highway"], "forget"), Line("mean unit: ∏f", log["mean"], "cell", "dot"),
             Line(f"unit {unit}: |∂c_T/∂cₜ|, every road", log["own"], "hidden", "dash"), Line("RNN ‖∂L/∂hₜ‖, 1 at T", log["rnn"], "gradient")],
            labels, lab.look, y_title="left at T", pick=step, height=380),
        alt=f"On a log axis: the product of unit {unit}'s forget gates from each of {n} steps to the end, {power(log['highway'][0])} from the first; the RNN's gradient there is {power(log['rnn'][0])}.",
        shape=f"∂c_T/∂c [step {n}]", made_by="Both networks are trained; the RNN's loss is w·h_T, scaled to 1 at the end.",
    ))  # fmt: skip

if n > 1:
    _, main = lab.section(
        "What it costs", "How surprised the model is by each next character, in bits.", key="bits", wide=True
    )
    with main:
        curves = {held: both.bits_now.tolist()} | ({"gates free": both.bits_free.tolist()} if forces else {})
        lab.draw(Stage(
            "lstm_gates_bits", "Surprise at each next character", charts.lines(
                range(2, n + 1), curves, lab.look, x_title="step of the character", y_title="bits", height=220, mark=step + 1,
                colours={held: "gradient" if forces else "hidden", "gates free": "hidden"}),
            alt=f"Bits for each character: {cost_now:.2f} on average{f', {cost_free:.2f} with the gates free' if forces else ''}.",
            shape=f"−log₂ p [step {n - 1}]",
        ))  # fmt: skip


def guess() -> Prediction:
    """A force that is not on show: what does it cost?"""
    other = Force("forget", 0.0) if not forces or forces[0].gate != "forget" else Force("input", 0.0)
    there = float(compute.run(open_gates, GatesConfig(read, (other,))).bits_now.mean()) if n > 1 else 0.0
    more = there - cost_free
    return Prediction(
        f"Hold the {other.gate} gate of all units at {other.value:g} for the whole text. What does a character cost then (now {cost_free:.2f} bits with all gates free)?",
        ("the same, within 0.1 bit, or less", "0.1 to 1 bit more", "1 to 3 bits more", "over 3 bits more"),
        0 if more <= 0.1 else 1 if more <= 1 else 2 if more <= 3 else 3, f"It costs {there:.2f} bits.",
    )  # fmt: skip


lab.predict(guess())

gaps = compute.run(torch_differences, read, unit, step)
product = torch.ones(()) if step + 1 == n else both.now.forget[step + 1 :, unit].double().prod()
lab.prove(
    Proof("Every h with the gates free", "torch.nn.LSTM", gaps[0], 1e-4, (trace_lstm,)),
    Proof("The last cell", "torch.nn.LSTM", gaps[1], 1e-4),
    Proof(f"∂c_T/∂c of unit {unit} at step {step + 1}", "autograd through torch.nn.LSTM", gaps[2], 1e-4, (unit_road,)),
    Proof("∏f at that step", "torch.prod", float((product - now.highway[step, unit]).abs()), 1e-5),
)


def recipe() -> Recipe:
    """The main figure as code: the trained layer, cut down to this text's characters, comes as numbers."""
    ids, weights = narrowed(model, read)
    return Recipe(
        {name: f"lstm_gates_stack.{name}" for name in STAGES},
        uses=(trace_lstm, LSTMWeights, *([Force] if forces else [])),
        settings={"READ": read, "IDS": ids, "UNITS": tuple(rows), "FORCES": tuple((f.gate, f.value, f.units) for f in forces)},
        inputs={name: getattr(weights, name) for name in ("w_xh", "w_hh", "b")},
        run=f"""
x = F.one_hot(torch.tensor(IDS), w_xh.shape[1]).float()
trace = trace_lstm(x, LSTMWeights(w_xh, w_hh, b), {"[Force(*force) for force in FORCES]" if forces else "FORCES"})
forget, input, output = trace.forget[:, UNITS].T, trace.input[:, UNITS].T, trace.output[:, UNITS].T
candidate, cell, hidden = trace.candidate[:, UNITS].T, trace.cell[:, UNITS].T, trace.hidden[:, UNITS].T
""",
        shows="""
show("forget gate [unit × step]", forget, tuple(map(str, UNITS)), tuple(READ))
show("cell [unit × step]", cell, tuple(map(str, UNITS)), tuple(READ))
show("hidden [unit × step]", hidden, tuple(map(str, UNITS)), tuple(READ))
""",
        note=model.provenance,
    )  # fmt: skip


lab.recipe(recipe)
