"""The road from RNN to LLM as a map one can walk."""

import streamlit as st

from app import frame, syllabus, thumbnails
from app.controls import Controls
from app.syllabus import Station
from models.errors import CheckpointError

look = frame.look()
with st.container(key="lab_head", gap="small"):
    st.title("Attention Lab", anchor=False)
    st.markdown(
        "See how language models came from RNNs to LLMs: each stop asks one question and answers it with a small model "
        "that really runs, on **your sentence**. Nothing is drawn by hand; every picture is a tensor computed a moment ago."
    )
    sentence = Controls(Station("home", "Home", "")).sentence("Your sentence, carried from page to page")


def stop(station: Station) -> None:
    """One station: its live picture, its name as a link, its question."""
    try:
        picture = thumbnails.png(station.slug, sentence, look)
    except CheckpointError as problem:
        picture = None
        st.caption(str(problem))
    if picture:
        st.image(picture, width="stretch")
    frame.link(station, f"**{station.title}**")
    st.caption(station.question)


for number, chapter in enumerate(syllabus.CHAPTERS, 1):
    with st.container(key=f"lab_chapter_{number}"):
        story, stops = st.columns([2, 7], gap="medium")
        with story:
            st.subheader(f"{number} · {chapter.title}", anchor=False)
            st.markdown(chapter.story)
        with stops:
            here = [station for station in chapter.stations if station.built]
            later = [station.title for station in chapter.stations if not station.built]
            if here:
                for place, station in zip(st.columns(4), here, strict=False):
                    with place:
                        stop(station)
            if later:
                st.caption(f"Coming: {', '.join(later)}.")
    st.divider()
