"""Role colours, colour scales and the look of every chart: the one place with a colour in it.

Role colours follow Okabe and Ito's palette (2008, "Color Universal Design"), which the common colour-blindnesses can
tell apart; the letter always stands beside the colour.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

Mode = Literal["light", "dark"]

ROLES = {
    "query": "#0072B2",
    "key": "#D55E00",
    "value": "#009E73",
    "weight": "#7B4FA3",
    "hidden": "#56B4E9",
    "cell": "#E69F00",
    "forget": "#CC79A7",
    "input": "#F0E442",
    "output": "#999999",
    "gradient": "#C0392B",
}
SYMBOLS = {"query": "Q", "key": "K", "value": "V", "weight": "A", "hidden": "h", "cell": "c",
           "forget": "f", "input": "i", "output": "o", "gradient": "∂"}  # fmt: skip

# The same hexadecimals stand in .streamlit/config.toml; a test holds the two together.
BACKGROUND = {"light": "#FFFFFF", "dark": "#12151C"}
PANEL = {"light": "#F4F5F8", "dark": "#1C212B"}
INK = {"light": "#1C2230", "dark": "#E6E9F0"}
FAINT = {"light": "#DADDE5", "dark": "#343B49"}
QUIET = {"light": "#5A6376", "dark": "#9AA5BA"}
ACCENT = {"light": "#3A4D6E", "dark": "#5B76AE"}
MASKED = {"light": "#C9CDD6", "dark": "#3A414F"}
COLD, WARM = "#2166AC", "#B2182B"  # the two ends of every signed scale, after ColorBrewer's RdBu

TEXT_CONTRAST = 4.5  # WCAG 2.2, success criterion 1.4.3


def rgb(colour: str) -> tuple[float, float, float]:
    return tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))  # type: ignore[return-value]


def mix(a: str, b: str, share: float) -> str:
    """``share`` of colour b in colour a, mixed in sRGB."""
    return "#" + "".join(f"{round(255 * (x + (y - x) * share)):02X}" for x, y in zip(rgb(a), rgb(b), strict=True))


def contrast(a: str, b: str) -> float:
    """WCAG 2.2 contrast ratio of two colours, 1 to 21."""

    def luminance(colour: str) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb(colour)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@lru_cache(maxsize=128)
def readable(colour: str, mode: Mode, ratio: float = TEXT_CONTRAST) -> str:
    """The colour, moved towards the theme's ink just far enough to be read as text on background and panel."""
    for step in range(101):
        candidate = mix(colour, INK[mode], step / 100)
        if min(contrast(candidate, BACKGROUND[mode]), contrast(candidate, PANEL[mode])) >= ratio:
            return candidate
    return INK[mode]


