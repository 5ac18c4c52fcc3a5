"""Pictures of a case: printed with the words that say which they are, small enough, and never more than the events name."""

from __future__ import annotations

import hashlib
import io
import random
from typing import Any, NamedTuple

import msgspec
import pikepdf
import pytest
from PIL import Image, ImageDraw

from archive import material, pictures, verify
from archive.material import Edition, Material
from archive.pdf import Printer
from archive.verify import Answer
from archive.wire import Failed, Reduced
from domain.notes import Policy
from domain.steps.registration import Supplement
from scripts import dossiers, embedded
from tests.archive import profile
from tests.archive.filed import ARCHIVIST, FONDS, Office, parts, within


def picture(width: int, height: int, kind: str = "JPEG", mode: str = "RGB", **said: Any) -> bytes:
    """Return a picture in which every part differs, as a photograph has it."""
    image = Image.new(mode, (width, height), 0)
    draw, chance = ImageDraw.Draw(image), random.Random(width)
    for _ in range(60):
        x, y = chance.randrange(width), chance.randrange(height)
        fill: Any = tuple(chance.randrange(256) for _ in image.getbands())
        draw.rectangle((x, y, x + width // 5, y + height // 5), fill=fill if len(fill) > 1 else fill[0])
    out = io.BytesIO()
    image.save(out, format=kind, **said)
    return out.getvalue()


def noise(width: int, height: int) -> bytes:
    image = Image.frombytes("RGB", (width, height), random.Random(4).randbytes(width * height * 3))
    out = io.BytesIO()
    image.save(out, format="JPEG", quality=95)
    return out.getvalue()


def turned(width: int, height: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    exif[0x010E] = "taken by somebody somewhere"
    return picture(width, height, exif=exif)


SMALL = picture(320, 240)
DRAWN = picture(240, 100, "PNG")
LARGE = noise(2600, 1900)
TURNED = turned(900, 600)
CLEAR = picture(300, 200, "PNG", "RGBA")
BROKEN = LARGE[:20_000]


def test_a_small_picture_stays_as_it_is_and_any_other_becomes_a_small_one():
    for content, ending in ((SMALL, "jpg"), (DRAWN, "png")):
        assert pictures.reduced(content) == Reduced(content, ending, original=True)
    for content, size in ((LARGE, (1240, 906)), (TURNED, (600, 900)), (CLEAR, (300, 200))):
        made = pictures.reduced(content)
        assert isinstance(made, Reduced), made
        assert not made.original
        assert len(made.content) <= 600_000
        assert b"somebody" not in made.content, "where and by what it was taken stays with the original"
        with Image.open(io.BytesIO(made.content)) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", size)
        assert made == pictures.reduced(content)
    clear = pictures.reduced(picture(40, 40, "PNG", "LA"))
    assert isinstance(clear, Reduced)


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xd8\xff\xe0" + b"the lamp by the river " * 40, BROKEN, SMALL[:60], b"GIF89a" + bytes(40), b"<svg/>",
     picture(20_000, 4_000, "PNG", "1")],
)  # fmt: skip
def test_what_is_no_picture_damaged_or_larger_than_life_is_said_to_be(content: bytes):
    assert isinstance(pictures.reduced(content), Failed)


class Set(NamedTuple):
    """A full edition with pictures, a masked one without, and whose heads are believed."""

    full: bytes
    again: bytes
    masked: bytes
    made: Material
    originals: tuple[str, ...]
    policy: Policy


@pytest.fixture(scope="module")
def printed(postgres: embedded.Database, tmp_path_factory: pytest.TempPathFactory) -> Set:
    async def work(there: Office) -> Set:
        stream = await there.closed(1, photo=SMALL)
        key, digests = await there.ledger.file_key(stream), []
        given = ((LARGE, "jpeg"), (BROKEN, "jpeg"), (TURNED, "jpeg"), (DRAWN, "png"), (b"GIF89a" + bytes(40), "gif"))
        for content, kind in given:
            kept, _ = await there.files.keep(stream, key, f"image/{kind}", parts(content))
            digests.append(kept.digest)
            named = msgspec.structs.replace(kept, name=f"现场{len(digests)}<img src=file:///etc/passwd>.jpg")
            await there.do(Supplement(items=("照片",), attachments=(named,)), stream)
        async with Printer() as printer:
            gatherer = dossiers.Gatherer(there.ledger, there.log, FONDS, await printer.faces())
            await there.log.sign()
            keys = await there.ledger.hand_out_keys(stream, viewer=ARCHIVIST, purpose="filing", command_id="pictures")
            wanted: list[tuple[Edition, dict[str, bytes]]] = [("full", keys), ("full", keys), ("masked", {})]
            made = [
                await dossiers.pictured(await gatherer.gather(stream, edition, keys=opened), there.files, printer)
                for edition, opened in wanted
            ]
            full, again, masked = [(await dossiers.printed(one, printer)).pdf for one in made]
        return Set(full, again, masked, made[0], tuple(digests), there.policy._replace(quorum=0))

    return within(postgres, tmp_path_factory.mktemp("pictures"), work)


def test_pictures_stand_in_the_file_with_what_they_are_and_those_that_do_not_are_listed(printed: Set):
    profile.fit(printed.full)
    assert printed.full == printed.again
    found = profile.pages(printed.full)
    text = "".join(found)
    (index,) = [number for number, page in enumerate(found) if "照片及图片" in page and "图1" in page]
    assert "照片及图片" in found[1], "it stands in the catalogue"
    assert "缩印，原件" in text
    rows = ["".join(page.split()) for page in profile.read(printed.full)]
    assert sum(page.count("图片损坏，无法打开") for page in rows) == 1
    assert sum(page.count("image/gif不印，见原件") for page in rows) == 1
    assert "<imgsrc=file:///etc/passwd>" in text, "a name is a name"
    for digest in printed.originals:
        assert digest in "".join(found[index:]), digest
    with pikepdf.open(io.BytesIO(printed.full)) as pdf:
        shown = [one for one in pdf.objects if isinstance(one, pikepdf.Stream) and one.get("/Subtype") == "/Image"]
        assert len([one for one in shown if one.Width > 200]) == 4
        assert all(not one.get("/Interpolate", False) for one in shown), "PDF/A-3 6.2.8"
        told = [str(one.Alt) for one in pdf.objects if isinstance(one, pikepdf.Dictionary) and "/Alt" in one]
    assert any(one.startswith("图1：") and "补充信息" in one for one in told), told
    assert len(printed.full) < 3_000_000


def test_another_edition_prints_no_picture(printed: Set):
    assert "照片及图片" not in "".join(profile.pages(printed.masked))
    assert not [name for name in verify.attachments(printed.masked) if name.startswith(material.PICTURE)]
    assert all(digest in "".join(profile.pages(printed.masked)) for digest in printed.originals), "the index names them"


async def _checked(content: bytes, policy: Policy, digest: str | None = None) -> verify.Verdict:
    async with Printer() as printer:
        return await verify.verify(content, policy, dossiers.remaking(printer), digest)


async def test_a_picture_made_smaller_is_proved_by_the_files_own_digest_alone(printed: Set):
    verdict = await _checked(printed.full, printed.policy)
    assert [(one.about, one.answer) for one in verdict.findings] == [
        ("parts", Answer.HOLDS), ("events", Answer.HOLDS), ("law", Answer.HOLDS), ("pages", Answer.HOLDS), ("pictures", Answer.OPEN),
    ]  # fmt: skip
    named = await _checked(printed.full, printed.policy, f"sha256:{hashlib.sha256(printed.full).hexdigest()}")
    assert named.holds


async def test_whoever_makes_the_whole_file_anew_around_another_picture_is_found(printed: Set):
    told = printed.made.told
    first = next(one for one in told.pictures if one.original)
    other = {**printed.made.pictures, first.file: picture(321, 240)}
    swapped = msgspec.structs.replace(printed.made, pictures=other)
    stranger = msgspec.structs.replace(first, digest="sha256:" + "0" * 64)
    added = msgspec.structs.replace(
        printed.made, told=msgspec.structs.replace(told, pictures=(stranger, *told.pictures))
    )
    async with Printer() as printer:
        for forged in (swapped, added):
            content = (await dossiers.printed(forged, printer)).pdf
            verdict = await verify.verify(content, printed.policy, dossiers.remaking(printer))
            assert verdict.fails
            assert verdict.findings[-1].about == "pictures"
