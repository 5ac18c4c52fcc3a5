"""The renderer: what it makes, that it makes it the same again, and what it refuses."""

from __future__ import annotations

import asyncio
import io
import time
from pathlib import Path

import pikepdf
import pytest

from archive.pdf import Attached, CannotBeLaidOut, GlyphsLacking, Printer, PrintingTooLong
from tests.archive import profile

PAGE = """<!doctype html><html lang="zh-Hans"><head><meta charset="utf-8"><title>督办通知书</title>
<meta name="dcterms.created" content="2026-11-21T09:30:00+08:00">
<meta name="dcterms.modified" content="2026-11-21T09:30:00+08:00">
<style>body {{ font-family: "Noto Serif CJK SC", serif }}</style></head><body><h1>督办通知书</h1>{}</body></html>"""
FILE = Attached("events.json", b"[]", "2026-11-21T09:30:00+08:00", "事件")


async def made(body: str, *files: Attached, patience: float = 60.0) -> bytes:
    async with Printer(patience) as printer:
        return await printer.pdf(PAGE.format(body), files)


async def test_a_document_is_both_archival_and_accessible_and_the_same_in_every_process():
    first, second = await asyncio.gather(*(made("<p>河滨路的路灯三天不亮。</p>", FILE) for _ in range(2)))
    assert first == second
    with pikepdf.open(io.BytesIO(first)) as pdf:
        told = pdf.Root.Metadata.read_bytes().decode()
        assert told.count("<rdf:RDF") == 1
        assert 'pdfaid:part="3" pdfaid:conformance="A"' in told
        assert 'pdfuaid:part="1"' in told
        assert "/OutputIntents" in pdf.Root
        assert "/ID" in pdf.trailer
        assert pdf.Root.MarkInfo.Marked
        assert str(pdf.Root.Lang) == "zh-Hans"
        fonts = [font for page in pdf.pages for font in page.Resources.Font.as_dict().values()]
        assert fonts
        for font in fonts:
            assert "/ToUnicode" in font
            assert any(f"/FontFile{kind}" in font.DescendantFonts[0].FontDescriptor for kind in ("2", "3"))
        assert "/JavaScript" not in pdf.Root.get("/Names", {})
        assert pdf.attachments["events.json"].get_file().read_bytes() == b"[]"
        assert str(pdf.attachments["events.json"].get_file().creation_date) == "2026-11-21 01:30:00+00:00"


async def test_what_no_font_can_show_is_refused_by_its_characters_and_a_rare_one_is_not():
    async with Printer() as printer:
        with pytest.raises(GlyphsLacking) as refused:
            await printer.pdf(PAGE.format("<p>张\ue123三</p>"))  # private use: some font may have a symbol there
        assert refused.value.facts["characters"] == "\ue123"
        assert "U+E123" in refused.value.detail
        assert (await printer.pdf(PAGE.format("<p>𠮷</p>"))).startswith(b"%PDF-1.7")


async def test_what_has_no_shape_anywhere_and_signs_that_no_font_has_are_said_by_their_code():
    async with Printer() as printer:
        made = await printer.pdf(PAGE.format("<p>张\x08三\u2028李\ufffe四👨\u200d👩\u200d👧 1\ufe0f\u20e3 🇨🇳</p>"))
        text = "".join(profile.pages(made))
        assert "张〔U+0008〕三" in text
        assert "李〔U+FFFE〕四" in text
        assert "\ufffd" not in text
        with pytest.raises(GlyphsLacking) as refused:
            await printer.pdf(PAGE.format("<p>𰻞\U0003134b👨</p>"))
        assert "\U0003134b" in str(refused.value.facts["characters"]), "a name's character is nobody's to spell"


@pytest.mark.parametrize("word", ["img src", "embed src", "object data"])
async def test_a_document_reaches_neither_files_nor_the_network(word: str, tmp_path: Path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    async with Printer() as printer:
        for where in (secret.as_uri(), "http://127.0.0.1:9/x.png", "ftp://127.0.0.1:9/x"):
            with pytest.raises(CannotBeLaidOut):
                await printer.pdf(PAGE.format(f'<{word}="{where}">'))
        hidden = PAGE.format("").replace("<style>", f'<link rel=attachment href="{secret.as_uri()}"><style>')
        with pikepdf.open(io.BytesIO(await printer.pdf(hidden))) as pdf:
            assert list(pdf.attachments) == []


async def test_a_document_that_takes_too_long_is_ended_and_the_next_one_is_made():
    async with Printer() as printer:
        printer._patience = 3.0
        began = time.monotonic()
        with pytest.raises(PrintingTooLong):
            await printer.pdf(PAGE.format("<p>" + "事事有回音，件件有着落。" * 400_000 + "</p>"))
        assert time.monotonic() - began < 30
        printer._patience = 60.0
        assert (await printer.pdf(PAGE.format("<p>回音</p>"))).startswith(b"%PDF")


async def test_the_event_loop_goes_on_while_a_document_is_made():
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.01)
            beats += 1

    beating = asyncio.create_task(beat())
    await made("<p>" + "回音。" * 3000 + "</p>")
    beating.cancel()
    assert beats > 10
