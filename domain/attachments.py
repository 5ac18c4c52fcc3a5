"""附件. Voice, text, pictures and video of a case: kept in files beside the ledger, sealed with the case's own key.

A file is named by the SHA-256 of what was given, below its case; the events hold that digest, size and type, the bytes
lie here. What lies here is ciphertext in chunks, each bound to its case and its place, closed by an end that says what
the whole is: nothing of it can be changed, swapped, cut or continued, and memory stays at a chunk, however long it is.
The key is made from that of the case's texts, so that erasing the case erases its files wherever they were copied to.

    magic · length of the key's id · the key's id · salt · chunks … · end · length of the end
"""

from __future__ import annotations

import asyncio
import codecs
import hashlib
import os
import re
import struct
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any, NamedTuple, cast, get_args, get_type_hints

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from domain.refusals import FileChanged, FileTooLarge, FileTypeUnfit, TooManyFiles, UnknownFile
from domain.sealing import Entropy
from domain.terms import Attachment, Entry

CHUNK = 256 << 10
MOST_OF_A_CASE = 200
"""Files that one case may have."""

_MAGIC = b"huiyin-file/1\n\0\0"
_SALT = 32
_TAG = 16
_END = (1 << 64) - 1
_NAME = re.compile(r"[0-9a-f]{64}")
_DRAFT = ".draft-"

MEGABYTE = 1 << 20
LIMITS = {
    "image": 20 * MEGABYTE,
    "text": 1 * MEGABYTE,
    "application": 20 * MEGABYTE,
    "audio": 100 * MEGABYTE,
    "video": 500 * MEGABYTE,
}
"""How large a file may be, by the first part of its type."""


# --- what a file is ----------------------------------------------------------------------------------------------

_BEGINNINGS: tuple[tuple[int, bytes, frozenset[str]], ...] = (
    (0, b"\xff\xd8\xff", frozenset({"image/jpeg"})),
    (0, b"\x89PNG\r\n\x1a\n", frozenset({"image/png"})),
    (0, b"GIF87a", frozenset({"image/gif"})),
    (0, b"GIF89a", frozenset({"image/gif"})),
    (0, b"%PDF-", frozenset({"application/pdf"})),
    (0, b"#!AMR", frozenset({"audio/amr"})),
    (0, b"OggS", frozenset({"audio/ogg", "video/ogg"})),
    (0, b"fLaC", frozenset({"audio/flac"})),
    (0, b"ID3", frozenset({"audio/mpeg"})),
    (0, b"\xff\xfb", frozenset({"audio/mpeg"})),
    (0, b"\xff\xf3", frozenset({"audio/mpeg"})),
    (0, b"\xff\xf2", frozenset({"audio/mpeg"})),
    (0, b"\x1aE\xdf\xa3", frozenset({"video/webm", "audio/webm"})),
    (8, b"WEBP", frozenset({"image/webp"})),
    (8, b"WAVE", frozenset({"audio/wav"})),
    (4, b"ftypheic", frozenset({"image/heic"})),
    (4, b"ftypheix", frozenset({"image/heic"})),
    (4, b"ftypmif1", frozenset({"image/heic"})),
    (4, b"ftypM4A", frozenset({"audio/mp4"})),
    (4, b"ftypqt", frozenset({"video/quicktime"})),
    (4, b"ftyp3gp", frozenset({"video/3gpp", "audio/3gpp"})),
    (4, b"ftyp", frozenset({"video/mp4", "audio/mp4"})),
)
_TEXT = "text/plain"
TYPES = frozenset({_TEXT}).union(*(types for _, _, types in _BEGINNINGS))
"""Types that are taken: nothing that runs where it is opened."""


def types_of(head: bytes) -> frozenset[str]:
    """Return the types that a file may be of, by how it begins; none for what is not known."""
    for place, sign, types in _BEGINNINGS:
        if head[place : place + len(sign)] == sign and (place != 8 or head[:4] == b"RIFF"):
            return types
    return frozenset()


