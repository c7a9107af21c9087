"""The small GPT's own byte-level BPE: 4096 tokens learned from the train split, so that any text round-trips."""

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor

from models.small_gpt import END_OF_TEXT, end_of_text
from models.training.corpus import Split, training_text


def train_tokenizer(documents: list[str], n_vocab: int = 4096) -> Tokenizer:
    """Byte-level BPE over the documents: 256 bytes, one end-of-text token, the rest merges."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=n_vocab,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer)
    return tokenizer


def token_stream(tokenizer: Tokenizer, split: Split) -> Tensor:
    """All documents of a split as one row of ids [token], each followed by end-of-text."""
    end = end_of_text(tokenizer)
    ids: list[int] = []
    for encoded in tokenizer.encode_batch(training_text(split), add_special_tokens=False):
        ids.extend(encoded.ids)
        ids.append(end)
    return torch.tensor(ids, dtype=torch.long)
