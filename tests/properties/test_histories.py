"""Any history folds: what was recorded, imported or corrected is never refused, and its clocks can be read."""

from datetime import timedelta
from random import Random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from domain import order
from domain.clocks import clocks
from domain.explanation import explain
from domain.kinds import KINDS
from domain.policy import ref
from domain.state import WorkOrder
from domain.steps import filing
from domain.steps.correcting import CorrectionRecorded
from domain.steps.registration import OrderRegistered
from domain.stored import tag
from domain.terms import Actor, Attributes, Channel, DemandType, Entry, Fact, Origin, Role, Sealed
from supervision.findings import findings
from tests import given as city
from tests.properties.aims import UNITS, attributes
from tests.properties.arbitrary import Aim, Maker
from tests.properties.town import CODEC, MAIN, PACKS

EVENTS = [event for kind in KINDS for event in kind.events]
POLICY: Aim = lambda r: ref(city.pack(r.choice(PACKS)))  # noqa: E731  an aim like the others
SEALED = Sealed(key="k", box="basis:box")


def recorded(random: Random, maker: Maker, kind: type[Fact], version: int) -> Entry:
    """An event of a kind as somebody might have recorded it: made of anything its types allow."""
    event = maker.make(kind, aimed=random.random() < 0.5)
    if getattr(event, "policy", None) is not None:
        event = msgspec.structs.replace(event, policy=maker.aims.get("policy", POLICY)(random))
    at = maker.now
    origin = random.choice((Origin.LIVE, Origin.LIVE, Origin.IMPORT, Origin.BACKFILL))
    return Entry(
        event=event,
        stream=MAIN,
        version=version,
        position=version,
        recorded_at=at,
        occurred_at=None if origin is Origin.LIVE else at - timedelta(hours=random.randrange(100)),
        origin=origin,
        actor=Actor(user=random.choice(("a", "b")), role=random.choice(list(Role)), unit=random.choice(UNITS)),
        numbers={"order/CD20250616": (version,)} if random.random() < 0.2 else {},
    )


def history(random: Random, length: int) -> list[Entry]:
    """A registration, and then anything at all in any order, corrections of it among it."""
    maker = Maker(random)
    maker.sealed = maker.countable = True
    pack = city.pack(random.choice(PACKS))
    said: dict[str | tuple[type, str], Aim] = {
        "unit": lambda r: r.choice(UNITS),
        "lead": lambda r: r.choice((*UNITS, "")),
        "attributes": attributes,
        "policy": lambda r: ref(pack),
        **dict.fromkeys(
            ("assignment", "reply", "extension", "notice", "return_no", "dispute"), lambda r: r.randrange(4)
        ),
    }
    maker.aims = said
    first = OrderRegistered(
        title="路灯不亮",
        category="市政",
        channel=Channel.PHONE,
        attributes=Attributes(demand_type=DemandType.HELP),
        policy=ref(pack),
        external_due=maker.instant() if random.random() < 0.3 else None,
    )
    entries = [msg_first(first, maker)]
    for version in range(2, length + 2):
        maker.now += timedelta(minutes=random.choice((0, 0, 50, 4000)))
        kind = random.choice(order.EVENTS)
        entry = recorded(random, maker, kind, version)
        if random.random() < 0.15:
            entry = correction(random, entry, entries)
        entries.append(entry)
    return entries


def msg_first(event: OrderRegistered, maker: Maker) -> Entry:
    """The entry of the registration."""
    return Entry(event=event, stream=MAIN, version=1, position=1, recorded_at=maker.now, actor=city.AGENT)


def correction(random: Random, entry: Entry, entries: list[Entry]) -> Entry:
    """A correction, in place of an entry, of any field of anything before it, to anything."""
    about = random.choice(entries)
    fields = ["at", *about.event.__struct_fields__, "type", "nothing"]
    values = ["", "0", "7", "-1", "99999999", "true", "null", "B", "2025-06-16", "1066-10-14", "9999-12-31", "resolved"]
    values += ["2025-06-16T09:00:00+08:00", "0001-01-01T00:00:00+00:00", "2025-06-16T09:00:00", "order.order_closed"]
    made = CorrectionRecorded(
        correction=1, version=about.version, field=random.choice(fields), basis=SEALED, new=random.choice(values)
    )
    return Entry(
        event=made,
        stream=entry.stream,
        version=entry.version,
        position=entry.position,
        recorded_at=entry.recorded_at,
        actor=entry.actor,
    )


@given(st.integers(0, 2**63), st.integers(0, 25))
def test_any_history_folds_and_its_clocks_can_be_read_and_explained(seed: int, length: int):
    entries = history(Random(seed), length)
    folded = order.fold(entries)
    assert folded is not None
    assert folded == order.fold(entries)
    law = city.law(folded.policy.pack, "CONSUMER-COMPLAINT")
    for clock in clocks(folded, law):
        told = explain(clock, law)
        assert told.due == clock.due
        clock.status(entries[-1].at)
        clock.late_by(entries[-1].at)
    findings(entries, law, entries[-1].at)
    everything_said_about(folded)


def everything_said_about(folded: WorkOrder) -> None:
    """Ask what filing, lists and reports ask about any order."""
    law = city.law(folded.policy.pack, "CONSUMER-COMPLAINT")
    filing.complete(folded, law)
    filing.tried(folded, law)
    filing.retention(folded, law, folded.filing.kind or "completed")  # type: ignore[arg-type]
    assert folded.lead is not None
    assert folded.revisit is None or folded.revisit.round == folded.round


@given(st.integers(0, 2**63))
def test_every_event_comes_back_from_its_stored_form_as_it_was(seed: int):
    random = Random(seed)
    maker = Maker(random)
    maker.sealed = True
    for kind in random.sample(EVENTS, 20):
        event = maker.make(kind, aimed=random.random() < 0.5)
        assert CODEC.event(tag(kind), msgspec.json.encode(event)) == event


def test_events_before_an_order_was_registered_change_nothing():
    maker = Maker(Random(1))
    maker.sealed = maker.countable = True
    for kind in order.EVENTS:
        if kind not in order._FROM_NOTHING:
            assert order.fold([recorded(Random(2), maker, kind, 1)]) is None
