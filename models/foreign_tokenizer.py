"""The tokenizer of a foreign model: text to ids and readable pieces, cut to the context, on any string."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders

from models.errors import CheckpointError
from models.trace import Encoding
from models.wordpiece import well_formed

CONTEXT_NAMES = ("max_position_embeddings", "n_positions", "n_ctx", "seq_length")


def _byte_of() -> dict[str, int]:
    """Byte-level vocabularies write each byte as one visible character (Radford et al. 2019): that alphabet."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {chr(256 + place): byte for place, byte in enumerate(rest)}


class ForeignTokenizer:
    """One tokenizer of the ``tokenizers`` library; encoding changes nothing on it, so threads may share it."""

    def __init__(self, backend: Tokenizer, n_context: int, n_vocab: int, start: int):
        backend.no_padding()
        backend.no_truncation()
        self.backend, self.n_context, self.n_vocab = backend, n_context, n_vocab
        self._start = start  # what an empty text becomes: a model must read something
        self._byte_of = _byte_of() if isinstance(backend.decoder, decoders.ByteLevel) else None
        self._special = {index for index, token in backend.get_added_tokens_decoder().items() if token.special}
        ids = [index for index in self.backend.encode("The cat sat on the mat").ids if index < n_vocab] or [start]
        ids = (ids * 4)[: max(4, min(len(ids), 8))][:n_context]
        self.probe = Encoding(tuple(ids), tuple(self.piece(index) for index in ids))

    def piece(self, index: int) -> str:
        """One id as it stands in the text: spaces visible as spaces, half characters as �."""
        raw = self.backend.id_to_token(index)
        if raw is None or index in self._special:
            return raw or ""
        if self._byte_of is not None and all(character in self._byte_of for character in raw):
            return bytes(self._byte_of[character] for character in raw).decode("utf-8", "replace")
        return raw.replace("▁", " ")

    def encode(self, text: str) -> Encoding:
        """Text to ids and pieces; what does not fit before the closing special tokens is cut off and counted."""
        encoded = self.backend.encode(well_formed(text))
        ids = [index if index < self.n_vocab else self._start for index in encoded.ids] or [self._start]
        cut = max(0, len(ids) - self.n_context)
        if cut:
            closing = len(ids)
            while closing and encoded.special_tokens_mask[closing - 1]:
                closing -= 1
            end = ids[max(closing, len(ids) - self.n_context + 1) :]
            ids = [*ids[: self.n_context - len(end)], *end]
        return Encoding(tuple(ids), tuple(self.piece(index) for index in ids), cut)

    def decode(self, ids: Sequence[int]) -> str:
        """Ids to text, special tokens left out."""
        return self.backend.decode([index for index in ids if index >= 0])


def context_of(config: Any, most: int) -> int:
    """Tokens a model may read: its own limit (512 where it names none), at most ``most``."""
    named = [getattr(config, name, None) for name in CONTEXT_NAMES]
    own = next((value for value in named if isinstance(value, int) and value > 0), 512)
    # RoBERTa's table starts after the padding row: its last places are not for tokens.
    offset = (config.pad_token_id or 0) + 1 if config.model_type in ("roberta", "xlm-roberta", "camembert") else 0
    return min(own - offset, most)


def load_tokenizer(folder: Path, config: Any, most: int) -> ForeignTokenizer:
    """The tokenizer beside a model.

    Raises:
        CheckpointError: if there is none that the ``tokenizers`` library can run.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        backend = tokenizer.backend_tokenizer
    except Exception as error:  # missing file, unknown class, a vocabulary in another format: all one to the reader
        raise CheckpointError(f"The folder {folder.name} has no tokenizer that can be used.") from error
    first = [getattr(tokenizer, name, None) for name in ("bos_token_id", "eos_token_id", "pad_token_id")]
    start = next((index for index in first if index is not None), 0)
    return ForeignTokenizer(backend, context_of(config, most), config.vocab_size, start)
