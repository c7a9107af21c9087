"""Why do recurrent networks forget? Real autograd through a real recurrence, its bound, and an LSTM of equal size beside it."""

import math
import uuid
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import streamlit as st
import torch
from torch import Tensor, nn

from app import compute, jobs, parts, text, workshop
from app.controls import Controls
from app.figures import backward, charts
from app.figures.backward import Line, power
from app.frame import Experiment, Lab, Prediction, Proof, Stage
from app.recipe import Recipe
from models.alphabet import encode_characters
from models.charmodel import char_model, narrowed
from models.gradient_race import RaceConfig, character_vectors, felt, for_rnn, race, rnn_part, step_differences
from models.lstm import LSTMWeights, gradient_lstm, random_lstm
from models.recall import RecallConfig, RecallStep, train_live
from models.recurrent import (
    RNNConfig,
    RNNWeights,
    Spectrum,
    clip_gradients,
    last_readout,
    random_rnn,
    trace_rnn,
    unroll_rnn,
)  # fmt: skip

LAW, TRAINED = "chosen σ", "trained"
MAX_TRAINED, WINDOW, MAX_UNITS = 64, 7, 32
EXPERIMENTS = (
    Experiment("It vanishes", {"singular": 0.7}, "A straight fall on a log axis: every step back costs the same factor."),
    Experiment("It explodes", {"singular": 1.3, "activation": "identity"}, "The same straight line, upwards."),
    Experiment("The knife edge", {"singular": 1.0, "activation": "identity"},
               "With every singular value exactly 1 and no squashing, nothing is lost and nothing grows."),
    Experiment("Past the largest float", {"singular": 4.0, "activation": "identity", "n_step": 200},
               "The bound goes on, but float32 has no such number: the gradient is inf."),
    Experiment("A 200-step sequence", {"n_step": 200}, "The first step is 199 factors away from the loss."),
    Experiment("tanh holds back", {"singular": 1.5, "n_step": 100}, "The bound explodes; saturated tanh units keep the gradient far below it."),
    Experiment("An LSTM that forgets", {"forget_bias": 0.0}, "Half-open forget gates: a fresh LSTM forgets faster than this RNN."),
    Experiment("Trained networks", {"source": TRAINED}, "Weights that learned to read, on your own text."),
)  # fmt: skip


def pick_config(c: Controls) -> RaceConfig:
    """The controls beside the main figure, as one frozen config. The trained networks leave only the text free."""
    sentence = c.sentence()
    source = c.segments("source", "Weights", (LAW, TRAINED), LAW)
    fixed = source == TRAINED
    singular = c.slider("singular", "Largest singular value σ of W_hh", 0.1, 4.0, 0.9, 0.05, disabled=fixed)
    n_step = c.slider("n_step", "Steps T", 2, 200, 60, disabled=fixed)
    left, right = c.columns(2)
    with left:
        n_hidden = c.steps("n_hidden", "Hidden size", (4, 8, 16, 32, 64), 32, disabled=fixed)
        orthogonal = c.switch(
            "orthogonal",
            "All = σ",
            True,
            disabled=fixed,
            help="On: W_hh is orthogonal times σ. Off: a random matrix, only its largest singular value is σ.",
        )
    with right:
        forget_bias = c.slider("forget_bias", "LSTM forget bias", -2.0, 6.0, 3.0, 0.5, disabled=fixed)
        seed = c.seed(disabled=fixed)
    activation = c.segments("activation", "Activation φ", ("tanh", "relu", "identity"), "tanh", disabled=fixed)
    if fixed:
        return RaceConfig("trained", sentence, MAX_TRAINED)
    spectrum: Spectrum = "all" if orthogonal else "largest"
    return RaceConfig("law", sentence, n_step, n_hidden, round(singular, 2), spectrum, activation, forget_bias, seed)


def log10(norm: Tensor) -> np.ndarray:
    return norm.log10().numpy()


def check_steps(config: RaceConfig) -> tuple[float, float]:
    return step_differences(*compute.run(rnn_part, config))


