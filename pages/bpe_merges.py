"""How does text become tokens? Byte-pair encoding trained live, every merge replayed, beside the tokenizers of real models."""

import math
from collections.abc import Sequence

import numpy as np
import streamlit as st

from app import compute, text
from app.controls import Controls
from app.figures import charts, heatmap, merges, tokens
from app.figures.tokens import Chip, chip
from app.frame import Experiment, Lab, Prediction, Proof, Stage
from app.recipe import Recipe
from models import bpe_reference, texts, tokenizers_zoo
from models.bpe import BPEConfig, Candidate, train, train_timed
from models.bpe_encode import decode, encode, merge_tree, piece_of
from models.bpe_symbols import sound, split_words

PARAGRAPH, SENTENCE, SONNETS, WIKIPEDIA, OWN = (
    "A paragraph about pieces", "Your sentence", "32 sonnets", "Wikipedia's example", "A text of your own")  # fmt: skip
SOURCES = {
    PARAGRAPH: "The text was written for this page.",
    SONNETS: "The text is Shakespeare's, sonnets 1 to 32, in the public domain.",
}
COUNTS = (10, 20, 50, 100, 200, 500, 1000)
MAX_TEXT, MAX_WORD, MAX_CHIPS, MAX_BARS = 20_000, 24, 260, 6
OPEN_AT = 40
EMOJI = "Emoji: 🤝 👍🏽 👩‍👩‍👧‍👦 🇺🇳"
EXPERIMENTS = (
    Experiment("under · stand · ing", {"step": OPEN_AT}, "After 40 merges a rare word is cut where a reader would cut it."),
    Experiment("The first merge", {"step": 1}, "One pair stands more often than all others, so it becomes one piece."),
    Experiment("Wikipedia's example", {"corpus": WIKIPEDIA, "alphabet": "characters", "split": "none", "step": 3},
               "aaabdaaabac becomes XdXac, with X = aaab."),
    Experiment("A tie", {"corpus": SENTENCE, "sentence": "ba ab ba ab", "step": 2}, "Equal counts: the pair of older symbols wins."),
    Experiment("Sonnets, 1000 merges", {"corpus": SONNETS, "n_merges": 1000, "step": 1000},
               "20 000 characters: common words are single tokens by now."),
    Experiment("Across spaces", {"split": "none", "step": 60}, "Without borders between words, a piece may begin in one word and end in the next."),
    Experiment("Other scripts", {"corpus": SENTENCE, "sentence": "naïve 北京 👩‍👩‍👧 สวัสดี مرحبا", "step": 3},
               "One character may take four bytes, and a token may be a part of a character."),
)  # fmt: skip


def training_text(corpus: str, sentence: str, own: str) -> str:
    if corpus == WIKIPEDIA:
        return "aaabdaaabac"
    if corpus in (SENTENCE, OWN):
        return sentence if corpus == SENTENCE else own
    return texts.read("bpe_paragraph" if corpus == PARAGRAPH else "sonnets")


