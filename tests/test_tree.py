"""The tree of RFC 9162: against a naive one, and against an implementation that nobody here wrote."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InclusionProof, InmemoryTree

from domain import tree
from domain.leaves import digest
from domain.tree import WIDTH, MissingTile, Place, Roots, Span

SIZES = [1, 2, 3, 7, 8, 255, 256, 257, 511, 512, 513, 1000]
DATA = [f"header {n}\n".encode() for n in range(1500)]
SHA = [digest("sha256", b"\x00" + one) for one in DATA]
SM3 = [digest("sm3", b"\x00" + one) for one in DATA]


def naive(name: str, leaves: Sequence[bytes]) -> bytes:
    """MTH as RFC 9162, 2.1.1, defines it."""
    if len(leaves) < 2:
        return leaves[0] if leaves else digest(name, b"")
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    return digest(name, b"\x01" + naive(name, leaves[:middle]) + naive(name, leaves[middle:]))


def grown(name: str, leaves: Sequence[bytes], steps: Sequence[int]) -> dict[Place, bytes]:
    held: dict[Place, bytes] = {}
    size = 0
    while size < len(leaves):
        step = leaves[size : size + (steps[size % len(steps)] if steps else len(leaves))]
        held |= tree.grow(name, size, {place: held[place] for place, _ in tree.edge(size)}, step)
        size += len(step)
    return held


@pytest.mark.parametrize(("name", "leaves"), [("sha256", SHA), ("sm3", SM3)])
@pytest.mark.parametrize("size", SIZES)
def test_root_and_tiles_are_those_of_the_standard(name: str, leaves: list[bytes], size: int):
    held = grown(name, leaves[:size], [])
    assert {place: len(hashes) // 32 for place, hashes in held.items()} == dict(tree.tiles(size))
    roots = Roots(name)
    roots.take(leaves[:size])
    assert tree.root(name, Span(0, size), held) == naive(name, leaves[:size]) == roots.root


def test_a_tree_without_leaves_has_the_root_of_nothing():
    assert Roots("sha256").root == tree.root("sha256", Span(0, 0), {}) == hashlib.sha256(b"").digest()
    assert tree.grow("sha256", 0, {}, []) == {}


@given(st.lists(st.sampled_from([1, 2, 3, 100, 255, 256, 257, 600]), min_size=1), st.integers(1, 1500))
def test_however_a_tree_grew_its_tiles_are_the_same(steps: list[int], size: int):
    assert grown("sha256", SHA[:size], steps) == grown("sha256", SHA[:size], [])
    roots, taken = Roots("sha256"), 0
    for step in steps:
        roots.take(SHA[taken : taken + step])
        taken = min(taken + step, len(SHA))
        assert (roots.size, roots.root) == (taken, naive("sha256", SHA[:taken]))


@given(st.integers(0, 200_000), st.integers(0, 200_000))
def test_fresh_tiles_are_those_whose_width_differs(one: int, two: int):
    before, size = sorted((one, two))
    old, new = dict(tree.tiles(before)), dict(tree.tiles(size))
    assert dict(tree.fresh(before, size)) == {place: width for place, width in new.items() if old.get(place) != width}


def test_a_tile_that_is_missing_is_named():
    held = grown("sha256", SHA[:300], [])
    del held[Place(0, 1)]
    with pytest.raises(MissingTile) as missing:
        tree.root("sha256", Span(0, 300), held)
    assert missing.value.place == Place(0, 1)
    with pytest.raises(MissingTile):
        tree.grow("sha256", 300, {}, SHA[300:301])


HELD = grown("sha256", SHA, [])
STRANGER = InmemoryTree(algorithm="sha256")
for entry in DATA:
    STRANGER.append_entry(entry)


@given(st.integers(1, 1500), st.data())
def test_a_stranger_takes_our_proofs_of_inclusion(size: int, data: st.DataObject):
    index = data.draw(st.integers(0, size - 1))
    spans = tree.inclusion(index, size)
    held = {place: HELD[place][: width * 32] for place, width in tree.needed(spans).items()}  # and no more than those
    path = tree.proof("sha256", spans, held)
    root = tree.root("sha256", Span(0, size), HELD)
    theirs = STRANGER.prove_inclusion(index + 1, size)
    said = {**theirs.serialize(), "path": [one.hex() for one in (SHA[index], *path)]}
    read = InclusionProof.deserialize(json.loads(json.dumps(said)))
    assert isinstance(read, InclusionProof)
    read.verify(SHA[index], root, index=index + 1, size=size)
    assert root == STRANGER.get_root(size)
    assert tree.included("sha256", SHA[index], index, size, path) == root


@given(st.integers(1, 1500), st.data())
def test_a_stranger_finds_the_same_roots_consistent(size: int, data: st.DataObject):
    old = data.draw(st.integers(1, size))
    path = tree.proof("sha256", tree.consistency(old, size), HELD)
    before, after = (tree.root("sha256", Span(0, n), HELD) for n in (old, size))
    assert (before, after) == (STRANGER.get_root(old), STRANGER.get_root(size))
    assert tree.consistent("sha256", old, before, size, after, path)
    # Its own proof names every subtree of the older tree, ours as the standard has it: what is common are the roots.
    STRANGER.prove_consistency(old, size).verify(before, after, prior_size=old, later_size=size)


@given(st.integers(2, 1500), st.randoms(use_true_random=False))
def test_whatever_is_changed_in_a_proof_is_noticed(size: int, chance: random.Random):
    index, old = chance.randrange(size), chance.randrange(1, size)
    before, root = (tree.root("sha256", Span(0, n), HELD) for n in (old, size))
    path = tree.proof("sha256", tree.inclusion(index, size), HELD)
    for bad in _changed(path, chance):
        assert tree.included("sha256", SHA[index], index, size, bad) != root
    assert tree.included("sha256", SHA[index], (index + 1) % size, size, path) != root
    path = tree.proof("sha256", tree.consistency(old, size), HELD)
    for bad in _changed(path, chance):
        assert not tree.consistent("sha256", old, before, size, root, bad)
    assert not tree.consistent("sha256", old, root, size, root, path)
    assert not tree.consistent("sha256", old, before, size, before, path)
    assert not tree.consistent("sha256", 0, before, size, root, path)


def _changed(path: list[bytes], chance: random.Random) -> list[list[bytes]]:
    if not path:
        return [[bytes(32)]]
    at, bit = chance.randrange(len(path)), 1 << chance.randrange(8)
    flipped = bytes([path[at][0] ^ bit]) + path[at][1:]
    return [
        path[:-1],
        [*path, path[-1]],
        [*path[:at], flipped, *path[at + 1 :]],
        [*path[:at], path[at][:31], *path[at + 1 :]],
    ]


@given(st.integers(0, 7), st.integers(0, 10**9), st.integers(1, WIDTH))
def test_the_path_of_a_tile_is_read_as_it_is_written(level: int, number: int, width: int):
    path = tree.path_of(Place(level, number), width)
    assert tree.place_of(path.removeprefix("tile/")) == (Place(level, number), width)


@pytest.mark.parametrize(
    "path", ["", "0", "0/", "0/1", "0/x001", "8/000", "0/000.p/256", "0/000.p/0", "0/000.p/", "0/x000/001", "0/000/000", "٠/000", "-1/000", "0/../000"]
)  # fmt: skip
def test_what_is_no_path_of_a_tile_names_none(path: str):
    assert tree.place_of(path) is None


def test_the_path_of_a_tile_is_that_of_the_standard():
    assert tree.path_of(Place(0, 1234067)) == "tile/0/x001/x234/067"
    assert tree.path_of(Place(1, 5), 8) == "tile/1/005.p/8"
