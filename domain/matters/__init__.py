"""What is not about one order: units, calls, inquiries of overseers, publications, subjects. Beside `domain.order`."""

from __future__ import annotations

from domain.context import StreamKind
from domain.matters import affairs, calls, inquiries, publications, subjects

KINDS: tuple[StreamKind, ...] = (
    affairs.KIND,
    calls.KIND,
    inquiries.KIND,
    publications.KIND,
    subjects.KIND,
)
