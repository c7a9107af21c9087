"""The road from RNN to LLM as a map one can walk."""

import streamlit as st

from app import frame, journal, syllabus, thumbnails, tour
from app.controls import Controls
from app.syllabus import Chapter, Station
from models.errors import CheckpointError

ACROSS = 4  # chapters side by side

look = frame.look()
tour.leave()
with st.container(key="lab_head", gap="small"):
    st.title("Attention Lab", anchor=False)
    st.markdown(
        "See how language models came from RNNs to LLMs: each stop asks one question and answers it with a small model "
        "that really runs, on **your sentence**. Every picture, those below too, is a tensor computed a moment ago."
    )
    sentence = Controls(Station("home", "Home", "")).sentence("Your sentence, carried from page to page")
    journal.draw("home")


def stop(station: Station) -> None:
    """One station: its live picture, its name as a link, its question under the pointer."""
    try:
        picture = thumbnails.png(station.slug, sentence, look)
    except CheckpointError:
        picture = None  # the page itself says what is missing
    if picture:
        st.image(picture, width="stretch", alt=f"{station.title}, computed from your sentence")
    frame.link(station, help=station.question)


def draw_chapter(number: int, chapter: Chapter) -> None:
    """A chapter's title, its story, its stops two by two, and what is coming."""
    st.subheader(f"{number} · {chapter.title}", anchor=False)
    st.markdown(chapter.story)
    here = [station for station in chapter.stations if station.built]
    later = [station.title for station in chapter.stations if not station.built]
    for first in range(0, len(here), 2):
        for place, station in zip(st.columns(2, gap="small"), here[first : first + 2], strict=False):
            with place:
                stop(station)
    if later:
        st.caption(f"Coming: {', '.join(later)}.")


numbered = list(enumerate(syllabus.CHAPTERS, 1))
for first in range(0, len(numbered), ACROSS):
    for place, (number, chapter) in zip(
        st.columns(ACROSS, gap="medium"), numbered[first : first + ACROSS], strict=False
    ):
        with place, st.container(key=f"lab_chapter_{number}", gap="small"):
            draw_chapter(number, chapter)