class _Looked:
    """Looks at a file as it comes: is it what it is said to be? Raises FileTypeUnfit and FileTooLarge."""

    def __init__(self, declared: str) -> None:
        if declared not in TYPES:
            raise FileTypeUnfit(f"{declared[:60]}; {', '.join(sorted(TYPES))}")
        self.size = 0
        self.digest = hashlib.sha256()
        self.declared = declared
        self._most = LIMITS[declared.partition("/")[0]]
        self._text = codecs.getincrementaldecoder("utf-8")() if declared == _TEXT else None
        self._head = b""

    def part(self, part: bytes) -> None:
        """Look at the next part."""
        self.size += len(part)
        if self.size > self._most:
            raise FileTooLarge(f"{self.declared}: > {self._most}")
        self.digest.update(part)
        if len(self._head) < 32:
            self._head += part[: 32 - len(self._head)]
        self._as_text(part, end=False)

    def end(self) -> None:
        """Look at the whole."""
        self._as_text(b"", end=True)
        if self.size == 0 or (self._text is None and self.declared not in types_of(self._head)):
            raise FileTypeUnfit(self.declared)

    def _as_text(self, part: bytes, *, end: bool) -> None:
        if self._text is None:
            return
        try:
            if "\0" in self._text.decode(part, end):
                raise FileTypeUnfit(self.declared)
        except UnicodeDecodeError as error:
            raise FileTypeUnfit("UTF-8") from error


def named_in(entry: Entry) -> Iterator[tuple[str, Attachment]]:
    """Yield the files that an entry names, by the path of the field."""
    yield from named_by(entry.event, "")


def named_by(value: object, path: str = "") -> Iterator[tuple[str, Attachment]]:
    """Yield the files that a command or an event names, by the path of the field."""
    if isinstance(value, Attachment):
        yield path, value
    elif isinstance(value, msgspec.Struct):
        for name in _ways(type(value)):
            yield from named_by(getattr(value, name), f"{path}.{name}" if path else name)
    elif isinstance(value, tuple | list):
        for number, item in enumerate(cast("Sequence[object]", value)):
            yield from named_by(item, f"{path}.{number}")


