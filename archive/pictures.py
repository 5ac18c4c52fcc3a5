"""图片. A picture of a case as it is printed: as it was given where that is small, else a smaller one made of it.

Only the process that renders reads pictures: whoever sends one that breaks its reader breaks nothing else.
"""

from __future__ import annotations

import io
import warnings
from typing import Final

from PIL import Image, ImageFile, ImageOps

from archive.wire import Failed, Reduced

EDGE: Final = 1240
"""Pixels of the longer edge of what is printed: 150 to the inch across a page."""

AS_GIVEN: Final = 256 << 10
"""Bytes up to which a picture is printed as it was given, so that its own digest proves it."""

PIXELS: Final = 60_000_000
"""Pixels of the largest picture that is read: some 900 MB while it is, where it has four channels."""

_QUALITIES: Final = (80, 65, 45)


def reduced(content: bytes) -> Reduced | Failed:
    """Return a picture as it is printed; Failed for what is none, is damaged, or too large. It reaches no file."""
    lenient, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False  # the renderer sets it
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Image.open(io.BytesIO(content), formats=("JPEG", "PNG")) as image:
                if image.width * image.height > PIXELS:
                    return Failed(f"图片过大（{image.width}×{image.height}）")
                return _printed(image, content)
    except Exception as error:  # noqa: BLE001  readers of pictures fail in every way there is: it is listed, not printed
        return Failed(f"图片损坏，无法打开（{type(error).__name__}）")
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = lenient


def _printed(image: Image.Image, content: bytes) -> Reduced | Failed:
    turned = image.getexif().get(0x0112, 1) != 1
    plain = image.mode in ("RGB", "L") and "transparency" not in image.info and not turned
    ending = "jpg" if image.format == "JPEG" else "png"
    if plain and len(content) <= AS_GIVEN and max(image.size) <= 2 * EDGE:
        image.load()
        return Reduced(content, ending, original=True)
    image.draft("RGB", (EDGE, EDGE))
    shown: Image.Image = ImageOps.exif_transpose(image)
    if shown.mode in ("RGBA", "LA", "PA") or "transparency" in shown.info:
        layer = shown.convert("RGBA")
        shown = Image.new("RGB", layer.size, "white")
        shown.paste(layer, mask=layer.getchannel("A"))
    shown = shown.convert("RGB")
    shown.thumbnail((EDGE, EDGE))
    made = b""
    for quality in _QUALITIES:
        out = io.BytesIO()
        shown.save(out, format="JPEG", quality=quality)
        made = out.getvalue()
        if len(made) <= AS_GIVEN:
            break
    return Reduced(made, "jpg")
