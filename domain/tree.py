"""哈希树. The tree of RFC 9162 over a ledger's leaves, in tiles of 256 hashes; what is in it, and that it only grew.

Leaf `i` is that of position `i + 1`. A tile of level 0 holds 256 leaves, one of level `n` the roots of 256 full tiles
below it; a full tile never changes. Every proof and every root is computed from tiles alone, so that whoever has the
tiles, or is given a proof, needs nothing else. Pure, and without a database.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from domain.leaves import HASHES, digest

HEIGHT = 8
WIDTH = 1 << HEIGHT
SIZE = 32
"""Bytes of a hash: SHA-256 and SM3 have the same."""


class Place(NamedTuple):
    """Where a tile stands."""

    level: int
    number: int


class MissingTile(Exception):
    """A tile that a computation needs was not there, or is too short."""

    def __init__(self, place: Place, width: int) -> None:
        super().__init__(f"tile {place.level}/{place.number}: {width} hashes")
        self.place = place
        self.width = width


def empty(name: str) -> bytes:
    """Return the root of the tree without leaves."""
    return digest(name, b"")


# --- tiles -------------------------------------------------------------------------------------------------------


def tiles(size: int) -> Iterator[tuple[Place, int]]:
    """Yield the place and width of every tile of a tree of `size` leaves, level by level."""
    level = 0
    while size:
        full, rest = divmod(size, WIDTH)
        for index in range(full):
            yield Place(level, index), WIDTH
        if rest:
            yield Place(level, full), rest
        level, size = level + 1, full


def edge(size: int) -> Iterator[tuple[Place, int]]:
    """Yield the place and width of the tiles that are not full yet: those that the next leaf is put into."""
    level = 0
    while size:
        full, rest = divmod(size, WIDTH)
        if rest:
            yield Place(level, full), rest
        level, size = level + 1, full


def fresh(before: int, size: int) -> Iterator[tuple[Place, int]]:
    """Yield the place and width of every tile that a tree of `size` leaves has otherwise than when it had `before`."""
    level = 0
    while size > before:
        for number in range(before // WIDTH, -(-size // WIDTH)):
            yield Place(level, number), min(WIDTH, size - number * WIDTH)
        level, before, size = level + 1, before // WIDTH, size // WIDTH


def path_of(place: Place, width: int = WIDTH) -> str:
    """Return the path of a tile as monitors ask for it: `tile/0/x001/234`, a partial one `tile/0/x001/234.p/17`."""
    rest, digits = place.number, f"{place.number % 1000:03d}"
    while rest := rest // 1000:
        digits = f"x{rest % 1000:03d}/{digits}"
    return f"tile/{place.level}/{digits}" + ("" if width == WIDTH else f".p/{width}")


def place_of(path: str) -> tuple[Place, int] | None:
    """Return the place and width that a path below `tile/` names, as `path_of` writes it; None where it names none."""
    level, _, rest = path.partition("/")
    said, _, width = rest.partition(".p/")
    parts = said.split("/")
    digits = [part.removeprefix("x") for part in parts[:-1]] + parts[-1:]
    numbers = [level, *digits, *([width] if width else [])]
    if not all(one.isascii() and one.isdecimal() and len(one) <= 3 for one in numbers) or len(digits) > 4:
        return None
    place = Place(int(level), int("".join(digits)))
    found = place, int(width) if width else WIDTH
    right = place.level < 64 // HEIGHT and 0 < found[1] <= WIDTH
    return found if right and path_of(*found) == f"tile/{path}" else None


def grow(name: str, size: int, held: Mapping[Place, bytes], leaves: Sequence[bytes]) -> dict[Place, bytes]:
    """Return the tiles that change when `leaves` follow on the first `size`; `held` are those of `edge(size)`.

    Raises MissingTile where one of those is not there.
    """
    changed: dict[Place, bytes] = {}
    level, fresh = 0, leaves
    while fresh:
        index, there = divmod(size, WIDTH)
        before = b""
        if there:
            before = held.get(Place(level, index), b"")
            if len(before) != there * SIZE:
                raise MissingTile(Place(level, index), there)
        room = WIDTH - there
        above: list[bytes] = []
        for begin in (0, *range(room, len(fresh), WIDTH)):
            end = room if begin == 0 else begin + WIDTH
            tile = before + b"".join(fresh[begin:end])
            changed[Place(level, index)] = tile
            if len(tile) == WIDTH * SIZE:
                above.append(over(name, tile))
            index, before = index + 1, b""
        level, size, fresh = level + 1, size // WIDTH, above
    return changed


def over(name: str, hashes: bytes) -> bytes:
    """Return the root over a full tile."""
    return _root(HASHES[name], hashes)


def _root(hashed: Any, hashes: bytes) -> bytes:
    """Return the root over a power of two of hashes that stand one after the other."""
    while len(hashes) > SIZE:
        hashes = b"".join(
            [hashed(b"\x01" + hashes[at : at + 2 * SIZE]).digest() for at in range(0, len(hashes), 2 * SIZE)]
        )
    return hashes


_LITTLE = 4  # hashes whose root is sooner computed than looked up


@lru_cache(maxsize=8192)
def _known(name: str, hashes: bytes) -> bytes:
    """Return the root over hashes above the leaves: a tree has few of those, and every proof asks for the same."""
    return _root(HASHES[name], hashes)


# --- ranges of leaves --------------------------------------------------------------------------------------------


class Span(NamedTuple):
    """Leaves `[first, last)` whose root is asked for: a subtree, or the tree's right edge."""

    first: int
    last: int


def _split(span: Span) -> int:
    """Return where the two subtrees of a span meet: after the largest power of two smaller than it."""
    return span.first + (1 << ((span.last - span.first - 1).bit_length() - 1))


