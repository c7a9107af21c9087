"""The road from RNN to LLM as data: the menu, the home map, previous/next and the tests read it.

A page is there when its file is; a station without a file is "coming" and never a link.
"""

from dataclasses import dataclass
from pathlib import Path

PAGES = Path(__file__).resolve().parent.parent / "pages"


@dataclass(frozen=True)
class Station:
    """One concept: ``slug`` is its public address and never changes."""

    slug: str
    title: str
    question: str

    @property
    def file(self) -> Path:
        return PAGES / f"{self.slug.replace('-', '_')}.py"

    @property
    def built(self) -> bool:
        return self.file.exists()

    @property
    def prefix(self) -> str:
        """What the keys of this page's controls begin with, in the session and in the URL."""
        return self.slug.replace("-", "_")


@dataclass(frozen=True)
class Chapter:
    title: str
    story: str
    stations: tuple[Station, ...]


CHAPTERS = (
    Chapter(
        "Text becomes numbers",
        "A model reads numbers. First a text is cut into tokens, then each token becomes a vector.",
        (
            Station("bpe-merges", "BPE merges", "How does text become tokens?"),
            Station("embeddings", "Embeddings", "What does a token id become?"),
        ),
    ),
    Chapter(
        "Recurrence",
        "1986 to 2015: one state, handed from word to word. Its gradient fades; gates keep it alive.",
        (
            Station("rnn-gradients", "RNN gradients", "Why do recurrent networks forget?"),
            Station("lstm-gates", "LSTM gates", "How does a gate remember?"),
            Station("seq2seq", "Sequence to sequence", "How does one sequence become another?"),
            Station("seq2seq-attention", "Attention in seq2seq", "What did attention fix?"),
        ),
    ),
    Chapter(
        "Attention",
        "2014 to 2017: every word looks at every other, in one step.",
        (
            Station("attention", "Attention", "How does a token look at the others?"),
            Station("multi-head", "Multi-head attention", "Why several heads?"),
            Station("causal-mask", "Causal mask", "Why may a token not look ahead?"),
            Station("positional-encoding", "Positional encoding", "How does attention know the order?"),
        ),
    ),
    Chapter(
        "The transformer",
        "2017: attention, a small network and a residual stream, stacked.",
        (
            Station("transformer-block", "Transformer block", "What does one block add?"),
            Station("encoder-decoder", "Encoder and decoder", "How did the first transformer translate?"),
            Station("parallel-race", "The parallel race", "Why did recurrence lose?"),
            Station("bert-gpt-t5", "BERT, GPT, T5", "What do three masks teach?"),
        ),
    ),
    Chapter(
        "Inside a trained model",
        "Open a model that has learned, and look.",
        (
            Station("head-explorer", "Head explorer", "What do the heads of a trained model look at?"),
            Station("next-token", "Next token", "How does a model choose the next word?"),
        ),
    ),
    Chapter(
        "Training a language model",
        "2018 to 2022: predict the next token, then adapt, then align.",
        (
            Station("pretraining", "Pre-training", "What does predicting the next token teach?"),
            Station("optimisation", "Optimisation", "How are large models trained at all?"),
            Station("fine-tuning", "Fine-tuning", "How does a trained model learn a new task?"),
            Station("alignment", "Alignment", "How does a model learn to do what is asked?"),
            Station("scaling-laws", "Scaling laws", "What does size buy?"),
        ),
    ),
    Chapter(
        "Running a language model",
        "2020 and after: make it fast, small, informed and honest.",
        (
            Station("kv-cache", "KV cache", "Why is the second token cheaper than the first?"),
            Station("compression", "Compression", "How does a large model fit a small machine?"),
            Station("long-context", "Long context", "What does a long text cost?"),
            Station("retrieval", "Retrieval", "How does a model answer from sources?"),
            Station("prompting", "Prompting", "What can a prompt alone do?"),
            Station("limits", "Limits", "What can these models not do?"),
        ),
    ),
)

STATIONS = {station.slug: station for chapter in CHAPTERS for station in chapter.stations}


def built() -> list[Station]:
    """The stations that have a page, in the order of the road."""
    return [station for station in STATIONS.values() if station.built]


def chapter_of(slug: str) -> tuple[int, Chapter]:
    """The 1-based number and the chapter that a station belongs to. Raises KeyError for an unknown slug."""
    for number, chapter in enumerate(CHAPTERS, 1):
        if any(station.slug == slug for station in chapter.stations):
            return number, chapter
    raise KeyError(slug)


def neighbours(slug: str) -> tuple[Station | None, Station | None]:
    """The built stations before and after this one on the road."""
    road = built()
    at = next(i for i, station in enumerate(road) if station.slug == slug)
    return (road[at - 1] if at else None), (road[at + 1] if at + 1 < len(road) else None)