@dataclass(frozen=True)
class Look:
    """How charts and text look in one theme; what ``app/figures`` is given."""

    mode: Mode = "light"

    @property
    def background(self) -> str:
        return BACKGROUND[self.mode]

    @property
    def panel(self) -> str:
        return PANEL[self.mode]

    @property
    def ink(self) -> str:
        return INK[self.mode]

    @property
    def quiet(self) -> str:
        return QUIET[self.mode]

    @property
    def faint(self) -> str:
        return FAINT[self.mode]

    @property
    def masked(self) -> str:
        return MASKED[self.mode]

    def role(self, role: str) -> str:
        """A role's colour for areas, lines and marks (3:1 on the background, WCAG 1.4.11)."""
        return readable(ROLES[role], self.mode, 3.0)

    def text(self, role: str) -> str:
        """A role's colour for words and symbols (4.5:1 on the background)."""
        return readable(ROLES[role], self.mode)

    @property
    def sequential(self) -> list[list[Any]]:
        """Probabilities: page background to purple, always 0 to 1 or to a maximum that the figure names."""
        deep = (
            mix(ROLES["weight"], INK["light"], 0.25) if self.mode == "light" else mix(ROLES["weight"], "#FFFFFF", 0.5)
        )
        return [[0.0, self.background], [0.5, mix(self.background, ROLES["weight"], 0.62)], [1.0, deep]]

    @property
    def diverging(self) -> list[list[Any]]:
        """Signed values: blue below zero, background at zero, red above; always symmetric."""
        far = 0.0 if self.mode == "light" else 0.35
        cold, warm = mix(COLD, "#FFFFFF", far), mix(WARM, "#FFFFFF", far)
        middle = self.background
        return [
            [0.0, cold],
            [0.25, mix(middle, cold, 0.55)],
            [0.5, middle],
            [0.75, mix(middle, warm, 0.55)],
            [1.0, warm],
        ]

    def ramp(self, role: str) -> list[list[Any]]:
        """Zero to one in a role's own colour, for quantities that belong to that role alone (a gate, a norm)."""
        return [[0.0, self.background], [1.0, self.role(role)]]

    def layout(self, **more: Any) -> dict[str, Any]:
        """The Plotly layout every figure starts from; no template is sent, which saves 7 kB a chart."""
        axis = {"gridcolor": self.faint, "zeroline": False, "linecolor": self.faint, "tickcolor": self.faint}
        base: dict[str, Any] = {
            "template": None,
            "paper_bgcolor": self.background,
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": FONT, "size": FONT_SIZE, "color": self.ink},
            "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
            "hoverlabel": {"font": {"family": FONT, "size": FONT_SIZE, "color": self.ink}, "bgcolor": self.panel,
                           "bordercolor": self.faint, "align": "left"},
            "xaxis": axis,
            "yaxis": axis,
            "showlegend": False,
            "uirevision": "keep",
            "datarevision": 1,  # a figure's arrays never change: new ones are a new figure
        }  # fmt: skip
        return base | more

    def altair_config(self) -> dict[str, Any]:
        """The Vega-Lite config of every statistical chart, from the same colours and type."""
        words = {"labelColor": self.ink, "titleColor": self.ink, "labelFont": FONT, "titleFont": FONT,
                 "labelFontSize": FONT_SIZE, "titleFontSize": FONT_SIZE, "titleFontWeight": "normal"}  # fmt: skip
        return {
            "background": self.background,
            "font": FONT,
            "axis": words | {"gridColor": self.faint, "domainColor": self.faint, "tickColor": self.faint},
            "legend": words | {"orient": "top", "symbolSize": 120},
            "header": words,
            "title": {"color": self.ink, "fontSize": FONT_SIZE, "fontWeight": 600, "anchor": "start"},
            "view": {"stroke": None},
            "range": {"category": [self.role(r) for r in ("weight", "query", "key", "value", "cell", "hidden")]},
        }


FONT_SIZE = 16  # readable from the last row of a lecture hall
FONT = '"Source Sans", "Source Sans Pro", "Noto Sans", system-ui, sans-serif'


def latex(role: str, symbol: str, mode: Mode) -> str:
    """A symbol of a formula in its role's colour, for KaTeX."""
    return rf"\textcolor{{{readable(ROLES[role], mode)}}}{{{symbol}}}"


