"""The process around the pages."""

from streamlit import config
from streamlit.proto.NewSession_pb2 import CustomThemeConfig
from streamlit.runtime import app_session

from app import server

SECTIONS = ("theme", "theme.light", "theme.dark", "theme.sidebar", "theme.light.sidebar", "theme.dark.sidebar")


def themes() -> CustomThemeConfig:
    """As Streamlit puts it together for a run."""
    whole = CustomThemeConfig()
    for section in SECTIONS:
        message = whole
        for part in section.split(".")[1:]:
            message = getattr(message, part)
        app_session._populate_theme_msg(message, section)
    return whole


def test_what_streamlit_says_of_the_theme_is_read_once_and_stays_the_same(monkeypatch):
    original, read = config.get_options_for_section, []
    monkeypatch.setattr(config, "get_options_for_section", lambda name: read.append(name) or original(name))
    monkeypatch.setattr(app_session, "_populate_theme_msg", app_session._populate_theme_msg)  # put back at the end
    before = themes()
    assert before.ByteSize(), "there is a theme in config.toml"
    server.remember_theme()
    read.clear()
    for _ in range(3):
        after = themes()
        assert after == before
        assert [f.name for f, _ in after.ListFields()] == [f.name for f, _ in before.ListFields()]
        after.primary_color = "what one run does to it is not seen by the next"
    assert sorted(read) == sorted(SECTIONS)
