"""No text of a person leaves its seal: not into an event, not into a refusal, not through a type (6.1.7, 8.10)."""

from collections.abc import Iterator
from random import Random
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect as shapes

from domain import journals
from domain.kinds import COMMANDS, KINDS
from domain.order import EVENTS
from domain.refusals import Refusal
from domain.sealing import Keyring, Sealing, Survey, rewrite
from domain.terms import Act, Confidentiality, Fact, Sealed
from tests.properties.arbitrary import Maker, is_private, shape_of
from tests.properties.town import MAIN, Answer, Deed, Town
from tests.properties.walking import Walk

PLANTED = "张三 13812345678"
"""What no event may show: planted in every private field of every command."""

KEYS = Keyring(b"k" * 32, {"甲": b"1" * 32, "乙": b"2" * 32})

OPEN = {
    "policy.pack": "names a published pack: the rules look it up, or refuse",
    "policy.digest": "the same",
    "clock_key": "of a clock that was found, never what the caller wrote",
    "old": "a code, figure or instant: checked against the field it stands in; sealed fields have old_text",
    "new": "the same",
}
"""Open words of a case without a bound of their own, each with the reason why nobody can be named in it."""


# --- by types ----------------------------------------------------------------------------------------------------


def open_words(shape: shapes.Type, path: str, within: frozenset[type] = frozenset()) -> Iterator[tuple[str, Any]]:
    """Yield every text of a type that is not sealed, with its path."""
    if is_private(shape):
        return
    match shape:
        case shapes.StrType() | shapes.AnyType():
            yield path, shape
        case shapes.UnionType():
            for one in shape.types:
                yield from open_words(one, path, within)
        case shapes.VarTupleType():
            yield from open_words(shape.item_type, path, within)
        case shapes.TupleType():
            for one in shape.item_types:
                yield from open_words(one, path, within)
        case shapes.DictType():
            yield from open_words(shape.key_type, path, within)
            yield from open_words(shape.value_type, path, within)
        case shapes.StructType() if shape.cls not in within:
            for field in shape.fields:
                yield from open_words(field.type, f"{path}.{field.name}".strip("."), within | {shape.cls})
        case _:
            return


@pytest.mark.parametrize("event", EVENTS, ids=[event.__name__ for event in EVENTS])
def test_an_event_of_a_case_holds_only_sealed_texts_and_short_codes(event: type[Fact]):
    for path, shape in open_words(shape_of(event), ""):
        bounded = isinstance(shape, shapes.StrType) and (shape.max_length is not None or shape.pattern is not None)
        assert bounded or path in OPEN, f"{event.__name__}.{path} is an open text without a bound"


def test_what_is_listed_as_open_is_open():
    found = {path for event in EVENTS for path, _ in open_words(shape_of(event), "")}
    assert set(OPEN) <= found


# --- by planting -------------------------------------------------------------------------------------------------


class Planted(Maker):
    """Makes commands whose every private field shows the same person."""

    def _text(self, *, optional: bool, aimed: bool) -> str | Sealed | None:
        return PLANTED


def sealing(act: Act) -> Sealing:
    """Return what seals a command as the door does, for a fresh case."""
    noise = Random(1)
    survey = Survey(act)
    return Sealing(
        MAIN,
        survey,
        keys=(),
        subjects={},
        keyring=KEYS,
        secret=b"s" * 32,
        entropy=noise.randbytes,
        draw=lambda: UUID(int=noise.getrandbits(128)),
    )


@given(st.integers(0, 2**63))
def test_nothing_planted_in_a_private_field_shows_once_the_door_has_sealed_it(seed: int):
    random = Random(seed)
    for command in random.sample(COMMANDS, 30):
        act = Planted(random).make(command)
        held = sealing(act)
        sealed = held.seal(act)
        for said in (msgspec.json.encode(sealed).decode(), repr(sealed)):
            assert PLANTED not in said
            assert "13812345678" not in said
        if Survey(act).private:
            assert held.work.new_keys, f"{command.__name__} was sealed by no key"
        assert not _plain(sealed)


def _plain(sealed: Act) -> list[str]:
    """Return the paths of the texts that a sealed command still shows."""

    class Look:
        found: list[str] = []

        def text(self, value: str | Sealed, path: str) -> str | Sealed:
            if isinstance(value, str):
                self.found.append(path)
            return value

        def applicant(self, value: Any, path: str) -> Any:
            return value

    look = Look()
    rewrite(sealed, look)
    return look.found


@given(st.integers(0, 2**63))
def test_no_event_and_no_refusal_of_a_whole_case_shows_what_was_planted(seed: int):
    said: list[str] = []

    def nothing_shown(before: Town, deed: Deed, answer: Answer, after: Town) -> None:
        for stream, entries in after.streams.items():
            for entry in entries[len(before.streams.get(stream, ())) :]:
                assert PLANTED not in msgspec.json.encode(entry.event).decode(), f"{entry.event}"

    class Listening(Walk):
        def _does(self, deed: Deed) -> bool:
            try:
                self.town.at(deed.at).decide(deed.stream, deed.actor, deed.act)
            except Refusal as refusal:
                said.append(f"{refusal} {refusal.detail} {refusal.facts}")
                return False
            return super()._does(deed)

    walk = Listening(seed, promises=[nothing_shown])
    walk.maker = Planted(walk.random)
    walk.go(12)
    assert said
    assert not [text for text in said if PLANTED in text]


def test_an_informants_name_is_sealed_for_two_persons_and_their_texts_for_none():
    """The door alone opens what handlers read, and never who they are reading about."""
    random = Random(3)
    register = next(c for c in COMMANDS if c.__name__ == "Register")
    act = Planted(random).make(register)
    act = msgspec.structs.replace(act, confidentiality=Confidentiality.INFORMANT)
    held = sealing(act)
    held.seal(act)
    wraps = {bool(row.holder): row.wrap for row in held.work.new_keys}
    assert wraps.get(False) == "master"
    assert wraps.get(True, "乙,甲") == "乙,甲"


def test_every_kind_of_stream_seals_its_texts():
    """Not only cases: a text of the institution or of a matter is sealed too, and journals have none but codes."""
    for kind in KINDS:
        private = [c for c in kind.commands if any(is_private(f.type) for f in shape_of(c).fields)]
        assert private or kind.name == "publication", kind.name
    assert {event.__name__ for event in journals.EVENTS} == {"NumberGiven", "KeysShredded", "AccessLogged"}