@cache
def _ways(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    """Return the fields of a record under which a file may be named: of most there is none, and nothing is looked for."""
    hints = get_type_hints(kind)
    return tuple(name for name in kind.__struct_fields__ if _leads(hints[name], (kind,)))


def _leads(hint: Any, within: tuple[object, ...]) -> bool:
    """Tell whether a value of a type may hold a file."""
    if hint is Any or hint is Attachment:
        return True
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        inner = get_type_hints(hint).values()
        return hint not in within and any(_leads(one, (*within, hint)) for one in inner)
    return any(_leads(one, within) for one in get_args(hint))


# --- how it lies there -------------------------------------------------------------------------------------------


class FileKey(NamedTuple):
    """A case's key as files are sealed with it: its id in `keys`, and the key."""

    id: str
    data: bytes


Unlock = Callable[[str], bytes | None]
"""Returns a case's key by its id; None where it was destroyed."""


class _Whole(msgspec.Struct, frozen=True):
    """What a file's end says of it."""

    digest: str
    size: int
    media_type: str


class _Seal:
    """Seals and opens the chunks of one file."""

    def __init__(self, stream: str, key: FileKey, salt: bytes) -> None:
        self._cipher = AESGCM(HKDF(SHA256(), 32, salt=salt, info=b"huiyin/file\n" + stream.encode()).derive(key.data))
        self._bound = f"{stream}\n{key.id}".encode()

    def sealed(self, number: int, chunk: bytes) -> bytes:
        # The cipher's key is fresh with its salt, so that a chunk's number is nonce enough.
        return self._cipher.encrypt(struct.pack(">4xQ", number), chunk, self._bound)

    def opened(self, number: int, chunk: bytes) -> bytes:
        try:
            return self._cipher.decrypt(struct.pack(">4xQ", number), chunk, self._bound)
        except InvalidTag as error:
            raise FileChanged from error


def _head_of(file: IO[bytes]) -> tuple[str, bytes]:
    """Read a file's beginning; return the key's id and the salt. Raises FileChanged."""
    if file.read(len(_MAGIC)) != _MAGIC:
        raise FileChanged
    length = file.read(1)
    name = file.read(length[0]) if length else b""
    salt = file.read(_SALT)
    if len(salt) != _SALT or not name.isascii():
        raise FileChanged
    return name.decode("ascii"), salt


class Opened:
    """A file that is there and can be opened: what it is, and what it holds, a chunk at a time."""

    def __init__(self, file: IO[bytes], seal: _Seal, said: _Whole, chunks: int) -> None:
        self.size = said.size
        self.media_type = said.media_type
        self.digest = said.digest
        self._file = file
        self._seal = seal
        self._chunks = chunks

    def chunk(self, number: int) -> bytes:
        """Return the next chunk; they are asked for in their order. Raises FileChanged."""
        length = CHUNK if number < self._chunks - 1 else self.size - CHUNK * (self._chunks - 1)
        return self._seal.opened(number, self._file.read(length + _TAG))

    async def parts(self) -> AsyncIterator[bytes]:
        """Return what the file holds, part by part; it is closed after the last. The first part has been opened.

        Raises FileChanged; further on, where the caller has part of it already, what is read breaks off.
        """
        try:
            return self._rest(await asyncio.to_thread(self.chunk, 0))
        except BaseException:
            self.close()
            raise

    async def _rest(self, part: bytes) -> AsyncIterator[bytes]:
        try:
            yield part
            for number in range(1, self._chunks):
                yield await asyncio.to_thread(self.chunk, number)
        finally:
            self.close()

    def whole(self) -> None:
        """Read it through and hold it against its digest. Raises FileChanged."""
        digest = hashlib.sha256()
        for number in range(self._chunks):
            digest.update(self.chunk(number))
        if f"sha256:{digest.hexdigest()}" != self.digest:
            raise FileChanged(self.digest)

    def close(self) -> None:
        """Close it."""
        self._file.close()


class Files:
    """The files of one ledger, in a directory."""

    def __init__(self, root: Path, ledger_id: str, entropy: Entropy) -> None:
        self.root = root / ledger_id
        self._entropy = entropy

    def _of(self, stream: str) -> Path:
        return self.root / stream.partition(":")[2]

    def _path(self, stream: str, digest: str) -> Path:
        kind, _, name = digest.partition(":")
        if kind != "sha256" or not _NAME.fullmatch(name):
            raise UnknownFile(ascii(digest[:80]))
        return self._of(stream) / name

    def there(self, stream: str, digest: str) -> bool:
        """Tell whether a file of a case is kept here."""
        try:
            return self._path(stream, digest).exists()
        except UnknownFile:
            return False

    # --- keeping ---

    async def keep(
        self, stream: str, key: FileKey, declared: str, parts: AsyncIterator[bytes]
    ) -> tuple[Attachment, bool]:
        """Keep a file of a case as it comes; return what the events say of it, and whether it is new.

        It gets its name when it is whole and on disk; what breaks off before leaves nothing. Raises FileTypeUnfit,
        FileTooLarge and TooManyFiles.
        """
        looked = _Looked(declared)
        folder = self._of(stream)
        await asyncio.to_thread(self._room, folder)
        draft = folder / f"{_DRAFT}{self._entropy(8).hex()}"
        try:
            with draft.open("xb") as file:
                await self._sealed(file, stream, key, looked, parts)
            digest = f"sha256:{looked.digest.hexdigest()}"
            path = self._path(stream, digest)
            if path.exists() and self.key_of(stream, digest) != key.id:  # its key is not the case's any more
                path.unlink(missing_ok=True)
            new = await asyncio.to_thread(_named, draft, path)
        finally:
            draft.unlink(missing_ok=True)
        return Attachment(digest=digest, size=looked.size, media_type=declared), new

    def _room(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if sum(1 for _ in folder.iterdir()) >= MOST_OF_A_CASE:
            raise TooManyFiles(f"{MOST_OF_A_CASE}")

    async def _sealed(
        self, file: IO[bytes], stream: str, key: FileKey, looked: _Looked, parts: AsyncIterator[bytes]
    ) -> None:
        salt = self._entropy(_SALT)
        seal = _Seal(stream, key, salt)
        file.write(_MAGIC + bytes([len(key.id)]) + key.id.encode("ascii") + salt)
        waiting, number = bytearray(), 0
        async for part in parts:
            looked.part(part)
            waiting += part
            while len(waiting) >= CHUNK:
                await asyncio.to_thread(_written, file, seal, number, bytes(waiting[:CHUNK]))
                del waiting[:CHUNK]
                number += 1
        looked.end()
        if waiting:
            await asyncio.to_thread(_written, file, seal, number, bytes(waiting))
        said = _Whole(f"sha256:{looked.digest.hexdigest()}", looked.size, looked.declared)
        end = seal.sealed(_END, msgspec.json.encode(said))
        file.write(end + struct.pack(">I", len(end)))
        file.flush()
        await asyncio.to_thread(os.fsync, file.fileno())

    # --- opening ---

    def open(self, stream: str, digest: str, unlock: Unlock) -> Opened | None:
        """Open a file of a case; None where its key was destroyed. Raises UnknownFile and FileChanged."""
        path = self._path(stream, digest)
        try:
            file = path.open("rb")
        except FileNotFoundError as error:
            raise UnknownFile(digest) from error
        try:
            found = _opened(file, stream, digest, unlock)
        except (struct.error, OSError, msgspec.DecodeError) as error:
            file.close()
            raise FileChanged(digest) from error
        except FileChanged:
            file.close()
            raise
        if found is None:
            file.close()
        return found

    # --- looking after -----------------------------------------------------------------------------------------------

    def cases(self) -> Iterator[tuple[str, list[str]]]:
        """Yield every case that has files here, with their digests."""
        for folder in sorted(self.root.iterdir()) if self.root.is_dir() else ():
            if digests := _digests(folder):
                yield f"order:{folder.name}", digests

    def kept(self, stream: str) -> list[str]:
        """Return the digests of the files that a case has here."""
        folder = self._of(stream)
        return _digests(folder) if folder.is_dir() else []

    def key_of(self, stream: str, digest: str) -> str:
        """Return the id of the key that a file is sealed with. Raises FileChanged, UnknownFile."""
        try:
            with self._path(stream, digest).open("rb") as file:
                return _head_of(file)[0]
        except FileNotFoundError as error:
            raise UnknownFile(digest) from error

    def remove(self, stream: str, digest: str) -> None:
        """Remove a file whose key was destroyed, and its directory with the last."""
        self._path(stream, digest).unlink(missing_ok=True)
        folder = self._of(stream)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()

    def remove_drafts(self, before: float) -> int:
        """Remove what a process that was killed left half written, older than an instant (seconds); return how many."""
        found = [path for path in self.root.glob(f"*/{_DRAFT}*") if path.stat().st_mtime < before]
        for path in found:
            path.unlink(missing_ok=True)
        return len(found)


def _digests(folder: Path) -> list[str]:
    return sorted(f"sha256:{path.name}" for path in folder.iterdir() if _NAME.fullmatch(path.name))


def _written(file: IO[bytes], seal: _Seal, number: int, chunk: bytes) -> None:
    file.write(seal.sealed(number, chunk))


def _named(draft: Path, path: Path) -> bool:
    """Give a file that is whole its name; tell whether there was none of that name before."""
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return True


def _opened(file: IO[bytes], stream: str, digest: str, unlock: Unlock) -> Opened | None:
    key_id, salt = _head_of(file)
    data = unlock(key_id)
    if data is None:
        return None
    seal = _Seal(stream, FileKey(key_id, data), salt)
    begins = file.tell()
    file.seek(-4, os.SEEK_END)
    length: int = struct.unpack(">I", file.read(4))[0]
    ends = file.seek(-4 - length, os.SEEK_END)
    said = msgspec.json.decode(seal.opened(_END, file.read(length)), type=_Whole)
    chunks = -(-said.size // CHUNK)
    if said.digest != digest or ends - begins != said.size + chunks * _TAG:
        raise FileChanged(digest)
    file.seek(begins)
    return Opened(file, seal, said, chunks)
