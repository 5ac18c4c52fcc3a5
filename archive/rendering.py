"""版式渲染. Makes one document after another into PDF/A-3a and PDF/UA-1, in a process that reaches nothing else.

Started by `archive.pdf` as `python -m archive.rendering`; jobs come on standard input, what became of each goes to
standard output, both with their length in four bytes before them.
"""

from __future__ import annotations

import gc
import hashlib
import logging
import re
import resource
import sys
import unicodedata
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from io import BytesIO
from typing import Any, BinaryIO, NoReturn
from xml.etree.ElementTree import Element, SubElement, fromstring, tostring

import msgspec
import pydyf
from weasyprint import HTML, Attachment
from weasyprint.document import Document
from weasyprint.pdf.metadata import NS, DocumentMetadata
from weasyprint.text.fonts import FontConfiguration, get_hb_object_data
from weasyprint.urls import FatalURLFetchingError, URLFetcher

from archive.pictures import reduced
from archive.wire import Attached, Done, Failed, Job, Lacking, Outcome, Picture, read_from, written

MEMORY = 2 << 30
"""Bytes that a rendering process may take: a document that wants more fails alone."""

LEVEL = 6
"""How hard streams are packed: at 9, files are a hundredth smaller and take twice as long to pack."""

COLLECT_EVERY = 12
"""Pages after which what documents left behind is collected, all at once."""

OWN = re.compile("[\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd]")
"""Characters for private use: each font gives them another shape, so none of them is sure to be the one that was meant."""

_BREAKS = re.compile("\r\n|[\v\f\x85\u2028\u2029]")
_UNSEEN = re.compile("[\0-\x08\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")
"""What ends a line, and what has no shape in any font: old systems let both into texts."""

_LOG = logging.getLogger("weasyprint")


class _Nothing(URLFetcher):
    """Fetches what a document carries itself (`data:`), and nothing from the network or the file system."""

    def __init__(self) -> None:
        super().__init__(allowed_protocols=("data",), allow_redirects=False, fail_on_errors=True)

    def fetch(self, url: str, headers: Mapping[str, str] | None = None) -> Any:
        """Return what a `data:` address holds. Raises FatalURLFetchingError for any other: the document is refused."""
        if not url.lower().startswith("data:"):
            raise FatalURLFetchingError(f"文件引用了外部资源 the document refers to what lies outside it: {url[:80]}")
        return super().fetch(url, headers)


class _Metadata(DocumentMetadata):
    """The metadata of both profiles in one RDF block: readers ignore a second one, and PDF/UA would be lost."""

    def generate_rdf_metadata(self, variant: str, version: int, conformance: str) -> bytes:
        """Return the block with the mark of PDF/UA-1 added."""
        root = fromstring(super().generate_rdf_metadata(variant, version, conformance))  # noqa: S314  made a line above
        about = SubElement(root, f"{{{NS['rdf']}}}Description")
        about.attrib[f"{{{NS['rdf']}}}about"] = ""
        about.attrib[f"{{{NS['pdfuaid']}}}part"] = "1"
        assert isinstance(root, Element)
        return tostring(root, encoding="utf-8")


class _Complaints(logging.Handler):
    """Hears of characters that no installed font can show."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lacking: dict[str, None] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the character that a warning names."""
        found = re.search(r"U\+([0-9A-F]{4,6})", record.getMessage())
        if found is not None and "notdef" in record.getMessage():
            self.lacking[chr(int(found[1], 16))] = None


