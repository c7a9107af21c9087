"""Take the page with you: its link, the link as a QR code for a room, and the way back to the defaults."""

import io

import segno
import streamlit as st

from app import parts
from app.controls import DEFAULT_SENTENCE, Controls

MAX_LINK = 2000  # what every browser and messenger carries whole; far below a QR code's 2 953 bytes


def draw(controls: Controls) -> None:
    """The two small controls at the page's head. The link is made only when its box is open."""
    prefix = controls.station.prefix
    st.button("Reset", key=f"{prefix}_reset", type="tertiary", on_click=parts.whole(_reset), args=(controls,),
              help="All controls of this page, and the sentence, back to where they began")  # fmt: skip
    box = st.popover("Share", key=f"{prefix}_share", on_change="rerun")
    if not box.open:
        return
    address = link(controls)
    with box:
        st.markdown("This link opens the page as it stands: the controls, the sentence and the seed.")
        for length in controls.too_long:
            st.warning(
                f"Your own text is not in this link, because its {length:,} characters are too many for one: send the "
                "text beside the link, and let the other side paste it into the same box."
            )
        if len(address) > MAX_LINK:
            st.warning(
                f"With this text the link has {len(address):,} characters; many browsers and every QR code cut it. "
                "Shorten the sentence, or send the text beside the link."
            )
            return
        st.code(address, language=None, wrap_lines=True)
        st.image(
            qr(address),
            alt="This page's link as a QR code",
            caption="For the room: a phone opens the same state.",
            width=280,
        )


def link(controls: Controls) -> str:
    """The page's whole address with its state."""
    query = controls.query()
    base = (st.context.url or f"/{controls.station.slug}").split("?")[0]
    return f"{base}?{query}" if query else base


def qr(address: str) -> bytes:
    """A QR code as a PNG; error correction M survives a projector's glare."""
    buffer = io.BytesIO()
    segno.make(address, error="m").save(buffer, kind="png", scale=8, border=4)
    return buffer.getvalue()


def _reset(controls: Controls) -> None:
    controls.apply({name: controls.defaults.get(name, DEFAULT_SENTENCE) for name in controls.texts})