def clip_difference(gradients: Mapping[str, Tensor], max_norm: float) -> float:
    """PyTorch's own clipping of copies against ours, relative to the threshold."""
    parameters = [nn.Parameter(torch.zeros_like(g)) for g in gradients.values()]
    for parameter, g in zip(parameters, gradients.values(), strict=True):
        parameter.grad = g.clone()
    nn.utils.clip_grad_norm_(parameters, max_norm)
    ours = clip_gradients(gradients, max_norm).after.values()
    return (
        max(float((p.grad - g).abs().max()) for p, g in zip(parameters, ours, strict=True) if p.grad is not None)
        / max_norm
    )


def clicked() -> None:
    """A step was clicked: the picker moves there."""
    points = st.session_state["rnn_gradients_norms"].selection.points
    if points:
        st.session_state["rnn_gradients_back"] = int(n) - int(points[0]["x"])


lab = Lab("rnn-gradients")
with lab.controls(EXPERIMENTS) as c:
    config = pick_config(c)
    back = c.slider("back", "Open the state this many steps before the end", 0, 199, 12)
now = race(config, compute.run)  # one network is found again where a control changes the other alone
n, trained = len(now.characters), config.source == "trained"
labels = text.labels(now.characters)
at = max(0, n - 1 - back)
rnn, gradient = now.rnn, lab.tint("gradient", r"\partial L")
h = lab.tint("hidden", "h")
norm, bound = log10(rnn.gradient_norm), rnn.log10_bound.numpy()
cell, lstm_hidden = log10(now.lstm_gradient.to_cell), log10(now.lstm_gradient.to_hidden)

act = {"tanh": r"\tanh", "relu": r"\text{relu}", "identity": ""}[now.weights.activation]
left_bracket, right_bracket = (r"\left(", r"\right)") if act else ("", "")
lab.formula(
    rf"{h}_t = {act}{left_bracket} W_{{hh}} {h}_{{t-1}} + W_{{xh}} x_t + b_h {right_bracket}, \qquad "
    rf"\left\lVert \tfrac{{{gradient}}}{{\partial h_t}} \right\rVert \le \sigma^{{T-t}} \left\lVert \tfrac{{{gradient}}}{{\partial h_T}} \right\rVert",
    rf"$T = {n}$, $\sigma = {rnn.singular:.2f}$, $\sigma^{{T-1}} = 10^{{{(n - 1) * math.log10(max(rnn.singular, 1e-9)):.1f}}}$",
)
made_by = (
    f"L = −ln p(the next character), read from h_T. Character RNN and LSTM of {rnn.hidden.shape[1]} units each, trained on the same text in "
    "the same order. Click a step to open it."
    if trained
    else f"Seeded weights, seed {config.seed}: W_hh is {'orthogonal times σ' if config.spectrum == 'all' else 'random, scaled to σ'}, "
    f"nothing learned. L = w·h_T with ‖w‖ = 1. Your text, repeated to T steps. Click a step to open it."
)
figure = backward.norms(
    [
        Line("RNN ‖∂L/∂hₜ‖", norm, "gradient"),
        Line("bound σᵀ⁻ᵗ‖∂L/∂h_T‖", bound, "ink", "dash"),
        Line("LSTM ‖∂L/∂cₜ‖", cell, "cell"),
        Line("LSTM ‖∂L/∂hₜ‖", lstm_hidden, "hidden", "dot"),
    ],
    labels, lab.look, y_title="norm of the gradient", pick=at, click=True, height=430,
)  # fmt: skip
lab.stage(Stage(
    "rnn_gradients_norms", "The gradient on its way back", figure, shape=f"‖∂L/∂h‖ [step {n}]",
    alt=f"Norm of the gradient at each of {n} steps on a log axis: at step 1 {power(norm[0])} for the RNN, bound {power(bound[0])}, "
        f"{power(cell[0])} for the LSTM's cell.",
    made_by=made_by, on_select=clicked,
    tensors={"rnn_norm": rnn.gradient_norm.numpy(), "log10_bound": bound, "lstm_cell_norm": now.lstm_gradient.to_cell.numpy(),
             "lstm_hidden_norm": now.lstm_gradient.to_hidden.numpy()},
))  # fmt: skip