class Renderer:
    """One process's fonts and what it heard while rendering."""

    def __init__(self) -> None:
        self._fonts = FontConfiguration()
        self._known: dict[tuple[bytes, int], str] = {}  # digests of font files
        self._heard = _Complaints()
        _LOG.handlers[:] = [self._heard]
        _LOG.propagate = False

    def render(self, job: Job) -> Outcome:
        """Return the PDF, or why there is none."""
        if own := dict.fromkeys(OWN.findall(job.html)):
            return Lacking("".join(own))
        html = _UNSEEN.sub(_by_code, _BREAKS.sub("\n", job.html))
        outcome = self._made(html, job.attachments)
        if isinstance(outcome, Lacking) and all(map(_is_sign, outcome.characters)):
            lacking = re.compile("|".join(map(re.escape, outcome.characters)))
            outcome = self._made(lacking.sub(_by_code, html), job.attachments)
        return outcome

    def _made(self, html: str, attachments: Sequence[Attached]) -> Outcome:
        self._heard.lacking = {}
        try:
            document: Document = HTML(string=html, url_fetcher=_Nothing()).render(font_config=self._fonts)
            document.metadata.__class__ = _Metadata
            document.metadata.attachments = _attachments(attachments)
            made = document.write_pdf(finisher=_finished, pdf_variant="pdf/a-3a", pdf_tags=True)
        except FatalURLFetchingError as error:
            return Failed(f"{error}")
        except Exception as error:  # noqa: BLE001  a document that cannot be laid out ends its job, not the process
            return Failed(f"{type(error).__name__}: {error}")
        if self._heard.lacking:
            return Lacking("".join(self._heard.lacking))
        assert isinstance(made, bytes)
        return Done(made, pages=len(document.pages), fonts=self._digests(document))

    def _digests(self, document: Document) -> tuple[str, ...]:
        """Return the digests of the font files that a document was set in, each file read once."""
        found: set[str] = set()
        for font in document.fonts.values():
            known = (font.name, font.index)
            if known not in self._known:
                file = get_hb_object_data(font.hb_face)
                assert isinstance(file, bytes)
                self._known[known] = f"sha256:{hashlib.sha256(file).hexdigest()}"
            found.add(self._known[known])
        return tuple(sorted(found))


def _by_code(found: re.Match[str]) -> str:
    return f"〔U+{ord(found[0]):04X}〕"


def _is_sign(one: str) -> bool:
    """Tell whether a character is a pictogram or belongs to one: its code says as much, which is not so of a name's."""
    sign = unicodedata.category(one) in ("So", "Sk", "Me", "Cf") or "\ufe00" <= one <= "\ufe0f"
    return sign and not "\u0900" <= one <= "\u1fff"


def _finished(_: Document, pdf: pydyf.PDF) -> None:
    """Name each file that belongs to the document once, which WeasyPrint finds twice; pack each stream once.

    The library packs every stream as it writes it, and before that all of them for the document's identifier.
    """
    if "AF" in pdf.catalog:
        pdf.catalog["AF"][:] = list(dict.fromkeys(pdf.catalog["AF"]))
    for one in pdf.objects:
        if isinstance(one, pydyf.Stream) and one.compress:
            one.compress = False
            content = one.data.partition(b"\nstream\n")[2].removesuffix(b"\nendstream")
            one.stream = [zlib.compress(content, LEVEL)]
            one.extra["Filter"] = "/FlateDecode"


def _attachments(named: Sequence[Attached]) -> list[Attachment]:
    """Return the files as WeasyPrint takes them: with their own instants, which it writes as if they were in UTC."""
    made: list[Attachment] = []
    for one in named:
        at = datetime.fromisoformat(one.at).astimezone(UTC)
        attachment = Attachment(
            file_obj=BytesIO(one.content),
            name=one.name,
            description=one.description,
            created=at,
            modified=at,
            relationship=one.relationship,
        )
        made.append(attachment)
    return made


_JOBS = msgspec.msgpack.Decoder(Job | Picture)


def serve(jobs: BinaryIO, answers: BinaryIO) -> None:
    """Render job after job until there are no more."""
    renderer, pages = Renderer(), 0
    gc.freeze()
    gc.disable()
    while (said := read_from(jobs)) is not None:
        job = _JOBS.decode(said)
        outcome = reduced(job.content) if isinstance(job, Picture) else renderer.render(job)
        answers.write(written(msgspec.msgpack.encode(outcome)))
        answers.flush()
        pages += outcome.pages if isinstance(outcome, Done) else COLLECT_EVERY
        if pages >= COLLECT_EVERY:
            pages = 0
            gc.collect()


def main() -> NoReturn:
    """Serve the process that started this one."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    serve(sys.stdin.buffer, sys.stdout.buffer)
    sys.exit(0)


if __name__ == "__main__":
    main()
