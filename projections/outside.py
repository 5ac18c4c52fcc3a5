"""外存. What lies outside the database, where its administrator does not rewrite it: signed heads, and the tree's tiles.

A folder a ledger, in the layout that monitors read as static files (C2SP tlog-tiles): `checkpoint`, `tile/…`; beside them
every head that was ever signed, a line each in a file a month, and the last one, which is written before anybody else
learns of it. So whoever restores an old database meets what was promised since.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from domain.notes import NotANote, Note, note_from
from domain.tree import SIZE, WIDTH, Place, path_of


class _Line(msgspec.Struct, frozen=True):
    note: str


class Outside:
    """The folder of one ledger."""

    def __init__(self, root: Path, ledger_id: str) -> None:
        self.folder = root / ledger_id

    def last(self) -> Note | None:
        """Return the last head that was signed; None where none was. Raises NotANote, OSError."""
        found = [note for note in (self._note("signed"), self._note("checkpoint")) if note is not None]
        return max(found, key=lambda note: note.checkpoint.size, default=None)

    def published(self) -> int:
        """Return how many leaves the head has that monitors read now; 0 where there is none. Raises NotANote, OSError."""
        note = self._note("checkpoint")
        return 0 if note is None else note.checkpoint.size

    def heads(self) -> list[Note]:
        """Return every head that was signed, in the order of signing. Raises NotANote, OSError."""
        found, last = self.listed(), self.last()
        return found if last is None or last in found else [*found, last]

    def listed(self) -> list[Note]:
        """Return the heads that stand in the files of months. Raises NotANote, which names the line, and OSError."""
        found: list[Note] = []
        for month in sorted((self.folder / "heads").glob("*.jsonl")):
            for no, line in enumerate(month.read_bytes().splitlines(), 1):
                try:
                    found.append(note_from(msgspec.json.decode(line, type=_Line).note))
                except (msgspec.MsgspecError, UnicodeDecodeError, NotANote) as error:
                    raise NotANote(f"heads/{month.name}:{no}: {error}") from error
        return found

    def sign(self, note: Note, at: datetime) -> None:
        """Write a head down, lastingly, before it is shown to anybody. Raises OSError."""
        self._put("signed", str(note).encode(), lasting=True)
        months = self.folder / "heads"
        months.mkdir(exist_ok=True)
        with (months / f"{at:%Y-%m}.jsonl").open("ab") as file:
            file.write(msgspec.json.encode(_Line(str(note))) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def tile(self, place: Place, width: int) -> bytes | None:
        """Return a tile as monitors read it; None where there is none. Raises OSError."""
        try:
            return (self.folder / path_of(place, width)).read_bytes()
        except FileNotFoundError:
            return None

    def tiles(self, wanted: Iterable[tuple[Place, int]]) -> list[bytes | None]:
        """Return tiles as monitors read them, one for each place and width. Raises OSError."""
        return [self.tile(place, width) for place, width in wanted]

    def put(self, tiles: Mapping[Place, bytes]) -> None:
        """Write tiles, each as wide as it is. Raises OSError."""
        for place, hashes in tiles.items():
            width = len(hashes) // SIZE
            self._put(path_of(place, width), hashes)
            if width == WIDTH:
                self._sweep(place)

    def publish(self, note: Note) -> None:
        """Write the head that monitors read; its tiles are there. Raises OSError."""
        self._put("checkpoint", str(note).encode())

    def told(self, address: str) -> int:
        """Return of how many leaves the last head was that an address took. Raises OSError."""
        return self._told().get(address, 0)

    def tell(self, address: str, size: int) -> None:
        """Write down that an address took a head. Raises OSError."""
        self._put("told", msgspec.json.encode({**self._told(), address: size}))

    def _told(self) -> dict[str, int]:
        try:
            return msgspec.json.decode((self.folder / "told").read_bytes(), type=dict[str, int])
        except (FileNotFoundError, msgspec.MsgspecError):
            return {}

    def _note(self, name: str) -> Note | None:
        try:
            return note_from((self.folder / name).read_bytes())
        except FileNotFoundError:
            return None

    def _sweep(self, place: Place) -> None:
        """Remove what stood for a tile before it was full."""
        parts = self.folder / f"{path_of(place)}.p"
        if parts.is_dir():
            for part in parts.iterdir():
                part.unlink(missing_ok=True)
            parts.rmdir()

    def _put(self, name: str, content: bytes, *, lasting: bool = False) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        with draft.open("wb") as file:
            file.write(content)
            if lasting:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
        if lasting:
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
