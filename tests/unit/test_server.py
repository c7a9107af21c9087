"""The process around the pages."""

from app import server


def test_what_streamlit_says_of_the_theme_is_read_once_and_stays_the_same(monkeypatch):
    read = []

    def options(section):
        read.append(section)
        return {"primaryColor": section}

    monkeypatch.setattr(server.config, "get_options_for_section", options)
    server.remember_options()
    for _ in range(3):
        for section in ("theme", "theme.dark"):
            held = server.config.get_options_for_section(section)
            assert held == {"primaryColor": section}
            held.clear()  # whoever changes what was given changes nothing
    assert read == ["theme", "theme.dark"]
