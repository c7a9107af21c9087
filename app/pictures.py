"""A figure as a file: SVG or PNG of what stands on the page, and a page of its own that opens without a network.

The browser makes the pictures, because it has drawn them already: the server would need a browser of its own.
"""

from typing import TYPE_CHECKING

import streamlit as st

from app.figures.charts import Chart
from app.figures.standalone import standalone

if TYPE_CHECKING:
    from app.frame import Stage


def plotly_config(key: str) -> dict[str, object]:
    """How Streamlit's Plotly behaves: one button, whose SVG carries the figure's name."""
    return {
        "displaylogo": False,
        "doubleClick": False,
        "showTips": False,
        "modeBarButtons": [["toImage"]],
        "toImageButtonOptions": {"format": "svg", "filename": key},
    }


def drawn(stage: "Stage") -> bool:
    """Is it a chart, of which there can be a picture? A strip of tokens is a text."""
    return not isinstance(stage.figure, str)


def offer(stage: "Stage") -> None:
    """Two buttons that save the figure as it stands on the page, on the page's own ground."""
    if isinstance(stage.figure, Chart):
        ground = stage.figure.spec["config"]["background"]
    else:
        ground = stage.figure.to_dict()["layout"]["paper_bgcolor"]
    _save(data={"says": stage.alt, "name": stage.key, "ground": ground}, key="lab_picture", height=44)


def page(stage: "Stage", address: str) -> bytes:
    """The figure as a page of its own. A Plotly figure takes Plotly's code along, and both cameras."""
    head = f"<title>{stage.key}</title><!-- {address.replace('--', '%2D%2D')} -->"
    if isinstance(stage.figure, str):
        body = f"<body><h1>{stage.key}</h1>{stage.figure}</body>"
        return f'<!doctype html><html lang="en"><head><meta charset="utf-8">{head}</head>{body}</html>'.encode()
    whole = standalone(stage.figure.to_dict(), stage.key)
    return whole.replace("<head>", f"<head>{head}", 1).encode()


def has_page(stage: "Stage") -> bool:
    """An Altair chart would need Vega's code, which Altair does not ship; its SVG opens anywhere as it is."""
    return not isinstance(stage.figure, Chart)


# Plotly draws in layers of SVG, Vega in one. Copies of them in one SVG are the picture; nothing on the page is changed.
_save = st.components.v2.component(
    "attention_lab_picture",
    html="""<div class="row"><button type="button" data-format="svg">Picture as SVG</button>
<button type="button" data-format="png">Picture as PNG</button><span role="status"></span></div>""",
    css="""
.row {display: flex; gap: .5rem; align-items: center; flex-wrap: wrap; font-family: var(--st-font);}
button {font: inherit; color: var(--st-text-color); background: var(--st-background-color); cursor: pointer;
  border: 1px solid var(--st-border-color); border-radius: var(--st-button-radius, .4rem); padding: .4rem .8rem; min-height: 2.5rem;}
button:hover {border-color: var(--st-primary-color);}
button:focus-visible {outline: 3px solid var(--st-primary-color); outline-offset: 2px;}
""",
    js="""
const SPACE = "http://www.w3.org/2000/svg";

// A picture cannot ask for the page's typeface, so it takes it along: labels keep their width.
let typeface;
async function inline(rule) {
  const address = /url\\("?([^")]+)"?\\)/.exec(rule.style.getPropertyValue("src"))[1];
  const file = await (await fetch(new URL(address, rule.parentStyleSheet.href || document.baseURI))).blob();
  const data = await new Promise((done) => { const reader = new FileReader(); reader.onload = () => done(reader.result); reader.readAsDataURL(file); });
  const style = rule.style;
  return `@font-face {font-family: ${style.fontFamily}; font-weight: ${style.fontWeight}; font-style: ${style.fontStyle || "normal"}; src: url(${data});}`;
}
async function face() {
  const rules = [...document.styleSheets].flatMap((sheet) => { try { return [...sheet.cssRules]; } catch { return []; } })
    .filter((rule) => rule instanceof CSSFontFaceRule && /Source Sans/.test(rule.style.fontFamily) && rule.style.fontStyle !== "italic");
  return (await Promise.all(rules.map((rule) => inline(rule).catch(() => "")))).join("\\n");
}

function compose(figure, ground, words) {
  const layers = [...figure.querySelectorAll(":scope svg.main-svg, :scope > svg")]
    .filter((svg) => !svg.closest(".modebar"));
  if (!layers.length) return null;
  const box = layers[0].getBoundingClientRect();
  const whole = document.createElementNS(SPACE, "svg");
  const size = { xmlns: SPACE, width: Math.round(box.width), height: Math.round(box.height), viewBox: `0 0 ${box.width} ${box.height}` };
  for (const [name, value] of Object.entries(size)) whole.setAttribute(name, value);
  const back = document.createElementNS(SPACE, "rect");
  back.setAttribute("width", "100%"); back.setAttribute("height", "100%"); back.setAttribute("fill", ground);
  const style = document.createElementNS(SPACE, "style");
  style.textContent = words;
  whole.append(style, back);
  for (const layer of layers) {
    const copy = layer.cloneNode(true);
    copy.querySelectorAll(".hoverlayer, .zoomlayer, .dragcover, .draglayer").forEach((node) => node.remove());
    copy.style.position = "static"; copy.style.background = "none";
    whole.append(copy);
  }
  return whole;
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob); link.download = name; link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function png(text, width, height) {
  const picture = new Image();
  picture.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(text);
  await picture.decode();
  const canvas = document.createElement("canvas");
  canvas.width = 2 * width; canvas.height = 2 * height;
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

export default function ({ data, parentElement }) {
  const said = parentElement.querySelector("[role=status]");
  said.textContent = "";
  for (const button of parentElement.querySelectorAll("button")) {
    button.onclick = async () => {
      const figure = [...document.querySelectorAll("[data-testid=stPlotlyChart], [data-testid=stVegaLiteChart]")]
        .find((chart) => chart.getAttribute("aria-label") === data.says);  // Streamlit marks no Altair chart with its key
      typeface ??= await face();
      const whole = figure && compose(figure, data.ground, typeface);
      if (!whole) { said.textContent = "This figure is not drawn now."; return; }
      const text = new XMLSerializer().serializeToString(whole), format = button.dataset.format;
      const blob = format === "svg" ? new Blob([text], { type: "image/svg+xml" })
        : await png(text, whole.width.baseVal.value, whole.height.baseVal.value);
      save(blob, data.name + "." + format);
      said.textContent = "Saved as " + data.name + "." + format + ".";
    };
  }
}
""",
)
