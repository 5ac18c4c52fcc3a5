"""What packets hold is opened by programs that nobody here wrote: unzip, a spreadsheet, a drawing program, an XML reader."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from archive import forms
from archive.items import COLUMNS
from archive.packet import Total
from archive.pdf import Printer
from scripts import embedded
from tests.archive.filed import Office, within

TITLE = "=河滨路䶮𠮷路口路灯不亮"
"""A title that a spreadsheet would take for a formula, with letters that many fonts lack."""


@pytest.fixture(scope="module")
def packet(postgres: embedded.Database, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packet of two cases, with its form as a PDF."""
    folder = tmp_path_factory.mktemp("strangers")

    async def work(there: Office) -> Path:
        await there.filed(2, title=TITLE)
        root = await there.packet(folder)
        plan = await there.plan()
        async with Printer() as printer:
            (folder / "form.pdf").write_bytes(await printer.pdf(forms.handover(plan, Total(items=2))))
        return root

    return within(postgres, folder, work)


def test_a_zip_of_a_packet_is_whole_for_unzip_and_keeps_its_names(packet: Path, tmp_path: Path):
    if shutil.which("unzip") is None:
        pytest.skip("unzip is not installed here")
    whole = Path(shutil.make_archive(str(tmp_path / "packet"), "zip", packet.parent, packet.name))
    tested = subprocess.run(["unzip", "-tq", whole], check=False, capture_output=True, text=True)
    assert tested.returncode == 0, tested
    subprocess.run(["unzip", "-q", whole, "-d", tmp_path / "out"], check=True, env={"LC_ALL": "C.UTF-8"})
    out = tmp_path / "out" / packet.name
    names = [sorted(path.relative_to(root).as_posix() for path in root.rglob("*")) for root in (packet, out)]
    assert names[0] == names[1]
    assert all((out / name).read_bytes() == (packet / name).read_bytes() for name in names[0] if (out / name).is_file())


def test_every_xml_of_a_packet_is_well_formed_and_brings_no_definitions(packet: Path):
    found = sorted(packet.rglob("*.xml"))
    assert len(found) == 3
    for path in found:
        said = path.read_bytes()
        assert b"<!" not in said
        assert TITLE in "".join(ET.fromstring(said).itertext())


COMMAS = "Text - txt - csv (StarCalc):44,34,76"
"""A table in UTF-8: at a desk the dialogue proposes it by the first bytes, without one LibreOffice has to be told."""


def converted(path: Path, to: str, folder: Path, *how: str) -> Path:
    """Have LibreOffice open a file and write it as another. Skips where it is not installed."""
    office = shutil.which("soffice")
    if office is None:
        pytest.skip("LibreOffice (soffice) is not installed here")
    words = [office, f"-env:UserInstallation={(folder / 'profile').as_uri()}", "--headless", *how, "--convert-to", to]
    done = subprocess.run([*words, "--outdir", folder, path], check=False, capture_output=True, text=True, timeout=180)
    made = folder / f"{path.stem}.{to.partition(':')[0]}"
    assert made.is_file(), done
    return made


def test_libreoffice_opens_the_catalogue_with_every_letter_and_computes_nothing(packet: Path, tmp_path: Path):
    catalogue = packet / "data" / "归档文件目录.csv"
    book = converted(catalogue, "ods", tmp_path, f"--infilter={COMMAS}")
    back = converted(book, f"csv:{COMMAS}", tmp_path / "back")
    rows = list(csv.reader(back.read_text(encoding="utf-8-sig").splitlines()))
    assert rows[0] == list(COLUMNS)
    assert [row[4].lstrip("'") for row in rows[1:]] == [TITLE, TITLE]
    assert [row[0] for row in rows[1:]] == ["1", "2"]
    assert not [cell for row in rows for cell in row if re.match(r"#|Err:", cell)]


def test_libreoffice_opens_a_pdf_of_a_packet(packet: Path, tmp_path: Path):
    picture = converted(packet.parent / "form.pdf", "png", tmp_path)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 5_000
