"""Files beside the ledger: what is given comes back, nothing of it can be read, changed, cut or swapped without notice."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from domain.attachments import CHUNK, LIMITS, MOST_OF_A_CASE, TYPES, FileKey, Files, types_of
from domain.refusals import FileChanged, FileTooLarge, FileTypeUnfit, TooManyFiles, UnknownFile

STREAM = "order:00000000-0000-7000-8000-000000000001"
OTHER = "order:00000000-0000-7000-8000-000000000002"
KEY = FileKey("k-1", bytes(range(32)))
PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff\xe0"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path, "ledger", os.urandom)


def unlock(key_id: str) -> bytes | None:
    return {KEY.id: KEY.data}.get(key_id)


async def _in_parts(content: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(content), size):
        yield content[at : at + size]


def keep(files: Files, content: bytes, media: str = "image/png", *, stream: str = STREAM, part: int = 60_000) -> str:
    kept, _ = asyncio.run(files.keep(stream, KEY, media, _in_parts(content, part)))
    assert (kept.size, kept.media_type) == (len(content), media)
    assert kept.digest == "sha256:" + hashlib.sha256(content).hexdigest()
    return kept.digest


def read(files: Files, digest: str, stream: str = STREAM) -> bytes:
    async def whole() -> bytes:
        found = files.open(stream, digest, unlock)
        assert found is not None
        return b"".join([part async for part in await found.parts()])

    return asyncio.run(whole())


def lying(files: Files) -> list[Path]:
    return sorted(path for path in files.root.rglob("*") if path.is_file())


@pytest.mark.parametrize("size", [9, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 5])
@pytest.mark.parametrize("part", [1000, CHUNK, 10 * CHUNK])
def test_what_was_given_comes_back_whatever_its_length(files: Files, size: int, part: int):
    content = PNG + os.urandom(size - len(PNG))
    digest = keep(files, content, part=part)
    assert read(files, digest) == content
    found = files.open(STREAM, digest, unlock)
    assert found is not None
    found.whole()
    found.close()


def test_nothing_that_was_given_lies_there_in_the_open(files: Files):
    words = "河滨路的路灯三天不亮".encode()
    keep(files, words * 100, "text/plain")
    (path,) = lying(files)
    assert words not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0 or path.parent.stat().st_mode & 0o077 == 0


def test_the_same_file_is_kept_once_and_another_case_has_its_own(files: Files):
    content = PNG + b"same"
    first = asyncio.run(files.keep(STREAM, KEY, "image/png", _in_parts(content, 5)))
    again = asyncio.run(files.keep(STREAM, KEY, "image/png", _in_parts(content, 5)))
    assert (first[1], again[1], first[0]) == (True, False, again[0])
    keep(files, content, stream=OTHER)
    one, two = lying(files)
    assert one.name == two.name
    assert one.read_bytes() != two.read_bytes()
    assert [stream for stream, _ in files.cases()] == [STREAM, OTHER]


def _opened(files: Files, digest: str, stream: str = STREAM) -> None:
    found = files.open(stream, digest, unlock)
    assert found is not None
    with closing(found):
        found.whole()


def test_whatever_byte_is_changed_is_found(files: Files):
    digest = keep(files, PNG + os.urandom(500))
    (path,) = lying(files)
    content = path.read_bytes()
    missed: list[int] = []
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        try:
            found = files.open(STREAM, digest, unlock)
        except FileChanged:
            continue
        if found is None:  # the id of a key that is not there
            continue
        with closing(found), suppress(FileChanged):
            found.whole()
            missed.append(at)
    assert missed == []


@pytest.mark.parametrize("left", [0, 10, 100, -1, -4, -200])
def test_what_was_cut_or_continued_is_found(files: Files, left: int):
    digest = keep(files, PNG + os.urandom(2 * CHUNK))
    (path,) = lying(files)
    content = path.read_bytes()
    path.write_bytes(content[:left])
    with pytest.raises(FileChanged):
        _opened(files, digest)
    path.write_bytes(content + b"\0")
    with pytest.raises(FileChanged):
        _opened(files, digest)


def test_chunks_that_changed_places_and_files_that_changed_names_are_found(files: Files):
    content = PNG + os.urandom(2 * CHUNK)
    digest = keep(files, content)
    (path,) = lying(files)
    sealed = path.read_bytes()
    head = len(b"huiyin-file/1\n\0\0") + 1 + len(KEY.id) + 32
    one, two = sealed[head : head + CHUNK + 16], sealed[head + CHUNK + 16 : head + 2 * CHUNK + 32]
    path.write_bytes(sealed[:head] + two + one + sealed[head + 2 * CHUNK + 32 :])
    with pytest.raises(FileChanged):
        _opened(files, digest)
    other = keep(files, JPEG + b"another", "image/jpeg")
    path.write_bytes((path.parent / other.partition(":")[2]).read_bytes())
    with pytest.raises(FileChanged):
        _opened(files, digest)
    elsewhere = files.root / OTHER.partition(":")[2]
    elsewhere.mkdir()
    (elsewhere / other.partition(":")[2]).write_bytes(path.read_bytes())
    with pytest.raises(FileChanged):
        _opened(files, other, OTHER)


def test_a_file_whose_key_was_destroyed_does_not_open(files: Files):
    digest = keep(files, PNG + b"x")
    assert files.open(STREAM, digest, lambda _: None) is None
    with pytest.raises(UnknownFile):
        files.open(STREAM, "sha256:" + "0" * 64, unlock)
    with pytest.raises(UnknownFile):
        files.open(STREAM, "sha256:../../etc/passwd", unlock)


def test_what_is_given_again_under_a_new_key_can_be_opened_again(files: Files):
    content = PNG + b"again"
    digest = keep(files, content)
    newer = FileKey("k-2", bytes(32))
    kept, new = asyncio.run(files.keep(STREAM, newer, "image/png", _in_parts(content, 5)))
    assert (kept.digest, new) == (digest, True)
    found = files.open(STREAM, digest, {newer.id: newer.data}.get)
    assert found is not None
    found.whole()
    found.close()


# --- what is taken -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "media"),
    [
        (b"<html><script>alert(1)</script>", "text/html"),
        (b"<svg onload='alert(1)'/>", "image/svg+xml"),
        (b"MZ\x90\0", "image/png"),
        (b"<html>", "image/jpeg"),
        (PNG, "image/jpeg"),
        (b"RIFF....WAVEfmt ", "image/webp"),
        (b"....WEBP", "image/webp"),
        (b"\xff\xfe\x00", "text/plain"),
        (b"nul\0", "text/plain"),
        ("半个字".encode()[:-1], "text/plain"),
        (b"", "image/png"),
        (b"", "text/plain"),
        (b"PK\x03\x04", "application/zip"),
    ],
)
def test_what_is_not_what_it_is_said_to_be_is_refused_and_leaves_nothing(files: Files, content: bytes, media: str):
    with pytest.raises(FileTypeUnfit):
        keep(files, content, media)
    assert lying(files) == []


@pytest.mark.parametrize(
    ("content", "media"),
    [
        (b"GIF89a..", "image/gif"),
        (b"%PDF-1.7", "application/pdf"),
        (b"RIFF....WAVEfmt ", "audio/wav"),
        (b"#!AMR\n..", "audio/amr"),
        (b"ID3\x04", "audio/mpeg"),
        (b"\0\0\0\x18ftypmp42", "video/mp4"),
        (b"\0\0\0\x18ftypisom", "audio/mp4"),
        (b"\x1aE\xdf\xa3....", "video/webm"),
        ("文字，分段到达".encode(), "text/plain"),
    ],
)
def test_what_is_what_it_is_said_to_be_is_kept(files: Files, content: bytes, media: str):
    assert read(files, keep(files, content, media, part=1)) == content


def test_every_type_that_is_taken_can_be_told_and_has_its_limit():
    assert {media.partition("/")[0] for media in TYPES} == set(LIMITS)
    assert types_of(b"nothing known") == frozenset()
    assert not {"text/html", "image/svg+xml", "application/javascript", "application/zip"} & TYPES


def test_what_is_too_large_is_refused_where_it_becomes_so(files: Files, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(LIMITS, "image", 1000)
    read_parts: list[int] = []

    async def endless() -> AsyncIterator[bytes]:
        yield PNG
        while True:
            read_parts.append(1)
            yield bytes(100)

    with pytest.raises(FileTooLarge):
        asyncio.run(files.keep(STREAM, KEY, "image/png", endless()))
    assert len(read_parts) == 10
    assert lying(files) == []


def test_what_breaks_off_leaves_nothing(files: Files):
    async def broken() -> AsyncIterator[bytes]:
        yield PNG + bytes(2 * CHUNK)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        asyncio.run(files.keep(STREAM, KEY, "image/png", broken()))
    assert lying(files) == []


def test_what_a_killed_process_left_half_written_is_removed_when_it_is_old(files: Files):
    digest = keep(files, PNG + b"whole")
    (path,) = lying(files)
    draft = path.parent / ".draft-00"
    draft.write_bytes(b"half")
    written = draft.stat().st_mtime
    assert files.remove_drafts(written - 10) == 0
    assert files.remove_drafts(written + 10) == 1
    assert read(files, digest) == PNG + b"whole"


def test_a_case_has_so_many_files_and_no_more(files: Files):
    for number in range(MOST_OF_A_CASE):
        keep(files, PNG + str(number).encode())
    with pytest.raises(TooManyFiles):
        keep(files, PNG + b"one more")
    keep(files, PNG + b"of another case", stream=OTHER)