# Layout of the frame, by the classes that Streamlit gives to keyed containers. On a phone the figure comes straight
# after the question: the page's parts are flex items, so an order suffices. The boxes around the upper half count for
# nothing, so that the row of experiments, which stands outside it, comes between its parts.
_CSS = """
<style>
.stMainBlockContainer {padding-top: 3.9rem; padding-bottom: 3rem; max-width: 1500px;}
.st-key-lab_head h1 {font-size: 1.75rem; padding: 0;}
.st-key-lab_head p {font-size: 1.1rem; margin-top: .35rem;}
[class*="st-key-lab_chapter_"] h3 {font-size: 1.15rem; padding: 0;}
[class*="st-key-lab_chapter_"] a p {white-space: normal;}
WRAP:has(> .st-key-lab_upper), .st-key-lab_upper {display: contents;}
WRAP:has(> .st-key-lab_formula) {order: 1; margin-bottom: -.5rem;}
WRAP:has(> .st-key-lab_row) {order: 2;}
WRAP:has(> .st-key-lab_body) {order: 3;}
WRAP:has(> .st-key-lab_lower) {order: 4;}
.st-key-lab_watch {position: absolute;}
.st-key-lab_formula {font-size: 1.05rem;}
.st-key-lab_formula .katex {font-size: 1.12em;}
.stElementContainer:has(.lab-moved) {position: absolute;}
.stMain:has(.lab-moved) .st-key-lab_row button[kind="primary"] {background: GROUND; color: INK; border-color: FAINT;}
MARKED {background: ACCENT; color: #FFFFFF; border-color: ACCENT;}
[class*="st-key-lab_version_"]:has(p) {border-left: 3px solid currentColor; padding-left: .9rem;}
[class*="st-key-lab_version_"] p {font-size: 1.05rem;}
[data-testid="stCaptionContainer"], [data-testid="stCaptionContainer"] p {color: QUIET; opacity: 1;}
label[disabled] [data-testid="stMarkdownContainer"] p {color: QUIET;}
/* The dark theme's accent carries white words and is too deep to be words itself. */
[data-testid="stSliderThumbValue"] p, .stMainBlockContainer [data-selected="true"] p, button[kind="tertiary"] p {color: INK;}
[data-testid="stSliderThumbValue"][disabled] p {color: QUIET;}
[data-testid="stMarkdownContainer"] code {unicode-bidi: isolate;}
a:focus-visible {outline: 3px solid currentColor !important; outline-offset: -2px;}
.modebar-container:focus-within .modebar {opacity: 1 !important;}
.modebar-btn:focus-visible, .al-tokens:focus-visible {outline: 3px solid currentColor; outline-offset: 2px;}
@media (max-width: 640px) {
  .stMainBlockContainer {padding-left: 1rem; padding-right: 1rem;}
  WRAP:has(> .st-key-lab_body) {order: 1;}
  WRAP:has(> .st-key-lab_formula) {order: 2;}
  WRAP:has(> .st-key-lab_row) {order: 3;}
  .js-plotly-plot [class$="tick"] > text, .js-plotly-plot .bartext, .js-plotly-plot .heatmap-label {font-size: 11px !important;}
  /* Rows name the same tokens as these columns, which are too narrow here; every cell names both under the finger. */
  :is(.st-key-causal_mask_main, .st-key-causal_mask_growing, .st-key-rnn_gradients_state) g[class^="x"][class$="tick"],
  .st-key-multi_head_measures .heatmap-label {display: none;}
  .st-key-lab_section_lens {overflow-x: auto;}
  .st-key-next_token_lens {min-width: 760px;}
  .st-key-lab_section_lens::after {content: "Wider than the screen: scroll it sideways."; color: QUIET; font-size: .9rem;}
  [data-testid="stColumn"]:has(.st-key-lab_stage) {order: -1;}
}
@media (min-width: 1800px) {
  .stMainBlockContainer {max-width: 1780px;}
  .stMainBlockContainer p, .stMainBlockContainer label p {font-size: 1.15rem;}
}
@media (prefers-reduced-motion: reduce) {* {animation-duration: 0s !important; transition-duration: 0s !important;}}
</style>
"""


MOST_EXPERIMENTS = 16


@lru_cache(maxsize=2)
def css(mode: Mode) -> str:
    """The style element that every page begins with."""
    marked = (f".stMain:has(.lab-on-{n}) .st-key-lab_row > :nth-child({n + 1}) button" for n in range(MOST_EXPERIMENTS))
    words = {
        "MARKED": ", ".join(marked),
        "WRAP": '[data-testid="stLayoutWrapper"]',
        "QUIET": QUIET[mode],
        "GROUND": BACKGROUND[mode],
        "INK": INK[mode],
        "FAINT": FAINT[mode],
        "ACCENT": ACCENT[mode],
    }
    sheet = _CSS
    for word, meaning in words.items():
        sheet = sheet.replace(word, meaning)
    return sheet