faint = next((k for k in range(n - 1, -1, -1) if norm[k] < norm[-1] - 2), None)
mean_forget, highway = float(now.lstm.forget.mean()), float(now.lstm.highway[0].mean())
told = [
    f"From step {n} back to step 1 the RNN's gradient goes from {power(norm[-1])} to **{power(norm[0])}**; the bound allows {power(bound[0])}.",
    f"It falls below a hundredth after **{n - 1 - faint}** steps."
    if faint is not None
    else "It never falls below a hundredth of its end.",
    f"The LSTM's cell has {power(cell[0])} at step 1; its forget gates stand at {mean_forget:.2f} on average, and along the cell alone "
    f"∏f leaves {power(math.log10(max(highway, 1e-300)))}.",
]
if rnn.gradient_overflow is not None:
    told.insert(
        1,
        f"From step {rnn.gradient_overflow + 1} back, float32 cannot hold it: **{rnn.gradient_overflow + 1} steps** have a gradient of inf.",
    )
if rnn.gradient_underflow is not None:
    told.insert(
        1,
        f"From step {rnn.gradient_underflow + 1} back it is **exactly 0** in float32: those steps learn nothing at all.",
    )
if rnn.forward_overflow is not None:
    told.insert(1, f"Going forward, too, the state is past float32 from step {rnn.forward_overflow + 1} on.")
lab.notice(*told)

