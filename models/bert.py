"""A BERT encoder built of our own attention, and the shipped MiniLM-L6 that runs on it.

Devlin et al. 2018, "BERT: Pre-training of Deep Bidirectional Transformers". Post-norm: each sublayer's output is added
to what it read, and the sum is normalised. Every token looks at every token: there is no mask.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from models.errors import CheckpointError
from models.multihead import MultiHeadWeights, multi_head
from models.packed import PackedRows
from models.trace import Encoding, Head, Kind, LayerTrace, ModelTrace
from models.weights_file import read_checked
from models.wordpiece import load_wordpiece, well_formed


@dataclass(frozen=True)
class BertLayer:
    """The parameters of one encoder layer; matrices as in ``nn.Linear`` [out, in]."""

    attention: MultiHeadWeights
    attention_norm: tuple[Tensor, Tensor]  # scale and shift, [d_model] each
    w_up: Tensor  # [d_ff, d_model]
    b_up: Tensor  # [d_ff]
    w_down: Tensor  # [d_model, d_ff]
    b_down: Tensor  # [d_model]
    ffn_norm: tuple[Tensor, Tensor]


@dataclass(frozen=True)
class BertWeights:
    """The parameters of a whole encoder."""

    words: PackedRows  # [n_vocab, d_model]
    positions: Tensor  # [n_position, d_model] learned, one row a place
    segment: Tensor  # [d_model] added to every token of a single sentence
    embedding_norm: tuple[Tensor, Tensor]
    layers: tuple[BertLayer, ...]
    eps: float  # inside the normalisations' square root


def _norm(x: Tensor, scale_and_shift: tuple[Tensor, Tensor], eps: float) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], *scale_and_shift, eps)


def embed(weights: BertWeights, ids: Tensor) -> Tensor:
    """Word + position + segment, normalised: ids [token] -> [token, d_model]."""
    summed = weights.words.rows(ids) + weights.positions[: len(ids)] + weights.segment
    return _norm(summed, weights.embedding_norm, weights.eps)


def encoder_layer(x: Tensor, layer: BertLayer, eps: float, heads_off: Collection[int] = ()) -> LayerTrace:
    """One post-norm layer over x [token, d_model]; the named heads add nothing."""
    attention = multi_head(x, layer.attention, heads_off=heads_off)
    middle = _norm(x + attention.output, layer.attention_norm, eps)
    ffn_out = F.linear(F.gelu(F.linear(middle, layer.w_up, layer.b_up)), layer.w_down, layer.b_down)
    out = _norm(middle + ffn_out, layer.ffn_norm, eps)
    return LayerTrace(attention.attention, x, x, attention.output, middle, ffn_out, out)


class BertEncoder:
    """A loaded encoder behind the ``TracedModel`` protocol. It has no language-model head, so no logits."""

    kind: Kind = "encoder"

    def __init__(self, weights: BertWeights, tokenizer: Tokenizer, config: dict[str, Any]):
        self.name: str = config["name"]
        self.title: str = config["title"]
        self.provenance: str = config["provenance"]
        self.n_layer: int = len(weights.layers)
        self.n_head: int = weights.layers[0].attention.n_head
        self.d_model: int = weights.positions.shape[1]
        self.n_context: int = config["n_context"]
        self.n_vocab: int = weights.words.shape[0]
        self.weights = weights
        self.tokenizer = tokenizer

    @property
    def positions(self) -> Tensor:
        """The learned position table [n_position, d_model]; it may reach beyond ``n_context``."""
        return self.weights.positions

    def embedding(self, ids: Sequence[int] | Tensor) -> Tensor:
        """The word embeddings of ids [...] before position and normalisation -> [..., d_model]."""
        return self.weights.words.rows(torch.as_tensor(ids, dtype=torch.long, device=self.positions.device))

    def encode(self, text: str) -> Encoding:
        """[CLS] pieces [SEP]; the pieces that do not fit between the two are cut off and counted."""
        encoded = self.tokenizer.encode(well_formed(text))
        cut = max(0, len(encoded.ids) - self.n_context)
        if not cut:
            return Encoding(tuple(encoded.ids), tuple(encoded.tokens))
        keep = self.n_context - 1
        ids, tokens = encoded.ids, encoded.tokens
        return Encoding((*ids[:keep], ids[-1]), (*tokens[:keep], tokens[-1]), cut)

    def decode(self, ids: Sequence[int]) -> str:
        """Ids to text, lower-cased as the vocabulary is, [CLS] and [SEP] left out."""
        return self.tokenizer.decode(list(ids))

    @torch.inference_mode()
    def trace(self, encoding: Encoding, heads_off: Collection[Head] = ()) -> ModelTrace:
        """One forward pass with every stage kept.

        Raises:
            ValueError: if the encoding is empty or longer than the position table.
        """
        if not 0 < len(encoding.ids) <= len(self.positions):
            raise ValueError(f"{len(encoding.ids)} tokens do not fit a model with {len(self.positions)} positions")
        x = embed(self.weights, torch.tensor(encoding.ids, device=self.positions.device))
        hidden: list[Tensor] = [x]
        layers: list[LayerTrace] = []
        for index, weights in enumerate(self.weights.layers):
            off = [head for at, head in heads_off if at == index]
            layer = encoder_layer(hidden[-1], weights, self.weights.eps, off)
            assert layer.residual_out is not None
            layers.append(layer)
            hidden.append(layer.residual_out)
        return ModelTrace(encoding, tuple(layers), tuple(hidden), hidden[-1])

    def read_out(self, hidden: Tensor) -> Tensor:
        """An encoder has no head to read a residual state with; always raises ValueError."""
        raise ValueError(f"{self.title} has no language-model head, so there are no logits to read")


def layer_weights(model: BertEncoder, layer: int) -> MultiHeadWeights:
    """The attention parameters of one layer (0-based), ready for ``multi_head``."""
    return model.weights.layers[layer].attention


def _layer(tensors: dict[str, Tensor], index: int, n_head: int) -> BertLayer:
    def get(name: str) -> Tensor:
        return tensors[f"layers.{index}.{name}"]

    return BertLayer(
        MultiHeadWeights(get("w_qkv"), get("b_qkv"), get("w_out"), get("b_out"), n_head),
        (get("attention_norm.scale"), get("attention_norm.shift")),
        get("w_up"),
        get("b_up"),
        get("w_down"),
        get("b_down"),
        (get("ffn_norm.scale"), get("ffn_norm.shift")),
    )


def unpack(tensors: dict[str, Tensor], config: dict[str, Any], device: torch.device | str = "cpu") -> BertWeights:
    """The packed tensors to parameters: the layers in float32, the words still in 8 bits (a quarter of the memory).

    The words are copied, for as tensors of the file they would hold all of it in memory, with the layers that were
    read from it already.

    Raises:
        KeyError: if a tensor is missing.
    """
    words = PackedRows(tensors["words.levels"].to(device, copy=True), tensors["words.scale"].to(device, copy=True))
    full = {name: t.to(device, torch.float32) for name, t in tensors.items() if not name.startswith("words.")}
    return BertWeights(
        words,
        full["positions"],
        full["segment"],
        (full["embedding_norm.scale"], full["embedding_norm.shift"]),
        tuple(_layer(full, index, config["n_head"]) for index in range(config["n_layer"])),
        config["eps"],
    )


def load_minilm(folder: Path, device: torch.device | str = "cpu") -> BertEncoder:
    """The shipped MiniLM-L6 from its folder, every byte of its weights checked first.

    Raises:
        CheckpointError: with one sentence, if a file is missing, truncated or not the expected one.
    """
    config, tensors = read_checked(folder)
    try:
        return BertEncoder(unpack(tensors, config, device), load_wordpiece(folder / "vocab.txt"), config)
    except KeyError as error:
        raise CheckpointError(f"The model folder {folder.name} lacks the entry {error}.") from error
