"""BERT's WordPiece tokenizer from its plain vocabulary file.

Lower-case, strip accents, split at spaces and punctuation, then cut each word greedily into the longest pieces the
vocabulary has; a piece that continues a word is written ``##piece``.
"""

from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

from models.errors import CheckpointError

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def well_formed(text: str) -> str:
    """The text with halves of surrogate pairs replaced: a tokenizer takes valid Unicode alone."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def load_wordpiece(path: Path) -> Tokenizer:
    """The tokenizer of a ``vocab.txt`` with one piece a line; it adds [CLS] and [SEP], and never pads or cuts.

    Raises:
        CheckpointError: if the file is missing or lacks a special token.
    """
    try:
        pieces = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"The vocabulary {path.name} of the model {path.parent.name} cannot be read.") from error
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    if missing := [name for name in SPECIAL if name not in vocabulary]:
        raise CheckpointError(f"The vocabulary of the model {path.parent.name} is damaged: {missing[0]} is missing.")
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIAL])
    return tokenizer
