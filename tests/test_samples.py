"""What is stored is stored for ever: a sample of every event, as it was first written, reads as it did then."""

from __future__ import annotations

import msgspec
import pytest

from domain.kinds import KINDS
from tests import samples

BY_TAG = {samples.tag(event): event for event in samples.events()}
LINES = samples.stored()


def test_every_event_has_stored_samples() -> None:
    there = {msgspec.json.decode(line)["type"] for line in LINES}
    assert there >= set(BY_TAG), "run: python -m tests.samples"


@pytest.mark.parametrize("line", LINES, ids=[str(n) for n in range(1, len(LINES) + 1)])
def test_a_stored_sample_reads_and_is_written_again_as_it_was(line: bytes) -> None:
    kind = BY_TAG[msgspec.json.decode(line)["type"]]
    event = msgspec.json.decode(line, type=kind)
    assert msgspec.json.encode(event) == line


def test_no_two_events_share_a_tag() -> None:
    tags = [samples.tag(event) for kind in KINDS for event in kind.events]
    assert len(tags) == len(set(tags))


def test_a_field_that_is_left_out_always_means_not_said() -> None:
    unsaid = (None, "", (), {}, False, 0, frozenset())
    for event in samples.events():
        for field in msgspec.structs.fields(event):
            if not field.required and field.default is not msgspec.NODEFAULT:
                assert field.default in unsaid, f"{samples.tag(event)}.{field.name} = {field.default!r}"