def _whole(span: Span) -> Iterator[tuple[int, int]]:
    """Yield height and index of the perfect subtrees that a span is made of, from the left."""
    first = span.first
    while first < span.last:
        height = (span.last - first).bit_length() - 1
        yield height, first >> height
        first += 1 << height


def _tile(height: int, index: int) -> tuple[Place, int, int]:
    """Return the tile that a perfect subtree is computed from, and from which hash to which of it."""
    level, inside = divmod(height, HEIGHT)
    count = 1 << inside
    begin = index * count % WIDTH
    return Place(level, index * count // WIDTH), begin, begin + count


def needed(spans: Iterable[Span]) -> dict[Place, int]:
    """Return the tiles that the roots of spans are computed from, each with the hashes it has to have at least."""
    found: dict[Place, int] = {}
    for span in spans:
        for height, index in _whole(span):
            place, _, end = _tile(height, index)
            found[place] = max(found.get(place, 0), end)
    return found


def root(name: str, span: Span, held: Mapping[Place, bytes]) -> bytes:
    """Return the root of a span. Raises MissingTile."""
    hashed = HASHES[name]
    parts: list[bytes] = []
    for height, index in _whole(span):
        place, begin, end = _tile(height, index)
        hashes = held.get(place, b"")[begin * SIZE : end * SIZE]
        if len(hashes) != (end - begin) * SIZE:
            raise MissingTile(place, end)
        parts.append(_known(name, hashes) if place.level and end - begin > _LITTLE else _root(hashed, hashes))
    if not parts:
        return empty(name)
    found = parts.pop()
    while parts:
        found = hashed(b"\x01" + parts.pop() + found).digest()
    return found


# --- proofs ------------------------------------------------------------------------------------------------------


def inclusion(index: int, size: int) -> list[Span]:
    """Return the spans whose roots prove that leaf `index` is in the tree of `size`, from the leaf upwards."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} of {size}")
    found: list[Span] = []
    span = Span(0, size)
    while span.last - span.first > 1:
        middle = _split(span)
        if index < middle:
            found.append(Span(middle, span.last))
            span = Span(span.first, middle)
        else:
            found.append(Span(span.first, middle))
            span = Span(middle, span.last)
    return found[::-1]


def consistency(old: int, size: int) -> list[Span]:
    """Return the spans whose roots prove that the tree of `size` begins with that of `old`."""
    if not 0 < old <= size:
        raise ValueError(f"{old} leaves of {size}")
    if old == size:
        return []
    found: list[Span] = []
    span, complete = Span(0, size), True
    while span.last != old:
        middle = _split(span)
        if old <= middle:
            found.append(Span(middle, span.last))
            span = Span(span.first, middle)
        else:
            found.append(Span(span.first, middle))
            span, complete = Span(middle, span.last), False
    if not complete:
        found.append(span)
    return found[::-1]


def proof(name: str, spans: Sequence[Span], held: Mapping[Place, bytes]) -> list[bytes]:
    """Return the hashes of a proof. Raises MissingTile."""
    return [root(name, span, held) for span in spans]


def included(name: str, leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Return the root that a proof of inclusion leads to; None where it is no proof for this leaf of such a tree."""
    if not 0 <= index < size or any(len(one) != SIZE for one in (leaf, *path)):
        return None
    hashed = HASHES[name]
    found, node, last = leaf, index, size - 1
    for one in path:
        if last == 0:
            return None
        if node & 1 or node == last:
            found = hashed(b"\x01" + one + found).digest()
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = hashed(b"\x01" + found + one).digest()
        node, last = node >> 1, last >> 1
    return found if last == 0 else None


def consistent(name: str, old: int, old_root: bytes, size: int, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Tell whether a proof shows that the tree of `size` begins with that of `old` (RFC 9162, 2.1.4.2)."""
    if not 0 < old <= size or any(len(one) != SIZE for one in path):
        return False
    if old == size:
        return not path and old_root == new_root
    hashes = list(path)
    if old & (old - 1) == 0:
        hashes.insert(0, old_root)
    if not hashes:
        return False
    hashed = HASHES[name]
    node, last = old - 1, size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    before = after = hashes[0]
    for one in hashes[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            before = hashed(b"\x01" + one + before).digest()
            after = hashed(b"\x01" + one + after).digest()
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            after = hashed(b"\x01" + after + one).digest()
        node, last = node >> 1, last >> 1
    return last == 0 and before == old_root and after == new_root


# --- from leaves alone -------------------------------------------------------------------------------------------


class Roots:
    """The roots of a growing tree from its leaves alone, in the memory of its right edge: what a check computes."""

    def __init__(self, name: str) -> None:
        self._hashed = HASHES[name]
        self._empty = empty(name)
        self._edge: list[
            bytes
        ] = []  # by height: the perfect subtree that waits for its neighbour, where size has the bit
        self.size = 0

    def take(self, leaves: Sequence[bytes]) -> None:
        """Take in the next leaves."""
        hashed, edge = self._hashed, self._edge
        size, height, nodes = self.size, 0, list(leaves)
        self.size += len(leaves)
        while nodes:
            if height == len(edge):
                edge.append(b"")
            if size & 1:
                nodes.insert(0, edge[height])
            if len(nodes) & 1:
                edge[height] = nodes.pop()
            pairs = iter(nodes)
            nodes = [hashed(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
            size, height = size >> 1, height + 1

    @property
    def root(self) -> bytes:
        """The root of what was taken in so far."""
        parts = [part for height, part in enumerate(self._edge) if self.size >> height & 1]
        if not parts:
            return self._empty
        found = parts[0]
        for part in parts[1:]:
            found = self._hashed(b"\x01" + part + found).digest()
        return found
