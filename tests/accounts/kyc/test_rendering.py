"""What strangers send is decoded in a small room, and only pixels come out."""

from __future__ import annotations

import io
import os
import random
import struct

import pytest
from PIL import Image

from accounts.kyc import decoder, rendering
from accounts.kyc.rendering import NotRendered
from tests.accounts.kyc import hostile

MARKERS_OF_PIXELS = {0xC0, 0xC4, 0xDB, 0xDA, 0xE0, 0xD8, 0xD9}
"""Start, tables, frame, scan, and JFIF's own header: no comments, no EXIF, no profiles."""


def picture(**options):
    return hostile.picture(random.Random(1), **options)


def segments(jpeg: bytes) -> set[int]:
    """The markers of a JPEG up to its pixels, read without a decoder."""
    found, at = set(), 2
    while jpeg[at] == 0xFF and jpeg[at + 1] != 0xDA:
        found.add(jpeg[at + 1])
        at += 2 + struct.unpack("!H", jpeg[at + 2 : at + 4])[0]
    return found


def is_clean(jpeg: bytes) -> bool:
    with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as image:
        image.load()
        no_words = not image.getexif() and not {"icc_profile", "comment", "exif"} & set(image.info)
    return no_words and segments(jpeg) <= MARKERS_OF_PIXELS and jpeg.index(b"\xff\xd9", len(jpeg) - 2) == len(jpeg) - 2


def test_three_hundred_hostile_files_yield_pixels_or_words(capsys):
    files = hostile.files()
    assert len(files) >= 300
    taken, seconds, memory, reasons = 0, [], [], {}
    for each in files:
        try:
            rendition = rendering.render(each.content)
        except NotRendered as refusal:
            reasons[refusal.reason] = reasons.get(refusal.reason, 0) + 1
            cost = refusal.cost
        else:
            assert each.may_pass, each.label
            assert all(is_clean(page.jpeg) for page in rendition.pages), each.label
            assert not any(hostile.SCRIPT in page.jpeg or hostile.PLACE in page.jpeg for page in rendition.pages)
            cost = rendition.cost
            taken += 1
        if cost:
            assert cost.processor_seconds <= decoder.PROCESSOR_SECONDS_HARD, each.label
            assert cost.memory_bytes <= decoder.MEMORY_BYTES, each.label
            seconds.append((cost.processor_seconds, each.label))
            memory.append((cost.memory_bytes, each.label))
    with capsys.disabled():
        print(f"\n{len(files)} hostile files: {taken} taken as clean pixels; refused: {reasons}")
        print(
            f"dearest: {max(seconds)[0]:.2f} s ({max(seconds)[1]}), {max(memory)[0] / 2**20:.0f} MiB ({max(memory)[1]})"
        )


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA", "P", "1", "CMYK", "I;16"])
def test_pictures_of_every_mode_are_shown_as_they_look(mode):
    kind = "JPEG" if mode == "CMYK" else "PNG"
    image = picture().convert("RGB") if mode != "I;16" else Image.new("I;16", (40, 40), 40_000)
    converted = image if mode == "I;16" else image.convert(mode)
    (page,) = rendering.render(hostile.saved(converted, kind)).pages

    shown = Image.open(io.BytesIO(page.jpeg)).convert("L")
    wanted = 40_000 / 256 if mode == "I;16" else converted.convert("L").resize((1, 1)).getpixel((0, 0))
    assert abs(shown.resize((1, 1)).getpixel((0, 0)) - wanted) < 8


def test_a_transparent_picture_is_laid_on_white():
    clear = Image.new("RGBA", (60, 60), (255, 0, 0, 0))

    (page,) = rendering.render(hostile.saved(clear, "PNG")).pages

    assert min(Image.open(io.BytesIO(page.jpeg)).getpixel((30, 30))) > 250


def test_a_photo_stands_upright_though_its_exif_is_gone():
    image = Image.new("RGB", (400, 200), "white")
    image.paste("black", (0, 0, 100, 200))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter

    (page,) = rendering.render(hostile.saved(image, "JPEG", exif=exif)).pages

    assert (page.width, page.height) == (200, 400)
    shown = Image.open(io.BytesIO(page.jpeg)).convert("L")
    assert shown.getpixel((100, 20)) < 20 < 230 < shown.getpixel((100, 380))


def test_a_large_photo_is_made_smaller_and_stays_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    (page,) = rendering.render(hostile.saved(picture(width=4800, height=3600), "JPEG", exif=exif)).pages

    assert max(page.width, page.height) <= decoder.LONGEST_SIDE
    assert page.height > page.width


