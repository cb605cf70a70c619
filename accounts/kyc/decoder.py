"""The process that opens what a stranger sent. Started by `rendering` for one file, with little and for a short time.

It reads the file from standard input and writes clean JPEG pages to standard output. It has no database, no secrets, no
settings: whoever takes it over holds an empty room.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import signal
import sys
from collections.abc import Iterator
from typing import Any, Final

PROCESSOR_SECONDS: Final = 1.8
"""A timer ends the process here; the system's own limit, which counts whole seconds, stands behind it."""
PROCESSOR_SECONDS_HARD: Final = 2
MEMORY_BYTES: Final = 300 * 1024 * 1024
MOST_OUTPUT_BYTES: Final = 48 * 1024 * 1024

MOST_PAGES: Final = 12
MOST_PIXELS: Final = {"JPEG": 64_000_000, "PNG": 24_000_000}
LONGEST_SIDE: Final = 3000
"""Enough to read a passport's smallest print; what is larger is made smaller."""
LONGEST_PDF_SIDE: Final = 2000
LEAST_SIDE: Final = 16
JPEG_QUALITY: Final = 88
POINTS_PER_INCH: Final = 72
SHARPEST_PDF: Final = 300 / POINTS_PER_INCH


class Refused(Exception):
    """The file is not taken; the argument is one of the reasons that `rendering` has words for."""


def confine() -> None:
    """Takes away from this process whatever decoding does not need, before anything is read."""
    with contextlib.suppress(OSError):
        os.nice(10)  # calls are judged on the same processors
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_OUTPUT_BYTES, MOST_OUTPUT_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS_HARD, PROCESSOR_SECONDS_HARD))
    # macOS knows this limit and refuses to set it; there the limits of time and output alone hold.
    with contextlib.nullcontext() if sys.platform == "linux" else contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    used = sum(os.times()[:2])
    signal.setitimer(signal.ITIMER_PROF, max(0.1, PROCESSOR_SECONDS - used))


def pages_of(content: bytes, kind: str) -> Iterator[tuple[int, int, bytes]]:
    """Each page as width, height and a JPEG that holds pixels and nothing else."""
    if kind == "PDF":
        yield from _pages_of_pdf(content)
    else:
        yield _page_of_image(content, kind)


def _page_of_image(content: bytes, kind: str) -> tuple[int, int, bytes]:
    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = max(MOST_PIXELS.values())  # its own cap refuses at twice this, ours below at once
    with Image.open(io.BytesIO(content), formats=(kind,)) as image:
        _check_size(*image.size, most=MOST_PIXELS[kind])
        image.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))  # lets the JPEG decoder skip what would be thrown away
        image.load()
        picture: Any = image if image.mode != "I;16" else image.point(lambda value: value / 256).convert("L")
        if max(picture.size) > LONGEST_SIDE:
            picture = _smaller(picture)
        with contextlib.suppress(Exception):  # which way up stands in the EXIF, and may be nonsense
            picture = ImageOps.exif_transpose(picture)
        return _as_jpeg(picture)


def _smaller(picture: Any) -> Any:
    if picture.mode not in ("L", "RGB", "RGBA", "LA", "CMYK"):
        picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
    exif = picture.info.get("exif")
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), reducing_gap=2.0)
    if exif:
        picture.info["exif"] = exif
    return picture


def _pages_of_pdf(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as problem:
        raise Refused("locked" if "assword" in str(problem) else "damaged") from None
    count = len(document)
    if count < 1:
        raise Refused("damaged")
    if count > MOST_PAGES:
        raise Refused("too_many_pages")
    for number in range(count):
        # Without a form environment nothing in the file can act: no scripts, no actions, no submitting.
        page = document[number]
        width, height = page.get_size()
        if not (0 < width < 100_000 and 0 < height < 100_000):
            raise Refused("damaged")
        scale = min(LONGEST_PDF_SIDE / max(width, height), SHARPEST_PDF)
        if min(width, height) * scale < 1:
            raise Refused("damaged")
        picture = page.render(scale=scale).to_pil()
        yield _as_jpeg(picture)
        page.close()


def _check_size(width: int, height: int, *, most: int) -> None:
    if width * height > most:
        raise Refused("too_many_pixels")
    if min(width, height) < LEAST_SIDE:
        raise Refused("too_small")


def _as_jpeg(picture: Any) -> tuple[int, int, bytes]:
    """Pixels painted onto a new canvas: comments, profiles, EXIF and what hung behind the image stay behind."""
    from PIL import Image

    if "transparency" in picture.info or picture.mode in ("LA", "PA", "La", "RGBa"):
        picture = picture.convert("RGBA")
    canvas = Image.new("RGB", picture.size, "white")
    if picture.mode == "RGBA":
        canvas.paste(picture, mask=picture.getchannel("A"))
    else:
        canvas.paste(picture if picture.mode == "RGB" else picture.convert("RGB"))
    written = io.BytesIO()
    canvas.save(written, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return canvas.width, canvas.height, written.getvalue()


def likeness(jpeg: bytes) -> str:
    """128 bits that change little when a picture is made smaller, brighter or saved again: in which directions it grows
    lighter, on a grid of 8 by 8."""
    from PIL import Image

    with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as image:
        image.draft("L", (256, 256))
        grey = image.convert("L")
        across = grey.resize((9, 8), Image.Resampling.BOX).tobytes()
        down = grey.resize((8, 9), Image.Resampling.BOX).tobytes()
    bits = [across[row * 9 + column] < across[row * 9 + column + 1] for row in range(8) for column in range(8)]
    bits += [down[row * 8 + column] < down[row * 8 + column + 8] for row in range(8) for column in range(8)]
    return f"{sum(bit << place for place, bit in enumerate(bits)):032x}"


def _most_memory() -> int:
    """The most that was in use at once, in bytes; 0 where the system does not tell."""
    with contextlib.suppress(OSError, ValueError), open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def main(kind: str) -> None:
    answer: dict[str, Any] = {"refused": "", "pages": []}
    written: list[bytes] = []
    try:
        for width, height, page in pages_of(sys.stdin.buffer.read(), kind):
            answer["pages"].append([width, height, len(page)])
            written.append(page)
        answer["likeness"] = likeness(written[0])
    except Refused as refusal:
        answer, written = {"refused": str(refusal), "pages": []}, []
    except MemoryError:
        answer, written = {"refused": "too_costly", "pages": []}, []
    except Exception as problem:  # a decoder's own words are for nobody
        bomb = type(problem).__name__ == "DecompressionBombError"
        answer, written = {"refused": "too_many_pixels" if bomb else "damaged", "pages": []}, []
    answer["memory"] = _most_memory()
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + b"".join(written))
    sys.stdout.buffer.flush()
    os._exit(0)  # a decoder that was led astray gets no second chance while tidying up


if __name__ == "__main__":
    confine()
    main(sys.argv[1])
