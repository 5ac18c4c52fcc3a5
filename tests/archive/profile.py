"""What every file for the archives has to have, seen by another program than the one that wrote it (ARCHIVE 2.1)."""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
from pathlib import Path

import pikepdf
import pytest


def fit(content: bytes) -> None:
    """Assert the checks of PDF/A-3a and PDF/UA-1 that can be made without a validator."""
    with pikepdf.open(io.BytesIO(content)) as pdf:
        root = pdf.Root
        assert not pdf.is_encrypted
        told = root.Metadata.read_bytes().decode()
        assert told.count("<rdf:RDF") == 1
        assert 'pdfaid:part="3" pdfaid:conformance="A"' in told
        assert 'pdfuaid:part="1"' in told
        assert str(root.OutputIntents[0].S) == "/GTS_PDFA1"
        assert "/DestOutputProfile" in root.OutputIntents[0]
        assert "/ID" in pdf.trailer
        assert root.MarkInfo.Marked
        assert "/StructTreeRoot" in root
        assert str(root.Lang) == "zh-Hans"
        assert pdf.docinfo.get("/Title")
        assert root.ViewerPreferences.DisplayDocTitle
        for page in pdf.pages:
            for font in page.Resources.Font.as_dict().values():
                assert "/ToUnicode" in font
                assert any(f"/FontFile{kind}" in font.DescendantFonts[0].FontDescriptor for kind in ("2", "3"))
        names = root.get("/Names", {})
        assert "/JavaScript" not in names
        assert "/OpenAction" not in root
        assert "/AA" not in root
        files = root.get("/AF", [])
        assert len(files) == len(list(pdf.attachments))
        for file in files:
            assert str(file.AFRelationship) in ("/Source", "/Data", "/Supplement", "/Alternative")
            assert str(file.UF) == str(file.F)
            assert str(file.EF.F.Subtype).startswith("/")
            assert "/ModDate" in file.EF.F.Params


def judged(content: bytes) -> None:
    """Assert that veraPDF finds both profiles kept. Skips where it is not on PATH."""
    if shutil.which("verapdf") is None:
        pytest.skip("veraPDF is not installed here")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.pdf"
        path.write_bytes(content)
        for flavour in ("3a", "ua1"):
            words = ["verapdf", "--flavour", flavour, "--format", "text", str(path)]
            done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
            assert done.stdout.startswith("PASS"), (flavour, done.stdout, done.stderr)


def pages(content: bytes) -> list[str]:
    """Return the text of each page, without white space. Skips where poppler is not installed."""
    return ["".join(page.split()) for page in laid_out(content)]


def laid_out(content: bytes) -> list[str]:
    """Return the text of each page as it stands there. Skips where poppler is not installed."""
    return _text(content, "-layout")


def read(content: bytes) -> list[str]:
    """Return the text of each page as it is read: cell by cell. Skips where poppler is not installed."""
    return _text(content)


def _text(content: bytes, *how: str) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.pdf"
        path.write_bytes(content)
        try:
            done = subprocess.run(["pdftotext", *how, path, "-"], capture_output=True, text=True, check=True)
        except FileNotFoundError:
            pytest.skip("pdftotext (poppler-utils) is not installed here")
    return done.stdout.split("\f")[:-1]