lo = max(0, min(at - WINDOW // 2, n - WINDOW))
window = slice(lo, min(n, lo + WINDOW))
_, main = lab.section(
    "Unrolled: a relay of states",
    "Blue arrows hand the state on; red arrows hand the gradient back, each by one Jacobian.",
    key="relay",
    wide=True,
)
with main:
    lab.draw(Stage(
        "rnn_gradients_relay", f"Steps {window.start + 1} to {window.stop} of {n}",
        backward.relay(labels[window], norm[window], window.start + 1, lab.look, pick=at - lo),
        alt=f"The unrolled network around step {at + 1}; the gradient there is {power(norm[at])}.", shape="J_t = diag(φ′(a_t)) W_hh",
        made_by="Filled by ‖∂L/∂hₜ‖: full colour is 1 or more, empty is 10⁻⁶ or less. The framed state is the one opened. "
                "The numbers are the factors ‖∂L/∂hₜ₋₁‖ / ‖∂L/∂hₜ‖.",
    ))  # fmt: skip

side, main = lab.section("The state over your text", key="state")
shown = rnn.hidden[:, : min(MAX_UNITS, rnn.hidden.shape[1])].T.numpy()
with side:
    opened = rnn.hidden[at]
    slope = {"tanh": 1 - rnn.hidden[at] ** 2, "relu": (rnn.preactivation[at] > 0).float()}.get(
        now.weights.activation, torch.ones_like(opened)
    )
    n_bit = rnn.hidden.shape[1]
    st.markdown(
        f"**Step {at + 1}** reads {text.code(now.characters[at])}. Its state has {n_bit} numbers of root mean square "
        f"{float(opened.square().mean().sqrt()):.3f}; φ′ there is {float(slope.mean()):.3f} on average, which the gradient is multiplied by.\n\n"
        f"**The bottleneck:** whatever came before, {at + 1} characters or {at + 1000:,}, is in these {n_bit} numbers when the next step begins. "
        f"Nothing else is handed on."
    )
with main:
    limit = 1.0 if now.weights.activation == "tanh" and np.abs(shown).max() > 0.5 else None
    finite = np.where(np.isfinite(shown), shown, np.nan)
    lab.draw(Stage(
        "rnn_gradients_state", "Hidden state of the RNN", backward.per_step(
            finite, labels, [str(u) for u in range(len(shown))], lab.look, "signed", limit=limit, pick=at, value_name="h", height=380),
        alt=f"Heatmap of {len(shown)} hidden units over {n} steps, at step {at + 1} from {np.min(shown[:, at]):.2f} to {np.max(shown[:, at]):.2f}.",
        shape=f"hidden [unit {len(shown)}{f' of {n_bit}' if len(shown) < n_bit else ''} × step {n}]",
        made_by="Cells that float32 could not hold are left empty." if rnn.forward_overflow is not None else "",
    ))  # fmt: skip

rnn_felt, lstm_felt = felt(config, compute.run)
side, main = lab.section("What the last state still feels", key="felt")
total = rnn_felt.input_norm.sum()
with side:
    strongest = int(torch.nan_to_num(lstm_felt.input_norm).argmax())
    last_ten = float(rnn_felt.input_norm[-10:].sum() / total) if math.isfinite(total) and total > 0 else math.nan
    st.markdown(
        "Change the character of step t a little: how far does the last state move? That is the size of the Jacobian ∂h_T/∂x_t. "
        + (f"The last {min(10, n)} characters hold **{last_ten:.0%}** of what the RNN still feels. " if math.isfinite(last_ten) else
           "In the RNN this is past what float32 can hold. ")
        + f"The LSTM feels step {strongest + 1}, {text.code(now.characters[strongest])}, most."
    )  # fmt: skip
with main:
    curves = [
        Line("RNN ‖∂h_T/∂xₜ‖", log10(rnn_felt.input_norm), "gradient"),
        Line("LSTM ‖∂h_T/∂xₜ‖", log10(lstm_felt.input_norm), "cell", "dot"),
    ]
    if rnn_felt.jacobian_norm is not None:
        curves.append(Line("RNN ‖∂h_T/∂hₜ‖, the product of Jacobians", log10(rnn_felt.jacobian_norm), "hidden", "dash"))
    lab.draw(Stage(
        "rnn_gradients_felt", "Sensitivity of the last state", backward.norms(curves, labels, lab.look, y_title="norm of the Jacobian", height=340),
        alt=f"Sensitivity of the last state to each of {n} inputs; to the first: {power(curves[0].log10[0])} RNN, {power(curves[1].log10[0])} LSTM.",
        shape=f"∂h_T/∂x [step {n}], Frobenius norm",
    ))  # fmt: skip

side, main = lab.section(
    "Clipping: a leash for explosions",
    "If all parameters' gradients together are longer than a threshold, all are shortened by one factor. Directions stay. A vanished gradient stays vanished.",
    key="clip",
)
with side:
    threshold = c.steps("threshold", "Threshold", (0.01, 0.1, 0.5, 1.0, 5.0, 10.0, 100.0), 1.0)
    clip = clip_gradients(rnn.parameter_gradients, threshold)
    st.markdown(
        "The total is past float32: the factor becomes 0, and inf · 0 is not a number. **Clipping comes too late here**; "
        "training would skip this step." if not math.isfinite(clip.total_norm) else
        f"Total ‖g‖ = **{power(math.log10(max(clip.total_norm, 1e-300)))}**, factor min(1, {threshold:g} / ‖g‖) = **{clip.coefficient:.3g}**."
    )  # fmt: skip
with main:
    names = {"w_hh": "W_hh", "w_xh": "W_xh", "b_h": "b_h"}
    sizes = {label: float(clip.before[key].double().norm()) for key, label in names.items()} | {"all": clip.total_norm}
    after = {label: float(clip.after[key].double().norm()) for key, label in names.items()}
    after["all"] = math.hypot(*after.values())
    sound = all(map(math.isfinite, [*sizes.values(), *after.values()]))
    pairs = [
        (f"{label}, {when}", values[label]) for label in sizes for when, values in (("before", sizes), ("after", after))
    ]
    chart = charts.bars([p[0] for p in pairs], [p[1] if sound else 0.0 for p in pairs], lab.look, title="norm of the gradient", role="gradient",
                        sideways=True, height=260)  # fmt: skip
    lab.draw(Stage("rnn_gradients_clip", "Every parameter's gradient, before and after" if sound else "Nothing to draw: the gradient is not a number", chart,
                   alt=f"Total norm {clip.total_norm:.4g} before, {after['all']:.4g} after clipping at {threshold:g}.", shape="‖∂L/∂W‖ [parameter]"))  # fmt: skip

recall_config, recall_seed = RecallConfig(), config.seed
job = ("recall", recall_config, recall_seed)
visitor = st.session_state.setdefault("visitor", uuid.uuid4().hex)
job_then = jobs.status(job, visitor)


def start_recall() -> None:
    if not jobs.start(job, partial(workshop.film, "recall", recall_config, recall_seed), visitor=visitor):
        st.toast("Too many trainings are waiting in line just now. Try again in a minute.")


def untrained(seed: int) -> RecallStep:
    """Both kinds before the first update: what guessing looks like."""
    return next(train_live(RecallConfig(), seed))


def recall_words(status: jobs.JobStatus, latest: RecallStep) -> None:
    """Start or stop, how far it is, and what the accuracies say."""
    chance, nets = 1 / recall_config.n_symbol, 2 * len(recall_config.distances)
    if status.live and status.joined:
        waits = f"Waiting in line, place {status.place}"
        st.progress(
            status.progress,
            f"{latest.step} of {recall_config.n_update} updates of {nets} networks"
            if status.state == "running"
            else waits,
        )
        st.button("Stop", key="rnn_gradients_stop", on_click=jobs.cancel, args=(job, visitor), width="stretch")
    elif status.state != "done":
        st.button("Train both", key="rnn_gradients_train", on_click=start_recall, type="primary", width="stretch")
    if status.ended:
        st.caption(status.ended)
    if not latest.step:
        st.markdown(
            f"Untrained, both guess: about {chance:.0%} right. Training takes about half a minute; play on meanwhile."
        )
        return
    reach = {kind: latest.reach(kind) for kind in ("rnn", "lstm")}
    st.markdown(
        f"After {latest.step} updates the RNN recalls over up to **{reach['rnn']}** steps and the LSTM over up to **{reach['lstm']}** "
        f"(95 % right at every distance up to there; guessing gives {chance:.0%})."
    )


@parts.polled(job_then.pace(0.7) if job_then.live else None)
def recall_panel() -> None:
    """Polls only while something moves; its start, its turn in the line and its end redraw the page once."""
    status = jobs.status(job, visitor)
    latest: RecallStep = status.latest or compute.run(untrained, recall_seed)
    left, right = st.columns([2, 5], gap="medium")
    with left:
        recall_words(status, latest)
    both = {"RNN": latest.accuracy["rnn"], "LSTM": latest.accuracy["lstm"]}
    chart = charts.lines(
        recall_config.distances, both, lab.look, x_title="steps between symbol and question", y_title="share recalled",
        colours={"RNN": "gradient", "LSTM": "cell"}, y_domain=(0, 1), height=280,
    )  # fmt: skip
    with right:
        lab.draw(Stage(
            "rnn_gradients_recall", f"Accuracy by distance after {latest.step} updates", chart,
            alt="Share recalled at each distance: " + "; ".join(f"{k} {', '.join(f'{v:.2f}' for v in vs)}" for k, vs in both.items()),
            shape=f"accuracy [distance {len(recall_config.distances)}]",
            made_by=f"{recall_config.n_hidden} hidden units each, one pair of networks a distance, seed {recall_seed}, 256 fresh sequences a point.",
        ))  # fmt: skip
    if status.state != job_then.state:
        st.rerun()


_, main = lab.section(
    "Train it: recall over a distance",
    "See one of four symbols, sit through distractors, then say which symbol it was. At every distance, an RNN and an LSTM of equal "
    "size learn from the same examples.",
    key="recall", wide=True,
)  # fmt: skip
with main:
    recall_panel()


def guess() -> Prediction:
    """The law: another singular value. The trained networks: how far the LSTM's gradient carries."""
    if trained:
        edges = [k for k in (5, 15, 40) if k < n]
        reach = next((k for k in range(n) if cell[n - 1 - k] < cell[-1] - 2), None)
        options = (*(f"within {k} steps" for k in edges), "later, or not in this text")
        answer = len(edges) if reach is None else next((i for i, k in enumerate(edges) if reach <= k), len(edges))
        return Prediction(
            "Going back from the end, when does the trained LSTM's ‖∂L/∂cₜ‖ fall below a hundredth of its last value?", options, answer,
            f"It does so {reach} steps before the end." if reach is not None else f"At step 1 it is still {power(cell[0])}, from {power(cell[-1])}.",
        )  # fmt: skip
    other = 1.5 if config.singular < 1.2 else 0.7
    there = float(compute.run(rnn_part, for_rnn(replace(config, singular=other)))[1].gradient_norm[0].log10())
    options = ("below 10⁻⁶", "10⁻⁶ to 1", "1 to 10⁶", "above 10⁶")
    return Prediction(
        f"Everything as it is now, but σ = {other:g}. How large is ‖∂L/∂h‖ at step 1, {n - 1} steps before the loss?", options,
        0 if there < -6 else 1 if there < 0 else 2 if there < 6 else 3,
        f"It is {power(there)}; the bound is {power((n - 1) * math.log10(other))}.",
    )  # fmt: skip


lab.predict(guess())

forward, backwards = compute.run(check_steps, for_rnn(config))
over = norm[np.isfinite(norm)] - bound[np.isfinite(norm)]
proofs = [
    Proof(
        "Each state, from the one before",
        "torch.nn.Linear" if config.activation == "identity" else "torch.nn.RNN",
        forward,
        1e-4,
        (unroll_rnn,),
    ),
    Proof("Each ∂L/∂hₜ, from the one after (relative)", "autograd through that layer", backwards, 1e-3, (trace_rnn,)),
    Proof(
        "What rises above the bound (powers of ten)",
        "σᵀ⁻ᵗ‖∂L/∂h_T‖",
        max(0.0, float(over.max())) if over.size else 0.0,
        1e-3,
    ),
]
if math.isfinite(clip.total_norm):
    proofs.append(
        Proof(
            "The clipped gradients",
            "torch.nn.utils.clip_grad_norm_",
            clip_difference(rnn.parameter_gradients, threshold),
            1e-5,
            (clip_gradients,),
        )
    )
lab.prove(*proofs)


def recipe() -> Recipe:
    """The main figure as code: both networks drawn again from the seed, or the trained weights as numbers."""
    read = "".join(now.characters)
    settings, networks = {"READ": read}, {}
    if trained:
        for name, model in (("rnn", char_model("char-rnn")), ("lstm", char_model("char-lstm"))):
            ids, weights = narrowed(model, read)
            networks |= {f"{name}_{part}": value for part, value in vars(weights).items() if isinstance(value, Tensor)}
            networks |= {f"{name}_w_hy": model.w_hy, f"{name}_b_y": model.b_y}
        settings |= {"IDS": ids, "TARGET": encode_characters(now.target)[0]}
        uses, start = (
            (RNNWeights, LSTMWeights),
            """
x = F.one_hot(torch.tensor(IDS), rnn_w_xh.shape[1]).float()
rnn, lstm = RNNWeights(rnn_w_xh, rnn_w_hh, rnn_b_h), LSTMWeights(lstm_w_xh, lstm_w_hh, lstm_b)
rnn_loss = lambda last: F.cross_entropy(F.linear(last, rnn_w_hy, rnn_b_y), torch.tensor(TARGET))
lstm_loss = lambda last: F.cross_entropy(F.linear(last, lstm_w_hy, lstm_b_y), torch.tensor(TARGET))
""",
        )
    else:
        settings |= {
            "N_HIDDEN": config.n_hidden, "SINGULAR": config.singular, "SPECTRUM": config.spectrum, "ACTIVATION": config.activation,
            "FORGET_BIAS": config.forget_bias, "SEED": config.seed,
        }  # fmt: skip
        uses, start = (
            (character_vectors, RNNConfig, random_rnn, random_lstm, last_readout),
            """
x = character_vectors(READ, SEED)
rnn = random_rnn(RNNConfig(len(READ), N_HIDDEN, x.shape[1], SINGULAR, SPECTRUM, ACTIVATION, SEED))
lstm = random_lstm(N_HIDDEN, x.shape[1], SEED, FORGET_BIAS)
rnn_loss = lstm_loss = last_readout(N_HIDDEN, SEED)
""",
        )
    return Recipe(
        {name: f"rnn_gradients_norms.{name}" for name in ("rnn_norm", "log10_bound", "lstm_cell_norm", "lstm_hidden_norm")},
        uses=(*uses, trace_rnn, gradient_lstm), settings=settings, inputs=networks,
        run=f"""{start}
back, lstm_back = trace_rnn(x, rnn, rnn_loss), gradient_lstm(x, lstm, lstm_loss)
rnn_norm, log10_bound = back.gradient_norm, back.log10_bound
lstm_cell_norm, lstm_hidden_norm = lstm_back.to_cell, lstm_back.to_hidden
""",
        shows="""
curves = torch.stack([rnn_norm.log10(), log10_bound, lstm_cell_norm.log10(), lstm_hidden_norm.log10()], dim=1)
show("log10 of the gradient's norm [step × curve]", curves, tuple(READ), ("RNN", "bound", "LSTM c", "LSTM h"))
""",
        note=made_by.replace("Click a step to open it.", ""),
    )  # fmt: skip


lab.recipe(recipe)