def several(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"


def name_of(index: int) -> str:
    """A symbol as plain text, made visible."""
    return text.visible(tokens.spelt(piece_of(index, trace))[0])


def strip_of_text(corpus: Sequence[Sequence[int]], new: int) -> tuple[list[list[Chip]], bool]:
    """The words of the text as chips, cut to a window that holds the newest piece; whether it is cut."""
    first = next((i for i, ids in enumerate(corpus) if new in ids), 0)
    start = first - 4 if first > 60 else 0
    words: list[list[Chip]] = []
    left = MAX_CHIPS
    for whole in corpus[start:]:
        ids = whole[:left]
        words.append([chip(trace.vocab[i], f"id {i}", "strong" if i == new else "plain") for i in ids])
        left -= len(ids)
        if left <= 0:
            break
    return words, left <= 0 or start > 0


def deciding_counts(ranked: Sequence[Candidate], merged: bool) -> list[merges.Bar]:
    """The most frequent pairs; where one is merged it was the first."""
    ranked = ranked[:MAX_BARS]
    state = [
        "other" if not merged else "chosen" if not i else "tied" if c.count == ranked[0].count else "other"
        for i, c in enumerate(ranked)
    ]
    return [
        merges.Bar(f"{name_of(c.left)} + {name_of(c.right)}", c.count, s) for c, s in zip(ranked, state, strict=True)
    ]


def guess() -> Prediction:
    """Which pair comes next, from the counts as they stand now; or what a text costs when nothing is left to merge."""
    ranked = trace.candidates(step)
    if step < len(trace.merges) and len(ranked) > 1:
        few = sorted(ranked[:4], key=lambda c: (name_of(c.left), name_of(c.right), c.left, c.right))
        ties = sum(c.count == ranked[0].count for c in ranked)
        why = f"It stands {ranked[0].count} times" + (
            f", like {ties - 1} more; of equals the pair of older symbols wins (ids {ranked[0].left} and {ranked[0].right})."
            if ties > 1 else f"; the runner-up stands {ranked[1].count} times."
        )  # fmt: skip
        labels = [f"{text.code(name_of(c.left))} + {text.code(name_of(c.right))}" for c in few]
        options = tuple(
            label + (f" (ids {pair.left}, {pair.right})" if labels.count(label) > 1 else "")
            for label, pair in zip(labels, few, strict=True)
        )
        return Prediction(
            f"{several(step, 'merge')} done. Which pair will merge {step + 1} glue?", options, few.index(ranked[0]), why
        )
    n = len(encode(word, trace, step))
    options = tuple(str(i) for i in range(max(1, n - 1), max(1, n - 1) + 4))
    return Prediction(f"No pair is left to merge. Into how many tokens is {text.code(word)} cut?", options, options.index(str(n)),
                      "Its tokens: " + " ".join(text.code(name_of(i)) for i in encode(word, trace, step)) + ".")  # fmt: skip


def pick_text(c: Controls) -> tuple[str, str]:
    sentence = c.sentence()
    corpus = c.choice("corpus", "Train on", [PARAGRAPH, SENTENCE, SONNETS, WIKIPEDIA, OWN], PARAGRAPH)
    with c.popover("A text of your own"):
        label = f"Up to {MAX_TEXT:,} characters. It stays in this session, and in a link while it is short."
        own = c.area("own", label, texts.read("bpe_paragraph"), MAX_TEXT, height=220)
        c.say(f"Choose “{OWN}” under “Train on” to use it.")
    return sentence, training_text(corpus, sentence, own)


lab = Lab("bpe-merges")
with lab.controls(EXPERIMENTS) as c:
    sentence, corpus_text = pick_text(c)
    alphabet = c.segments("alphabet", "Start from", ("bytes", "characters"), "bytes")
    split = c.segments("split", "Borders that no merge crosses", ("words", "none"), "words")
    n_merges = c.steps("n_merges", "Merges to learn, at most", COUNTS, 200)
    config = BPEConfig(n_merges, alphabet, split, min_count=2)
    trace, seconds = compute.run(train_timed, corpus_text, config)
    n_step = len(trace.merges)
    # Steps and not a slider: a slider whose ends move is a new widget, and an experiment could not set it.
    step = c.steps(
        "step",
        "Merges done",
        list(range(n_step + 1)),
        min(OPEN_AT, n_step),
        help="Drag, or use the arrow keys: every merge is here.",
    )

ratio, start = trace.n_token(step) / trace.n_char, trace.n_token(0) / trace.n_char
pair = lab.tint("weight", "(a, b)")
lab.formula(
    rf"{pair} = \underset{{(x,\,y)}}{{\arg\max}}\ \text{{count}}(xy), \qquad \text{{every }} a\,b \to ab",
    f"{several(step, 'merge')}: ${trace.n_base} + {step} = {trace.n_base + step}$ symbols, ${ratio:.2f}$ tokens per character",
)
corpus, before = trace.corpus_at(step), trace.candidates(max(step - 1, 0))
words, cut = strip_of_text(corpus, trace.merges[step - 1].new if step else -1)
lab.stage(Stage(
    "bpe_merges_text", f"The text after merge {step}" if step else "The text before the first merge",
    tokens.strip(words, lab.look, f"The training text in {trace.n_token(step)} tokens", tall=216),
    shape=f"tokens [{trace.n_token(step):,}]", alt=f"The training text in {trace.n_token(step)} tokens", tensors={
        "token_ids": np.array([i for ids in corpus for i in ids]),
        "merges": np.array([(m.left, m.right, m.new, m.count) for m in trace.merges], dtype=int).reshape(-1, 4),
    },
    made_by=f"Trained on {trace.n_char:,} characters in {seconds:.2f} s on the CPU. Filled: the newest piece."
    + (" A window of the text is shown." if cut else "") + " Hover a piece for its id and bytes.",
))  # fmt: skip
bars = deciding_counts(before, merged=step > 0)
if bars:
    lab.stage(Stage(
        "bpe_merges_counts", f"What decided merge {step}" if step else "Pairs before the first merge",
        merges.candidates(bars, lab.look, height=226), alt="; ".join(f"{bar.label}: {bar.count}" for bar in bars), shape="counts [pair]",
    ))  # fmt: skip

if step:
    merge = trace.merges[step - 1]
    ties = sum(c.count == merge.count for c in before)
    made = text.code(tokens.spelt(trace.vocab[merge.new])[0])
    longest = max(trace.vocab[: trace.n_base + step], key=len)
    lab.notice(
        f"Merge {step} glued {text.code(name_of(merge.left))} and {text.code(name_of(merge.right))} into {made}: the pair stood **{merge.count}** times"
        + (f", as did {ties - 1} more; the pair of the older symbols (ids {merge.left} and {merge.right}) wins a tie."
           if ties > 1 else f", the runner-up {before[1].count}." if len(before) > 1 else "."),
        f"Only {merge.replaced} could be glued, because they overlap." if merge.replaced < merge.count else "",
        f"The text has shrunk from {start:.2f} to **{ratio:.2f}** tokens per character; the longest piece is {text.code(tokens.spelt(longest)[0])}.",
    )  # fmt: skip
else:
    lab.notice(
        f"Nothing is merged: {trace.n_char:,} characters are {trace.n_token(0):,} symbols."
        + ("" if n_step else " No pair stands twice, so there is nothing to learn; a longer text has more to say.")
    )

_, main = lab.section("What this merge changed", key="changed", wide=True)
with main:
    if step:
        new, parts = trace.merges[step - 1], (trace.merges[step - 1].left, trace.merges[step - 1].right)
        touched = trace.touched(step - 1)
        table = [
            [[[chip(trace.vocab[i], f"id {i}", "framed" if i in parts else "plain") for i in trace.word_at(word, step - 1)[:30]]], "→",
             [[chip(trace.vocab[i], f"id {i}", "strong" if i == new.new else "plain") for i in trace.word_at(word, step)[:30]]],
             f"{trace.frequency[word]}\u00a0×"]
            for word in touched[:6]
        ]  # fmt: skip
        lab.draw(Stage(
            "bpe_merges_changed", "The words it is in, before and after", tokens.rows(table, lab.look, f"{several(len(table), 'word')} before and after merge {step}"),
            alt=f"{several(len(table), 'word')} before and after merge {step}", shape=f"words [{len(touched)} of {len(trace.words)}]",
            tensors={"frequency": np.array([trace.frequency[word] for word in touched]),
                     "tokens_before": np.array([len(trace.word_at(word, step - 1)) for word in touched]),
                     "tokens_after": np.array([len(trace.word_at(word, step)) for word in touched])},
            made_by=f"The {min(6, len(touched))} most frequent of {len(touched)} distinct words." if len(touched) > 6 else "",
        ))  # fmt: skip
    else:
        st.markdown("Move “Merges done” to 1 to see the first.")

_, main = lab.section("The vocabulary grows, the text shrinks", key="curves", wide=True)
with main:
    at = sorted({round(x) for x in np.linspace(0, n_step, 160)})
    chosen = {"the chosen pair's count": [trace.merges[max(k - 1, 0)].count if n_step else 0 for k in at]}
    curves = (
        ("Symbols in the vocabulary", {"symbols": [trace.n_base + k for k in at]}, "value", "symbols", None),
        (
            "Tokens per character",
            {"tokens per character": [trace.n_token(k) / trace.n_char for k in at]},
            "query",
            "tokens",
            (0, start),
        ),
        ("Count of the chosen pair", chosen, "weight", "times", None),
    )
    for place, (title, series, role, y_title, domain) in zip(st.columns(3), curves, strict=True):
        name, ys = next(iter(series.items()))
        with place:
            lab.draw(Stage(
                f"bpe_merges_curve_{role}", title,
                charts.lines(at, series, lab.look, x_title="merges", y_title=y_title, mark=step, colours={name: role}, y_domain=domain),
                alt=f"{title} over {n_step} merges: from {ys[0]:.4g} to {ys[-1]:.4g}.",
            ))  # fmt: skip

side, main = lab.section("Any word, merge by merge", key="word")
with side:
    word = c.text("word", "A word", "understanding", MAX_WORD)
    led = c.switch(
        "led", "With the space before it", False, help="In a running text a word carries the space before it."
    )
    st.markdown(
        "The merges are applied in the order in which they were learned. A word that the training never saw falls into the "
        "largest pieces it did see, down to single bytes."
    )
    spoken = " " + word if led else word
    tree = merge_tree(spoken, trace, step)
with main:
    nodes = [
        merges.Node(
            text.plotly(tokens.spelt(node.piece)[0]),
            f"id {node.id}" + (f", merge {node.step + 1}" if node.step is not None else ""),
            node.start, node.end, node.left, node.right,
        ) for node in tree.nodes
    ]  # fmt: skip
    spelling = " · ".join(text.visible(tokens.spelt(node.piece)[0]) for node in tree.tokens)
    lab.draw(Stage(
        "bpe_merges_tree", "The tree of a word", merges.tree(nodes, tree.roots, lab.look), shape=f"tokens [{len(tree.roots)}]",
        alt=f"After {several(step, 'merge')} the word is cut into {spelling}.",
        tensors={name: np.array([-1 if getattr(n, name) is None else getattr(n, name) for n in tree.nodes]) for name in ("id", "start", "end", "step", "left", "right")},
        made_by=f"Filled: its tokens after {several(step, 'merge')}, ids {', '.join(str(node.id) for node in tree.tokens[:12])}. Hover a piece for its merge.",
    ))  # fmt: skip
    seen = set(split_words(corpus_text))
    level_rows = [
        ["characters", [[Chip(char) for char in spoken]], f"{len(spoken)} of a vocabulary of {len(set(corpus_text)):,}"],
        ["subwords", [[chip(node.piece, f"id {node.id}") for node in tree.tokens]], f"{len(tree.roots)} of {trace.n_base + step:,}"],
        ["words", [[Chip(piece, mark="plain" if piece in seen else "framed") for piece in split_words(spoken)]],
         f"{len(split_words(spoken))} of {len(seen):,}" + ("" if spoken in seen else "; framed: unknown to the training text")],
    ]  # fmt: skip
    counts = [len(spoken), len(tree.roots), len(split_words(spoken))]
    said = f"Cut into {several(counts[0], 'character')}, {several(counts[1], 'subword')}, {several(counts[2], 'word')}"
    lab.draw(Stage("bpe_merges_levels", "The same word at three levels", tokens.rows(level_rows, lab.look, said), alt=said, tensors={"tokens": np.array(counts)},
                   made_by="Vocabularies of this page's training text. Every new word needs a word vocabulary to grow; the subwords are enough for all."))  # fmt: skip

RIGHTS = texts.human_rights()
side, main = lab.section("The tokenizers of real models", key="real")
with side:
    which = c.choice("which", "Text", [SENTENCE, EMOJI, *RIGHTS], SENTENCE)
    form = c.segments("form", "Show", ("pieces", "ids", "bytes"), "pieces")
    st.markdown(
        "Four of them learned merges as this page does, from far more text; BERT's WordPiece takes the longest piece it knows. "
        "A dot is a space. A piece in italics is a part of a character, shown by its bytes."
    )
shown_text = sentence if which == SENTENCE else EMOJI.removeprefix("Emoji: ") if which == EMOJI else RIGHTS[which]
real = compute.run(tokenizers_zoo.tokenize_all, shown_text)
ours = encode(shown_text, trace, step)


def chips_of(pairs: list[tuple[int, bytes]]) -> list[list[Chip]]:
    """(id, bytes) of each token in the chosen form; a line may break before a space."""
    words: list[list[Chip]] = []
    for i, raw in pairs:
        if not words or raw.startswith(b" "):
            words.append([])
        unknown = raw in (b"[UNK]", b"<unk>")
        label = raw.decode() if unknown else str(i) if form == "ids" else tokens.hexadecimal(raw)
        words[-1].append(chip(raw, f"id {i}") if form == "pieces" else Chip(label, f"id {i} · {tokens.spelt(raw)[0]}"))
    return words


with main:
    rows = [
        (
            "This page",
            f"BPE, {trace.n_base + step:,} symbols, {several(step, 'merge')}",
            [(i, piece_of(i, trace)) for i in ours],
            True,
            0,
        )
    ]
    for entry, result in zip(tokenizers_zoo.ZOO, real, strict=True):
        about = f"{entry.kind}, {entry.n_vocab:,} symbols, {entry.used_by} ({entry.year})"
        rows.append(
            (entry.title, about, [(token.id, token.raw) for token in result.tokens], result.lossless, result.n_unknown)
        )
    for title, about, pairs, lossless, unknown in rows:
        lost = f", {unknown} unknown" if unknown else "" if lossless else ", cannot be undone"
        counted = f"{several(len(pairs), 'token')}, {len(pairs) / len(shown_text):.2f} per character{lost}"
        lab.draw(Stage(
            f"bpe_merges_real_{title}", f"{title}: {counted}", tokens.strip(chips_of(pairs[:200]), lab.look, f"{title}: {counted}", tall=150),
            alt=f"{title}: {counted}", shape=about, tensors={"ids": np.array([index for index, _ in pairs])},
        ))  # fmt: skip

side, main = lab.section("What other scripts cost", key="scripts")
costs = np.array(
    [[len(t.tokens) for t in compute.run(tokenizers_zoo.tokenize_all, sample)] for sample in RIGHTS.values()]
)
unknown_at = np.array(
    [[t.n_unknown > 0 for t in compute.run(tokenizers_zoo.tokenize_all, sample)] for sample in RIGHTS.values()]
)
relative = costs / costs[0]
known = np.where(unknown_at, 0, relative)
dear = np.unravel_index(int(known.argmax()), known.shape)
names, titles = list(RIGHTS), [entry.title for entry in tokenizers_zoo.ZOO]
sizes = {entry.name: entry.n_vocab for entry in tokenizers_zoo.ZOO}
fall = {title: relative[1:, n].mean() for n, title in enumerate(titles)}
with side:
    st.markdown(
        f"One sentence of the Universal Declaration of Human Rights in twelve languages. In {names[dear[0]]}, {titles[dear[1]]} needs "
        f"**{known[dear]:.1f} times** the tokens of English: the same meaning costs more money, more time and more of the context.\n\n"
        f"On average the eleven others cost {fall['GPT-2']:.1f} times English with GPT-2, {fall['cl100k']:.1f} with cl100k and "
        f"{fall['o200k']:.1f} with o200k, whose vocabulary is {sizes['o200k'] / sizes['gpt2']:.1f} times GPT-2's."
    )
with main:
    lab.draw(Stage(
        "bpe_merges_scripts", "Tokens for the same sentence, English = 1",
        heatmap.heatmap(
            relative, names, titles, lab.look, limit=math.ceil(known.max()), masked=unknown_at, value_name="× English", numbers=True, height=520,
        ),
        alt=f"Tokens relative to English, twelve languages by five tokenizers; the largest is {known[dear]:.1f}.",
        shape=f"ratio [language {len(names)} × tokenizer {len(titles)}]",
        made_by="Hatched: the tokenizer has no piece for some characters and writes [UNK]. Files and licences: assets/tokenizers.",
    ))  # fmt: skip

lab.predict(guess())

clean = sound(corpus_text)  # the library refuses lone surrogates
mine = compute.run(train_timed, clean, config)[0]
library = compute.run(bpe_reference.train_library, clean, config, mine.n_vocab)
so_far = compute.run(bpe_reference.train_library, clean, config, mine.n_base + min(step, len(mine.merges)))
pairs = bpe_reference.merges_of(mine)
wrong = sum(a != b for a, b in zip(pairs, library.merges, strict=False)) + abs(len(pairs) - len(library.merges))
covered = "".join(char for char in sound(sentence) if alphabet == "bytes" or char in clean)
ids = encode(covered, mine, step)
lab.prove(
    Proof(f"The {several(len(pairs), 'merge')} learned", "tokenizers.trainers.BpeTrainer", wrong, 0, (train,)),
    Proof(f"The {len(ids)} ids of your sentence after {several(step, 'merge')}", "tokenizers.Tokenizer.encode", float(ids != so_far.encode(covered)), 0, (encode,)),
    Proof("decode(encode(your sentence))", "your sentence", float(decode(encode(sentence, trace, step), trace) != sentence), 0, (decode,)),
)  # fmt: skip


def recipe() -> Recipe:
    """The training as code, in plain Python: the text, and as many merges of it as the page learned."""
    return Recipe(
        {name: f"bpe_merges_text.{name}" for name in ("token_ids", "merges")},
        uses=(train, BPEConfig),
        settings={"TEXT": corpus_text, "N_MERGES": n_merges, "ALPHABET": alphabet, "SPLIT": split, "MIN_COUNT": config.min_count, "STEP": step},
        run="""
trace = train(TEXT, BPEConfig(N_MERGES, ALPHABET, SPLIT, MIN_COUNT))
merges = [(merge.left, merge.right, merge.new, merge.count) for merge in trace.merges]
token_ids = [token for word in trace.corpus_at(STEP) for token in word]
""",
        shows="""
for number, (left, right, new, count) in enumerate(merges[:STEP][:20], 1):
    a, b = (trace.vocab[symbol].decode("utf-8", "backslashreplace") for symbol in (left, right))
    say(f"merge {number:3}: {a!r} + {b!r} becomes {new}, {count} times")
say(f"{len(merges)} merges learned; after {STEP} of them the text has {len(token_ids)} tokens:")
say(f"{token_ids[:40]} ...")
""",
        note=SOURCES.get(c.values["corpus"], ""),
    )  # fmt: skip


lab.recipe(recipe)
