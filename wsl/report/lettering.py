"""Words in pictures, with the font that comes with Pillow: the same on every machine, no font file to find."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from wsl.report.colours import Colour
from wsl.types import Image

TAG_SIZE = 12
BLACK, WHITE = (0, 0, 0), (255, 255, 255)

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@lru_cache(maxsize=8)
def load_font(size: int) -> Font:
    """Pillow's own font at `size` pixels."""
    return ImageFont.load_default(size)


def measure_text(text: str, size: int) -> tuple[int, int]:
    """(width, height) in pixels; the height is that of a whole line, so that tags are equally high."""
    font = load_font(size)
    return round(font.getbbox(text)[2]), round(font.getbbox("Ag")[3])


def shorten_text(text: str, size: int, width: int) -> str:
    """The text if it fits into `width` pixels, otherwise as much of its start as fits, and '…'."""
    if measure_text(text, size)[0] <= width:
        return text
    while text and measure_text(text + "…", size)[0] > width:
        text = text[:-1]
    return text + "…"


def draw_text(image: Image, xy: tuple[int, int], text: str, size: int, colour: Colour) -> Image:
    """A copy of the image with `text` whose top left corner is at (x, y)."""
    picture = PillowImage.fromarray(image)
    ImageDraw.Draw(picture).text(xy, text, fill=colour, font=load_font(size))
    return np.array(picture)


def draw_tag(image: Image, xy: tuple[int, int], text: str, colour: Colour) -> Image:
    """A copy of the image with `text` on a plate in `colour`: above (x, y) where there is room, else below it.

    The plate stays wholly inside the image; text that is wider than the image is shortened.
    """
    rows, columns = image.shape[:2]
    text = shorten_text(text, TAG_SIZE, columns - 6)
    width, height = measure_text(text, TAG_SIZE)
    left = max(min(xy[0] - 1, columns - width - 6), 0)
    top = xy[1] - height - 4
    if top < 0:
        top = max(min(xy[1], rows - height - 4), 0)
    picture = PillowImage.fromarray(image)
    pen = ImageDraw.Draw(picture)
    pen.rectangle((left, top, left + width + 5, top + height + 3), fill=colour)
    pen.text((left + 3, top + 1), text, fill=text_colour(colour), font=load_font(TAG_SIZE))
    return np.array(picture)


def text_colour(plate: Colour) -> Colour:
    """Black or white, whichever is easier to read on `plate` (luma of ITU-R BT.601 against 150)."""
    red, green, blue = plate
    return BLACK if 0.299 * red + 0.587 * green + 0.114 * blue > 150 else WHITE
