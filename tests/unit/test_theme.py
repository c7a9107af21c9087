"""Contrast and agreement of the colours."""

import tomllib

import pytest

from app import theme
from tests.conftest import ROOT

MODES = ("light", "dark")


def test_contrast_knows_black_on_white():
    assert theme.contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert theme.contrast("#777777", "#777777") == pytest.approx(1)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("role", theme.ROLES)
def test_role_colours_can_be_read_on_both_grounds(role, mode):
    look = theme.Look(mode)
    for ground in (look.background, look.panel):
        assert theme.contrast(look.text(role), ground) >= 4.5
        assert theme.contrast(look.role(role), ground) >= 3.0


@pytest.mark.parametrize("mode", MODES)
def test_ink_and_quiet_words_can_be_read(mode):
    look = theme.Look(mode)
    assert min(theme.contrast(c, g) for c in (look.ink, look.quiet) for g in (look.background, look.panel)) >= 4.5


@pytest.mark.parametrize("mode", MODES)
def test_streamlit_and_charts_share_their_colours(mode):
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["theme"][mode]
    assert config["backgroundColor"] == theme.BACKGROUND[mode]
    assert config["secondaryBackgroundColor"] == theme.PANEL[mode]
    assert config["textColor"] == theme.INK[mode]
    assert config["primaryColor"] == theme.ACCENT[mode]
    assert theme.contrast("#FFFFFF", theme.ACCENT[mode]) >= theme.TEXT_CONTRAST


@pytest.mark.parametrize("mode", MODES)
def test_scales_begin_at_the_page_and_signed_ones_have_it_in_the_middle(mode):
    look = theme.Look(mode)
    assert look.sequential[0] == [0.0, look.background]
    assert look.diverging[2] == [0.5, look.background]


def test_masked_is_never_the_colour_of_zero():
    for mode in MODES:
        assert theme.MASKED[mode] != theme.BACKGROUND[mode]
