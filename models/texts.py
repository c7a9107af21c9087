"""The texts that the app brings along, by name (sources and licences: ``assets/text/README.md``)."""

import json
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "assets" / "text"


@lru_cache(maxsize=8)
def read(name: str) -> str:
    """A text of ``assets/text`` without its ending .txt."""
    return (FOLDER / f"{name}.txt").read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def human_rights() -> dict[str, str]:
    """One sentence in twelve languages: language -> sentence, English first."""
    rows = json.loads((FOLDER / "human_rights.json").read_text(encoding="utf-8"))["sentences"]
    return {row["language"]: row["text"] for row in rows}
