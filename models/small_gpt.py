"""The shipped small GPT with its tokenizer, behind the ``TracedModel`` protocol."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from models import transformer
from models.errors import CheckpointError
from models.trace import Encoding, Head, Kind, ModelTrace
from models.transformer import GPT, GPTConfig
from models.weights_file import read_checked, sha256_of
from models.wordpiece import well_formed

TOKENIZER = "tokenizer.json"
END_OF_TEXT = "<|endoftext|>"  # stands between the documents the model learned from; no text can spell it


def byte_of_sign() -> dict[str, int]:
    """Byte-level BPE writes each byte as one printable sign: those that are printable as themselves, the others
    moved up from code point 256 in order (GPT-2's table). This is the way back."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + at): byte for at, byte in enumerate(others)}


def end_of_text(tokenizer: Tokenizer) -> int:
    """The id of the end-of-text token.

    Raises:
        ValueError: for a tokenizer without one.
    """
    found = tokenizer.token_to_id(END_OF_TEXT)
    if found is None:
        raise ValueError(f"the tokenizer has no {END_OF_TEXT}")
    return found


class SmallGPT:
    """A loaded small GPT; one instance serves every visitor and is never changed."""

    kind: Kind = "causal"

    def __init__(self, model: GPT, tokenizer: Tokenizer, config: dict[str, Any]) -> None:
        self.name: str = config["name"]
        self.title: str = config["title"]
        self.provenance: str = config["provenance"]
        shape = model.config
        self.n_layer, self.n_head, self.n_context = shape.n_layer, shape.n_head, shape.n_context
        self.d_model, self.n_vocab = shape.d_model, shape.n_vocab
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.tokenizer.encode_special_tokens = True  # a visitor who types <|endoftext|> gets its letters
        self.end_of_text = end_of_text(tokenizer)
        signs = byte_of_sign()
        vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda pair: pair[1])
        self._bytes = [
            token.encode() if index == self.end_of_text else bytes(signs[sign] for sign in token)
            for token, index in vocabulary
        ]

    @property
    def positions(self) -> Tensor:
        """The learned position table [n_context, d_model]."""
        return self.model.position.weight

    def embedding(self, ids: Sequence[int] | Tensor) -> Tensor:
        """The token embeddings of ids [...] before position -> [..., d_model]."""
        return self.model.token.weight[torch.as_tensor(ids, dtype=torch.long, device=self.positions.device)]

    def encode(self, text: str) -> Encoding:
        """Text to ids, cut to the context; an empty text is one end-of-text token, so that there is always a token."""
        ids = self.tokenizer.encode(well_formed(text), add_special_tokens=False).ids or [self.end_of_text]
        kept = ids[: self.n_context]
        return Encoding(tuple(kept), tuple(map(self.piece, kept)), len(ids) - len(kept))

    def piece(self, token: int) -> str:
        """The text of one token; bytes that are no whole character show as the replacement character."""
        return self._bytes[token].decode("utf-8", errors="replace")

    def decode(self, ids: Sequence[int]) -> str:
        """Ids to text: the tokens' bytes joined, then read as UTF-8."""
        return b"".join(self._bytes[token] for token in ids).decode("utf-8", errors="replace")

    @torch.no_grad()
    def trace(self, encoding: Encoding, heads_off: Collection[Head] = ()) -> ModelTrace:
        """One forward pass with every stage kept; the named heads contribute zeros.

        Raises:
            ValueError: if the encoding is empty or longer than the context.
        """
        if not encoding.ids:
            raise ValueError("there is no token to trace")
        return transformer.trace_gpt(self.model, encoding, heads_off)

    @torch.no_grad()
    def logits(self, ids: Sequence[int]) -> Tensor:
        """The plain forward pass of ids -> [token, n_vocab]: what ``trace`` is proved against."""
        return self.model(torch.tensor([list(ids)], device=self.positions.device))[0]

    def next_logits(self, ids: Sequence[int]) -> Tensor:
        """Logits [n_vocab] of the token that follows ids; of a longer text the last n_context tokens are read."""
        return self.logits(ids[-self.n_context :])[-1]

    @torch.no_grad()
    def step(self, ids: Sequence[int], cache: transformer.Cache | None = None) -> tuple[Tensor, transformer.Cache]:
        """The new tokens' logits [token, n_vocab] with the earlier keys and values taken from the cache, and the
        longer cache."""
        logits, grown = transformer.step(self.model, torch.tensor([list(ids)], device=self.positions.device), cache)
        return logits[0], grown

    @torch.no_grad()
    def read_out(self, hidden: Tensor) -> Tensor:
        """Logits [..., n_vocab] of a residual state [..., d_model] (the logit lens)."""
        return self.model.read_out(hidden)


def load_small_gpt(folder: Path, device: torch.device | str = "cpu") -> SmallGPT:
    """The small GPT from its folder, weights and tokenizer checked against their hashes first.

    Raises:
        CheckpointError: with one sentence, if a file is missing, truncated or not the expected one.
    """
    config, tensors = read_checked(folder)
    path = folder / TOKENIZER
    if not path.is_file() or sha256_of(path) != config.get("tokenizer_sha256"):
        raise CheckpointError(f"The tokenizer of the model {folder.name} is missing or is not the expected one.")
    try:
        model = GPT(GPTConfig(**config["shape"]))
        model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
        return SmallGPT(model.to(device), Tokenizer.from_file(str(path)), config)
    except KeyError as error:
        raise CheckpointError(f"The model folder {folder.name} lacks the entry {error}.") from error
    except (RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"The weights of the model {folder.name} do not fit the shape in its settings."
        ) from error