def test_each_page_of_a_pdf_becomes_a_picture():
    written = io.BytesIO()
    picture(width=600, height=800).save(written, "PDF", save_all=True, append_images=[picture(), picture()])

    rendition = rendering.render(written.getvalue())

    assert rendition.kind == "PDF"
    assert len(rendition.pages) == 3
    assert all(is_clean(page.jpeg) for page in rendition.pages)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\xff\xd8\xff" + bytes(rendering.MOST_BYTES), "too_large"),
        (hostile.HTML, "unknown_kind"),
        (hostile.png_flood(50_000, 50_000), "too_many_pixels"),
        (hostile.png_flood(6_000, 5_000, 8, 0), "too_many_pixels"),  # which Pillow itself would open
        (hostile.saved(Image.new("RGB", (8, 8)), "PNG"), "too_small"),
        (hostile.saved(hostile.picture(random.Random(1)), "JPEG")[:300], "damaged"),
        (hostile.TEST_VIRUS, "virus"),
    ],
)
def test_a_refusal_says_why(content, reason):
    with pytest.raises(NotRendered) as refusal:
        rendering.render(content)

    assert refusal.value.reason == reason
    assert str(refusal.value) == rendering.REASONS[reason]


def test_the_decoder_is_ended_at_its_share_of_the_processor(tmp_path, monkeypatch):
    dear = tmp_path / "decoder.py"
    dear.write_text(decoder_that("while True: pass"))
    monkeypatch.setattr(rendering, "DECODER", dear)

    with pytest.raises(NotRendered) as refusal:
        rendering.render(hostile.saved(picture(), "JPEG"))

    assert refusal.value.reason == "too_costly"
    assert 1 < refusal.value.cost.processor_seconds < (decoder.PROCESSOR_SECONDS + decoder.PROCESSOR_SECONDS_HARD) / 2


def test_the_decoder_has_no_more_memory_than_its_share(tmp_path, monkeypatch):
    greedy = tmp_path / "decoder.py"
    greedy.write_text(decoder_that("bytearray(310 * 1024 * 1024)"))
    monkeypatch.setattr(rendering, "DECODER", greedy)

    with pytest.raises(NotRendered):
        rendering.render(hostile.saved(picture(), "JPEG"))


def test_the_decoder_knows_none_of_our_secrets(tmp_path, monkeypatch):
    curious = tmp_path / "decoder.py"
    told = "import json, os, sys; print(json.dumps({'refused': 'locked' if 'SECRET_KEY' in os.environ else 'busy', "
    curious.write_text(told + "'pages': [], 'memory': 0}))")
    monkeypatch.setattr(rendering, "DECODER", curious)
    assert os.environ["SECRET_KEY"]

    with pytest.raises(NotRendered) as refusal:
        rendering.render(hostile.saved(picture(), "JPEG"))

    assert refusal.value.reason == "busy"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"no json\n",
        b'{"refused": "", "pages": [[1, 1, 5]], "memory": 0, "likeness": "0"}\n<html',
        b'{"refused": "", "pages": [[1, 1, 900]], "memory": 0, "likeness": "0"}\n\xff\xd8\xff\xff\xd9',
        b'{"refused": "", "pages": [], "memory": 0, "likeness": "0"}\n',
        b'{"refused": "", "pages": "x", "memory": {}}\n',
        b"[]\n",
    ],
)
def test_a_decoder_that_was_taken_over_is_not_believed(tmp_path, monkeypatch, answer):
    taken_over = tmp_path / "decoder.py"
    taken_over.write_text(f"import sys; sys.stdout.buffer.write({answer!r})")
    monkeypatch.setattr(rendering, "DECODER", taken_over)

    with pytest.raises(NotRendered) as refusal:
        rendering.render(hostile.saved(picture(), "JPEG"))

    assert refusal.value.reason == "damaged"


def test_what_looks_alike_is_close_and_what_does_not_is_far():
    def likeness(image, **options):
        return int(rendering.render(hostile.saved(image, "JPEG", **options)).likeness, 16)

    first, other = hostile.picture(random.Random(1), 1200, 800), hostile.picture(random.Random(2), 1200, 800)

    assert (likeness(first, quality=95) ^ likeness(first.resize((700, 467)), quality=40)).bit_count() <= 7
    assert (likeness(first) ^ likeness(other)).bit_count() > 30


def decoder_that(does: str) -> str:
    """Confined as the real one is, then up to something."""
    return f"from accounts.kyc.decoder import confine\nconfine()\n{does}\n".replace(
        "from accounts", f"import sys; sys.path.insert(0, {os.getcwd()!r})\nfrom accounts"
    )
