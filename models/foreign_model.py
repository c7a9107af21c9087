"""A loaded transformers model behind the ``TracedModel`` protocol: causal, masked or encoder–decoder."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from models.attention import AttentionTrace
from models.errors import CheckpointError
from models.foreign_tokenizer import ForeignTokenizer
from models.read_out import find_read_out
from models.recording import NAME, AttentionCall, Recording, as_trace, open_model, recording, watch_blocks
from models.trace import Encoding, Head, Kind, LayerTrace, ModelTrace


@dataclass(frozen=True)
class Calls:
    """Which attention calls of a forward pass are which: the encoder's, the decoder's own, its cross-attention."""

    own: tuple[int, ...]
    cross: tuple[int, ...] = ()
    encoder: tuple[int, ...] = ()


class PretrainedModel:
    """A foreign model behind the ``TracedModel`` protocol.

    For an encoder–decoder the layers are the decoder's, with cross-attention to the source in ``LayerTrace.cross``;
    ``trace_encoder`` shows the encoder's.
    """

    def __init__(self, model: Any, tokenizer: ForeignTokenizer, name: str, title: str, provenance: str):
        self.name, self.title = name, title
        self.model, self.tokenizer = model, tokenizer
        self.n_context = tokenizer.n_context
        self.kind: Kind = _kind_of(model)
        open_model(model)
        probe, self._calls = self._probe()
        self.n_layer = len(self._calls.own)
        first = probe.calls[self._calls.own[0]]
        self.n_head: int = first.weights.shape[0]
        self.shared_heads: int = first.shared
        self.can_switch_heads = bool(probe.modules)
        self._stages = self.can_switch_heads and all(_recomputes(call) for call in probe.calls)
        watch_blocks(model, probe.modules, self.n_layer)
        trace = self.trace(self.tokenizer.probe)
        self.d_model: int = trace.final.shape[-1]
        self._read_out: Callable[[Tensor], Tensor] | None = find_read_out(model, trace)
        self.provenance = f"{provenance} {self._note()}".strip()

    def _note(self) -> str:
        """How far the architecture opens, for people."""
        notes = []
        if self.shared_heads > 1:
            notes.append(
                f"It has {self.n_head // self.shared_heads} key-value heads, each shared by {self.shared_heads} query "
                "heads (grouped-query attention); they are shown repeated."
            )
        if not self.can_switch_heads:
            notes.append("Its architecture shows its attention weights alone, and its heads cannot be switched off.")
        elif not self._stages:
            notes.append("Its scores pass through more than scaling and a mask, so only Q, K, V and weights are shown.")
        return " ".join(notes)

    def _probe(self) -> tuple[Recording, Calls]:
        """One short pass that finds out which attention call is which, by what looks at what.

        Raises:
            CheckpointError: if the architecture does not compute attention where it can be recorded.
        """
        source = self.tokenizer.probe.ids
        target = source[:-1]
        with torch.inference_mode(), recording() as seen:
            self._forward(seen, source, target)
        shapes = [tuple(call.weights.shape[1:]) for call in seen.calls]
        if self.kind != "encoder-decoder":
            calls = Calls(tuple(range(len(shapes))))
        else:
            n, m = len(source), len(target)
            own, cross, encoder = (
                tuple(i for i, shape in enumerate(shapes) if shape == wanted) for wanted in ((m, m), (m, n), (n, n))
            )
            calls = Calls(own, cross, encoder)
        if not calls.own or len({seen.calls[i].weights.shape[0] for i in calls.own}) > 1:
            raise CheckpointError(f"The architecture of “{self.title}” hides its attention, so it cannot be shown.")
        return seen, calls

    def encode(self, text: str) -> Encoding:
        """Text to ids, cut to the context and the cut tokens counted; never raises."""
        return self.tokenizer.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        """Ids to text, special tokens left out."""
        return self.tokenizer.decode(ids)

    def _forward(self, seen: Recording, ids: Sequence[int], target: Sequence[int] | None = None) -> Any:
        """The library's own forward pass, batch of one, its attention calls in ``seen`` whoever reports them.

        Raises:
            ValueError: if there are no tokens or more than the context takes.
        """
        if not 0 < len(ids) <= self.n_context or len(target or ids) > self.n_context:
            raise ValueError(f"{len(ids)} tokens do not fit a model with a context of {self.n_context}")
        device = self.model.device
        inputs = {"input_ids": torch.tensor([list(ids)], device=device)}
        if self.kind == "encoder-decoder":
            inputs["decoder_input_ids"] = torch.tensor([list(target or ids)], device=device)
        if self.kind != "encoder":
            inputs["use_cache"] = False  # type: ignore[assignment]
        recorded = self.model.config._attn_implementation == NAME
        out = self.model(**inputs, output_hidden_states=True, output_attentions=not recorded, return_dict=True)
        if not recorded:
            names = ("encoder_attentions", "cross_attentions", "decoder_attentions", "attentions")
            reported = [weights for name in names for weights in getattr(out, name, None) or ()]
            seen.calls.extend(AttentionCall(weights[0]) for weights in reported if weights is not None)
        return out

    def decoder_encoding(self, target: Encoding) -> Encoding:
        """What an encoder–decoder's decoder reads to predict ``target``: it, one place later, after a start token."""
        config = self.model.config
        start = getattr(config, "decoder_start_token_id", None)
        start = (config.pad_token_id or 0) if start is None else start
        return Encoding((start, *target.ids[:-1]), (self.tokenizer.piece(start), *target.tokens[:-1]))

    @torch.inference_mode()
    def trace(self, encoding: Encoding, heads_off: Collection[Head] = (), target: Encoding | None = None) -> ModelTrace:
        """One forward pass with every stage that the architecture opens; safe for many threads at a time.

        Args:
            target: for an encoder–decoder, the text whose tokens the decoder predicts; the source's own by default.
                The trace's encoding is then the decoder's.

        Raises:
            ValueError: if the tokens do not fit, or heads are to be off that the architecture does not let go.
        """
        decoded = self.decoder_encoding(target or encoding) if self.kind == "encoder-decoder" else None
        with recording(self._off(heads_off)) as seen:
            out = self._forward(seen, encoding.ids, decoded.ids if decoded else None)
        states = [state[0].float() for state in (out.decoder_hidden_states if decoded else out.hidden_states)]
        blocks = [(into.float(), after.float()) for into, after in seen.blocks[-self.n_layer :]]
        # The library's last state stands behind the last normalisation; the residual stream itself does not.
        hidden = [into for into, _ in blocks] + [blocks[-1][1]] if len(blocks) == self.n_layer else states
        layers = tuple(self._layer(seen, index, hidden) for index in range(self.n_layer))
        logits = getattr(out, "logits", None)
        logits = None if logits is None else logits[0].float()
        return ModelTrace(decoded or encoding, layers, tuple(hidden), states[-1], logits)

    @torch.inference_mode()
    def trace_encoder(self, encoding: Encoding) -> ModelTrace:
        """The encoder half of an encoder–decoder.

        Raises:
            ValueError: for any other kind of model.
        """
        if self.kind != "encoder-decoder":
            raise ValueError(f"{self.title} has no encoder of its own")
        with recording() as seen:
            out = self._forward(seen, encoding.ids, encoding.ids[:1])
        layers = tuple(LayerTrace(self._trace_of(seen.calls[index])) for index in self._calls.encoder)
        states = tuple(state[0].float() for state in out.encoder_hidden_states)
        return ModelTrace(encoding, layers, states, out.encoder_last_hidden_state[0].float())

    def _off(self, heads_off: Collection[Head]) -> dict[int, list[int]]:
        if heads_off and not self.can_switch_heads:
            raise ValueError(f"The architecture of {self.title} does not let single heads be switched off")
        off: dict[int, list[int]] = {}
        for layer, head in heads_off:
            off.setdefault(self._calls.own[layer], []).append(head)
        return off

    def _trace_of(self, call: AttentionCall) -> AttentionTrace:
        return as_trace(call, stages=self._stages)

    def _layer(self, seen: Recording, index: int, hidden: list[Tensor]) -> LayerTrace:
        own = self._trace_of(seen.calls[self._calls.own[index]])
        cross = self._trace_of(seen.calls[self._calls.cross[index]]) if self._calls.cross else None
        return LayerTrace(own, hidden[index], residual_out=hidden[index + 1], cross=cross)

    @torch.inference_mode()
    def read_out(self, hidden: Tensor) -> Tensor:
        """Logits [..., n_vocab] of a residual state [..., d_model] through the last norm and the head (logit lens).

        Raises:
            ValueError: if the model has no such head, or has one that does more than was found out.
        """
        if self._read_out is None:
            raise ValueError(f"{self.title} has no language-model head that a residual state can be read with")
        return self._read_out(hidden.to(self.model.device, self.model.dtype)).float()


def _recomputes(call: AttentionCall) -> bool:
    """Whether softmax(QKᵀ·scale + bias) gives the weights; an architecture may do more to its scores."""
    masked = as_trace(call).masked
    assert masked is not None
    tolerance = 1e-5 if call.weights.dtype == torch.float32 else 2e-2
    return torch.allclose(masked.softmax(-1), call.weights.float(), atol=tolerance)


def _kind_of(model: Any) -> Kind:
    if model.config.is_encoder_decoder:
        return "encoder-decoder"
    causal = type(model).__name__.endswith(("ForCausalLM", "LMHeadModel"))
    return "causal" if causal else "encoder"
