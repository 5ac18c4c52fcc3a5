"""见证. A witness of a ledger's heads, on a machine of its own: it signs that the log only grew, or says that it did not.

It asks a log for its head and tiles, over HTTP or in a folder, and believes nothing but the log's public key and the head
that it signed last. What it refuses it keeps, as the two heads that contradict each other: whoever shows them proves it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain import notes, tree
from domain.notes import Key, NotANote, Note, note_from
from domain.tree import Place, Span

LARGEST = 1 << 20
PATIENCE = 20.0
"""Seconds that a log is given to answer."""

Fetch = Callable[[str], bytes]
"""Returns what a log has under a path: `checkpoint`, `tile/…`. Raises Unreachable."""


class Unreachable(Exception):
    """A log did not answer; the message says how."""


class Refused(Exception):
    """A log contradicts what it signed before; nothing was signed."""


class Seen(NamedTuple):
    """What a look came to: the head with the witness's signature, and of how many leaves the one before was."""

    note: Note
    before: int


def over(source: str, token: str = "") -> Fetch:
    """Return what fetches from a log: an address of http or https, or a folder."""
    if not source.startswith(("http://", "https://")):
        return lambda path: _read(Path(source) / path)

    def fetch(path: str) -> bytes:
        request = urllib.request.Request(f"{source.rstrip('/')}/{path}")  # noqa: S310  http or https, as was said
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310
                return answer.read(LARGEST)
        except (urllib.error.URLError, OSError, ValueError) as error:
            raise Unreachable(f"{source}/{path}: {error}") from error

    return fetch


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unreachable(f"{path}: {error.strerror}") from error


def deliver(source: str, note: Note, token: str = "") -> None:
    """Give a log the cosignature on its head. Raises Unreachable."""
    post(f"{source.rstrip('/')}/cosignatures", note, token)


def post(address: str, note: Note, token: str = "") -> bytes:
    """Send a head to an address of http or https, and return what is answered. Raises Unreachable."""
    request = urllib.request.Request(address, data=str(note).encode(), method="POST")  # noqa: S310  as was said
    request.add_header("Content-Type", "text/plain; charset=utf-8")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310
            return answer.read(LARGEST)
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise Unreachable(f"{address}: {error}") from error


class Witness:
    """A witness and its memory: a folder with the last head that it signed, and what it refused."""

    def __init__(self, folder: Path, name: str, private: Ed25519PrivateKey, log: Key) -> None:
        self.folder = folder
        self.name = name
        self.log = log
        self._private = private

    @property
    def key(self) -> Key:
        """The witness's public key, as a log and those who check are told of it."""
        return notes.witness_key(self.name, self._private)

    @property
    def last(self) -> Note | None:
        """The last head that it signed; None before the first. Raises NotANote, OSError."""
        try:
            return note_from((self.folder / "last").read_bytes())
        except FileNotFoundError:
            return None

    def look(self, fetch: Fetch, now: float) -> Seen:
        """Look at a log's head, and sign it where it only grew. `now` in seconds since 1970.

        Raises Refused where it contradicts what was signed before, Unreachable, NotANote where it is no head of this log.
        """
        with self._alone():
            return self._looked(fetch, now)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one look at a time: two that remember the same head could sign two that contradict each other."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _looked(self, fetch: Fetch, now: float) -> Seen:
        note = note_from(fetch("checkpoint"))
        if note.by(self.log) is None:
            raise NotANote(f"the head is not signed by {self.log}")
        note = note._replace(signatures=tuple(one for one in note.signatures if one.name == self.log.name))
        head, last = note.checkpoint, self.last
        if head.origin != self.log.name:
            raise NotANote(f"the head of another log: {head.origin}")
        if last is None:
            self._follows(note, fetch)
        else:
            self._grew(last, note, fetch)
        signed = notes.with_signatures(note, [notes.cosigned(note, self.name, self._private, int(now))])
        self._keep("last", str(signed))  # before anybody else learns of it
        return Seen(signed, 0 if last is None else last.checkpoint.size)

    def _grew(self, last: Note, note: Note, fetch: Fetch) -> None:
        old, head = last.checkpoint, note.checkpoint
        if head.size < old.size:
            self._refuse(last, note, f"{old.size} → {head.size}: 台账变短 the ledger has become shorter")
        if head.size == old.size:
            if head.root != old.root:
                self._refuse(last, note, f"{old.size}: 同一长度两个树头 two heads of one size")
            return
        hashed, spans = notes.hash_of(head.origin), tree.consistency(old.size, head.size)
        path = tree.proof(hashed, spans, self._tiles(spans, head.size, fetch))
        if not tree.consistent(hashed, old.size, old.root, head.size, head.root, path):
            self._refuse(last, note, f"1 … {old.size}: 历史已被改动 the history was changed")

    def _follows(self, note: Note, fetch: Fetch) -> None:
        """Compute the first head's root from the tiles: a log that cannot show them is not begun with."""
        head = note.checkpoint
        held = self._tiles([Span(0, head.size)], head.size, fetch)
        if tree.root(notes.hash_of(head.origin), Span(0, head.size), held) != head.root:
            raise Refused(f"{head.size}: 树头与哈希块不符 the head does not follow from the tiles")

    def _tiles(self, spans: list[Span], size: int, fetch: Fetch) -> dict[Place, bytes]:
        widths = dict(tree.edge(size))
        found: dict[Place, bytes] = {}
        for place, least in tree.needed(spans).items():
            width = widths.get(place, tree.WIDTH)
            hashes = fetch(tree.path_of(place, width))
            if len(hashes) != width * tree.SIZE or width < least:
                raise Refused(f"{tree.path_of(place, width)}: {len(hashes)} bytes")
            found[place] = hashes
        return found

    def _refuse(self, last: Note, note: Note, why: str) -> None:
        self._keep(f"refused-{last.checkpoint.size}-{note.checkpoint.size}", f"{last}\n{note}")
        raise Refused(why)

    def _keep(self, name: str, text: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / f".{name}.{os.getpid()}"
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.folder / name)
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
