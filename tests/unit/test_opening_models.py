"""What a visitor may have opened: shipped and fetched models, the hub only where the host allows it, never a path."""

import pytest

from app import compute
from models import fetch, pretrained
from models.errors import CheckpointError
from models.fetch import Availability


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    """Each test asks anew."""
    monkeypatch.delenv("ATTENTION_LAB_HUB", raising=False)
    compute._refused.clear()
    compute._foreign.cache_clear()
    yield
    compute._refused.clear()
    compute._foreign.cache_clear()


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../../secret/model", "a/b/c", "owner/..", "https://host/model", "C:\\models\\x", "gpt2", "o wner/name", "", "a/b\n", "\ud800/x"],
)  # fmt: skip
def test_a_text_that_is_no_hub_name_is_refused_before_anything_is_touched(name, monkeypatch):
    monkeypatch.setenv("ATTENTION_LAB_HUB", "1")
    monkeypatch.setattr(pretrained, "load_pretrained", lambda *a, **k: pytest.fail("opened"))
    with pytest.raises(CheckpointError, match="owner/name"):
        compute.model(name)


def test_the_hub_is_off_unless_the_host_turns_it_on(monkeypatch):
    monkeypatch.setattr(pretrained, "load_pretrained", lambda *a, **k: pytest.fail("opened"))
    for value in ("", "0", "yes"):
        monkeypatch.setenv("ATTENTION_LAB_HUB", value)
        compute._refused.clear()
        with pytest.raises(CheckpointError, match="ATTENTION_LAB_HUB=1"):
            compute.model("owner/name")


def test_an_allowed_name_reaches_the_hub_as_a_name_and_a_refusal_is_not_asked_again(monkeypatch):
    asked = []

    def unreachable(source, **more):
        asked.append(source)
        raise CheckpointError("The hub cannot be reached.")

    monkeypatch.setenv("ATTENTION_LAB_HUB", "1")
    monkeypatch.setattr(pretrained, "load_pretrained", unreachable)
    for _ in range(3):
        with pytest.raises(CheckpointError, match="cannot be reached"):
            compute.model("owner/name")
    assert asked == ["owner/name"]


def test_a_model_that_is_open_stays_on_offer_when_memory_is_short(monkeypatch):
    monkeypatch.setattr(fetch, "available", lambda name: Availability(True, False, "needs more"))
    monkeypatch.setattr(compute, "_opened", set())
    assert not compute.offered("smollm2").offered
    compute._opened.add("smollm2")
    assert compute.offered("smollm2").offered
