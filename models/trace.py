"""What a language model shows of one forward pass; the same types for our own models and for foreign ones."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor

from models.attention import AttentionTrace

Head = tuple[int, int]  # (layer, head), both 0-based
Kind = Literal["causal", "encoder", "encoder-decoder"]


@dataclass(frozen=True)
class Encoding:
    """A text as a model reads it. ``tokens`` are the raw pieces of the text (spaces kept), one per id."""

    ids: tuple[int, ...]
    tokens: tuple[str, ...]
    truncated: int = 0  # tokens of the text that did not fit into the model's context


@dataclass(frozen=True)
class LayerTrace:
    """One transformer layer for one sentence. Residual parts may be None where an architecture hides them."""

    attention: AttentionTrace  # stages with a leading head axis: weights [head, query, key]
    residual_in: Tensor | None = None  # [token, d_model]
    normed_in: Tensor | None = None  # [token, d_model] what the attention's projections read
    attn_out: Tensor | None = None  # [token, d_model] what attention adds
    residual_mid: Tensor | None = None  # [token, d_model] residual_in + attn_out (post-norm models: normalised)
    ffn_out: Tensor | None = None  # [token, d_model] what the feed-forward part adds
    residual_out: Tensor | None = None  # [token, d_model]
    cross: AttentionTrace | None = None  # decoder layers of an encoder–decoder: weights [head, query, source]


@dataclass(frozen=True)
class ModelTrace:
    """A whole forward pass over one sentence (no batch axis)."""

    encoding: Encoding
    layers: tuple[LayerTrace, ...]
    hidden: tuple[Tensor, ...]  # n_layer + 1 residual states [token, d_model]: embeddings, then after each layer
    final: Tensor  # [token, d_model] after the last normalisation
    logits: Tensor | None = None  # [token, n_vocab]; None for an encoder without a head


class TracedModel(Protocol):
    """What a page may ask of a loaded model. Shared by all visitors: never mutated, eval mode, no gradients."""

    name: str  # the short name in the URL
    title: str  # for people: "Small GPT", "MiniLM-L6"
    kind: Kind
    n_layer: int
    n_head: int
    n_context: int
    d_model: int
    provenance: str  # one sentence: which weights, trained on what, licence

    def encode(self, text: str) -> Encoding:
        """Text to ids, cut to the context; never raises on any string (lone surrogates included)."""

    def decode(self, ids: Sequence[int]) -> str:
        """Ids to text."""

    def trace(self, encoding: Encoding, heads_off: Collection[Head] = ()) -> ModelTrace:
        """One forward pass with every stage kept; the named heads contribute zeros."""

    def read_out(self, hidden: Tensor) -> Tensor:
        """Logits [..., n_vocab] of a residual state [..., d_model] through the model's own last norm and head
        (the logit lens). Raises ValueError for a model without a language-model head."""
