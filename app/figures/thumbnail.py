"""A tensor as a small picture without axes, for the map of the road: one image costs less than one chart."""

import io

import numpy as np
from PIL import Image

from app.theme import Look, rgb

Array = np.ndarray
SIZE = (320, 180)


def picture(z: Array, look: Look, kind: str = "probability", limit: float | None = None) -> bytes:
    """z [row, column] as a PNG, coloured by the same scales as the figures; NaN is drawn as masked."""
    known = np.isfinite(z)
    top = limit or float(np.abs(np.where(known, z, 0)).max()) or 1.0
    share = np.where(known, z, 0) / top
    if kind == "signed":
        share = (share + 1) / 2
    stops, colours = zip(*(look.diverging if kind == "signed" else look.sequential), strict=True)
    channels = np.array([rgb(colour) for colour in colours])
    image = np.stack([np.interp(share, stops, channels[:, c]) for c in range(3)], axis=-1)
    image[~known] = rgb(look.masked)
    small = Image.fromarray((image * 255).astype(np.uint8))
    buffer = io.BytesIO()
    small.resize(SIZE, Image.Resampling.NEAREST).save(buffer, "PNG", optimize=False, compress_level=1)
    return buffer.getvalue()


def tile(maps: Array, columns: int) -> Array:
    """Maps [map, row, column] side by side in one array, one NaN row and column apart."""
    n_map, n_row, n_column = maps.shape
    down = -(-n_map // columns)
    sheet = np.full((down * (n_row + 1) - 1, columns * (n_column + 1) - 1), np.nan, dtype=np.float32)
    for index in range(n_map):
        y, x = index // columns * (n_row + 1), index % columns * (n_column + 1)
        sheet[y : y + n_row, x : x + n_column] = maps[index]
    return sheet
