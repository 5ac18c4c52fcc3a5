"""权限. Who asks, and what they are shown: claims become an `Actor`, roles and fields meet in one table (DOMAIN 4.2–4.3).

Which role may command what is the domain's guard. Here is denied whatever is not allowed by a line of the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

import msgspec

from api.problems import (
    ApprovalNeeded,
    NotForThisRole,
    RoleNotHeldHere,
    RoleNotInToken,
    RoleUnclear,
    TokenUnfit,
    UnknownCity,
)
from api.tokens import Claims
from domain.law import Law
from domain.matters.matter import Matter, MatterKind
from domain.matters.publications import PrivacyClass, Publication
from domain.refusals import UnknownOrder
from domain.state import Episode, WorkOrder
from domain.terms import Actor, AssignmentRole, Confidentiality, Entry, Fact, Role, UnitId

# --- who asks ----------------------------------------------------------------------------------------------------

VOUCHED = frozenset({Role.CITIZEN, Role.SYSTEM})
"""Roles that nobody is granted in the registry: the token alone says so."""

OF_UNITS = frozenset({Role.ORG_HANDLER, Role.ORG_APPROVER, Role.MGMT_UNIT})
"""Roles that see what their own unit has, and those below it."""

OVERSEERS = frozenset({Role.OVERSEER_NPC, Role.OVERSEER_CPPCC})

IMPORTING = "import"
"""The scope of a token that may tell what others did long ago: it vouches for them, as an old system does."""

FEEDING = "feed"
"""The scope of a token that may read the feed of all records."""


EXCHANGING = "exchange"
"""The scope of another platform that hands orders to us, and takes those that we hand to it."""

_LAW = {"city", "ping", "ping_post", "policies", "policy", "calendar", "due"}
_EXCHANGE = {"exchange_take", "exchange_order", "exchange_open", "exchange_receipt"}
TO_OUTSIDE = frozenset({"feed", *_EXCHANGE, *_LAW})
"""Operations for the system of another department or platform: what its agreement gives it, what it handed over itself,
and the law."""


_OVERSIGHT = """
oversight oversight_figures oversight_orders oversight_order oversight_text oversight_text_asked oversight_queries
oversight_matters oversight_matter oversight_dossier oversight_submissions oversight_topics
reports report indicator_definitions institution_history inquiry inquiry_history publication publication_history
log_checkpoint log_tile log_consistency log_cosign command register batch
"""
TO_OVERSEERS = _LAW | frozenset(_OVERSIGHT.split())
"""Operations for overseers. What else there is would tell single cases or small numbers, which `/oversight` does not; who
may give a command is a guard of the domain."""


class Viewer(msgspec.Struct, frozen=True):
    """Who asks: as whom they act, what they were given, and the units that count as theirs."""

    actor: Actor
    claims: Claims
    own: frozenset[UnitId] = frozenset()  # their unit and those it succeeded
    below: frozenset[UnitId] = frozenset()  # and every unit below them

    @property
    def role(self) -> Role:
        """The role they come in."""
        return self.actor.role

    @property
    def of_unit(self) -> bool:
        """Tell whether they see only what their units have."""
        return self.actor.role in OF_UNITS

    @property
    def outside(self) -> bool:
        """Tell whether this is another department's or platform's system: a machine whose token says what it is let do."""
        machine = self.actor.role is Role.SYSTEM and not self.claims.may(IMPORTING)
        return machine and (self.claims.may(FEEDING) or self.claims.may(EXCHANGING))


def actor_of(claims: Claims, said: str | None) -> Actor:
    """Return as whom a caller acts: the role they name, else the only one they have. Raises RoleUnclear …"""
    wanted = said.strip() if said else ""
    if wanted and wanted not in claims.roles:
        raise RoleNotInToken
    if not wanted and len(claims.roles) != 1:
        raise RoleUnclear if claims.roles else RoleNotInToken
    role, _, unit = (wanted or claims.roles[0]).partition("@")
    if role not in set(Role):
        raise RoleNotInToken
    user = "citizen" if role == Role.CITIZEN else claims.sub
    try:
        return msgspec.convert({"user": user, "role": role, "unit": unit}, Actor)
    except msgspec.ValidationError:
        pass
    if not unit:  # a unit that is not said is none; a name that does not fit is nobody's
        try:
            return Actor(user=msgspec.convert(user, str), role=Role(role))
        except msgspec.ValidationError as error:
            raise TokenUnfit from error
    raise TokenUnfit


def of_city(claims: Claims, city: str) -> None:
    """Refuse a token for another city as if that city did not exist. Raises UnknownCity."""
    if city not in claims.cities and "*" not in claims.cities:
        raise UnknownCity


def holds(actor: Actor, law: Law, now: datetime) -> bool:
    """Tell whether the registry has somebody in a role."""
    return actor.role in VOUCHED or law.has_role(actor.user, actor.role, actor.unit, now)


def viewer(actor: Actor, claims: Claims, law: Law, now: datetime) -> Viewer:
    """Return who asks. Raises RoleNotHeldHere, unless the token vouches for others."""
    if not holds(actor, law, now) and not claims.may(IMPORTING):
        raise RoleNotHeldHere
    if actor.role not in OF_UNITS or not actor.unit:
        return Viewer(actor, claims)
    own = {actor.unit, *(u for u in law.units.by_id if law.successor(u, now) == actor.unit)}
    below = {u for u in law.units.by_id if not own.isdisjoint(law.units.ancestors(u, now))}
    return Viewer(actor, claims, frozenset(own), frozenset(own | below))


def for_outside(who: Viewer, operation: str) -> None:
    """Refuse to another department's system what is not for it. Raises NotForThisRole."""
    if who.outside and operation not in TO_OUTSIDE:
        raise NotForThisRole("feed, exchange")


def for_overseers(who: Viewer, operation: str) -> None:
    """Refuse to overseers what would tell more than is told for ever of closed periods. Raises NotForThisRole."""
    if who.role in OVERSEERS and operation not in TO_OVERSEERS:
        raise NotForThisRole("/oversight")


# --- what there is to see ----------------------------------------------------------------------------------------


class Data(StrEnum):
    """The lines of the matrix."""

    IDENTITY = "identity"  # name, telephone …
    PRIVATE_IDENTITY = "private_identity"  # … of 工单保密
    INFORMANT = "informant"  # … of 举报人
    ADDRESS = "address"
    CONTENT = "content"
    RECORDINGS = "recordings"
    TIMELINE = "timeline"
    OPINIONS = "opinions"  # internal opinions, drafts
    REPLY = "reply"
    EVALUATIONS = "evaluations"
    INSTRUCTIONS = "instructions"
    NOTICES = "notices"
    INDICATORS = "indicators"
    ACCESS_LOG = "access_log"


class Grade(StrEnum):
    """How much of it: whole, only what is theirs, shown as there but never opened, figures only, by approval, nothing."""

    FULL = "full"
    OWN = "own"
    MASKED = "masked"
    AGGREGATE = "aggregate"
    APPROVED = "approved"
    NONE = "none"


def words(text: str) -> tuple[str, ...]:
    """Return the words of a list that is written as one text."""
    return tuple(text.split())


_LETTERS = {
    "+": Grade.FULL,
    "o": Grade.OWN,
    "m": Grade.MASKED,
    "a": Grade.AGGREGATE,
    "c": Grade.APPROVED,
    "-": Grade.NONE,
}

# The columns of 4.3, and those it leaves out: QC_REVIEWER and REVISITOR as what they do needs (4.1, 4.2), COORDINATOR
# as LEADER, DISCIPLINE the cases referred to it, SYSTEM (machines) no text. A unit complained of sees what it must
# answer for, in `accused`; `parent` is a unit above the one that handles.
_COLUMNS = words(
    "citizen agent dispatcher lead co parent accused supervisor manager qc revisitor coordinator leader overseer"
    " discipline archivist auditor admin system"
)
_MATRIX = """
identity          +  +  m   +  m  m  -   +  +  m  +  m  m  -   m  m  m  -  -
private_identity  +  o  -   -  -  -  -   c  c  -  -  -  -  -   -  -  c  -  -
informant         +  o  -   -  -  -  -   c  c  c  -  -  -  -   -  -  c  -  -
address           +  +  +   +  +  +  -   +  +  +  +  +  +  -   +  +  +  -  -
content           +  +  +   +  +  +  -   +  +  +  +  +  +  -   +  +  +  -  -
recordings        o  o  -   o  -  -  -   +  +  -  -  -  -  -   -  +  c  -  -
timeline          o  +  +   o  o  +  -   +  +  +  +  +  +  m   +  +  +  -  +
opinions          -  -  -   o  o  o  -   +  +  +  -  +  +  -   +  +  +  -  -
reply             +  +  +   +  +  +  -   +  +  +  +  +  +  -   +  +  +  -  -
evaluations       o  +  +   o  o  o  -   +  +  +  +  a  a  a   +  +  +  -  +
instructions      -  -  -   o  o  o  o   +  +  -  -  +  +  -   +  +  +  -  +
notices           -  -  -   o  o  o  o   +  +  +  -  +  +  m   +  +  +  -  +
indicators        -  -  +   o  o  o  -   +  +  +  -  +  +  +   -  -  +  -  -
access_log        -  -  -   -  -  -  -   +  -  -  -  -  -  -   -  -  +  +  -
"""


def _read(matrix: str) -> dict[Data, dict[str, Grade]]:
    table: dict[Data, dict[str, Grade]] = {}
    for line in matrix.split("\n"):
        if words := line.split():
            grades = (_LETTERS[letter] for letter in words[1:])
            table[Data(words[0])] = dict(zip(_COLUMNS, grades, strict=True))
    return table


MATRIX: Mapping[Data, Mapping[str, Grade]] = _read(_MATRIX)

COLUMN_OF: Mapping[Role, str] = {
    Role.CITIZEN: "citizen",
    Role.AGENT: "agent",
    Role.DISPATCHER: "dispatcher",
    Role.HOTLINE_MANAGER: "manager",
    Role.QC_REVIEWER: "qc",
    Role.REVISITOR: "revisitor",
    Role.ORG_HANDLER: "lead",
    Role.ORG_APPROVER: "lead",
    Role.MGMT_UNIT: "parent",
    Role.SUPERVISOR: "supervisor",
    Role.COORDINATOR: "coordinator",
    Role.LEADER: "leader",
    Role.OVERSEER_NPC: "overseer",
    Role.OVERSEER_CPPCC: "overseer",
    Role.DISCIPLINE: "discipline",
    Role.ARCHIVIST: "archivist",
    Role.AUDITOR: "auditor",
    Role.ADMIN: "admin",
    Role.SYSTEM: "system",
}


def grade(data: Data, column: str) -> Grade:
    """Return how much a column of the matrix sees; what is not in it, nothing."""
    return MATRIX[data].get(column, Grade.NONE)


def need(data: Data, who: Viewer, *enough: Grade) -> Grade:
    """Return how much somebody sees of what is not about one case. Raises NotForThisRole where that is not enough."""
    found = grade(data, COLUMN_OF[who.role])
    if found not in (enough or (Grade.FULL, Grade.OWN, Grade.MASKED)):
        raise NotForThisRole(f"{data}: {found}")
    return found


# --- one case ----------------------------------------------------------------------------------------------------


class Sight(msgspec.Struct, frozen=True):
    """How somebody sees one case: the column that holds for it, the episodes and units that are theirs."""

    who: Viewer
    column: str
    episodes: frozenset[int] = frozenset()

    def grade(self, data: Data) -> Grade:
        """Return how much they see."""
        return grade(data, self.column)

    def full(self, data: Data) -> bool:
        """Tell whether they see all of it."""
        return self.grade(data) is Grade.FULL


def sight(order: WorkOrder | None, who: Viewer, name: str = "") -> Sight:
    """Return how somebody sees a case. Raises UnknownOrder where they may not know that there is one, NotForThisRole."""
    column = COLUMN_OF[who.role]
    if column == "admin":
        raise NotForThisRole
    if order is None:
        raise UnknownOrder(name)
    if who.role is Role.CITIZEN and str(order.id) not in who.claims.orders:
        raise UnknownOrder(name)
    if who.role is Role.DISCIPLINE and order.oversight.referred is None:
        raise UnknownOrder(name)
    if not who.of_unit:
        return Sight(who, column)
    column, episodes = _of_unit(order, who)
    if not column:
        raise UnknownOrder(name)
    return Sight(who, column, episodes)


def _of_unit(order: WorkOrder, who: Viewer) -> tuple[str, frozenset[int]]:
    """Return the column in which a unit sees a case, and its episodes there; no column: not at all."""
    addressed = _addressed(order, who.own)
    if order.demand.accused and not who.own.isdisjoint(order.demand.accused):
        return ("accused" if addressed else ""), frozenset()
    held = frozenset(e.no for e in order.episodes if _units_of(e) & who.own)
    leads = any(
        a.unit in who.own and a.role is AssignmentRole.LEAD for e in order.episodes for a in e.assignments
    ) or any(e.lead in who.own for e in order.episodes)
    seen = frozenset(e.no for e in order.episodes if _units_of(e) & who.below)
    if leads and who.role is not Role.MGMT_UNIT:
        return "lead", seen
    if held and who.role is not Role.MGMT_UNIT:
        return "co", seen
    if seen or any(e.lead_parent in who.own for e in order.episodes):
        return "parent", seen | frozenset(e.no for e in order.episodes if e.lead_parent in who.own)
    return ("co" if addressed else ""), frozenset()


def units_of(order: WorkOrder) -> frozenset[UnitId]:
    """Return every unit that has, or had, a case to handle."""
    return frozenset().union(*(_units_of(episode) for episode in order.episodes))


def _units_of(episode: Episode) -> frozenset[UnitId]:
    named = (*(a.unit for a in episode.assignments), episode.lead, *(x.to for x in episode.escalations))
    return frozenset(named) - {""}


def _addressed(order: WorkOrder, units: frozenset[UnitId]) -> bool:
    """Tell whether a unit has to answer for itself in a case that it does not handle."""
    over = order.oversight
    named = (*over.notices, *over.instructions, *over.whistles, *over.appeals, *over.decisions)
    return any(part.unit in units for part in named)


# --- what an entry is about --------------------------------------------------------------------------------------

_KIND_OF_EVENT: Mapping[str, Data] = {
    name: data
    for data, names in {
        Data.EVALUATIONS: (
            "evaluation_recorded late_evaluation_recorded evaluation_deemed satisfaction_exempt_proposed"
            " satisfaction_exempt_set satisfaction_exempt_rejected reasonableness_proposed reasonableness_judged"
        ),
        Data.INSTRUCTIONS: ("leadership_instruction_requested leadership_instruction_recorded instruction_reported"),
        Data.NOTICES: (
            "supervision_notice_issued supervision_notice_served supervision_reply_submitted"
            " supervision_reply_accepted supervision_reply_rejected supervision_escalated"
            " supervision_notice_withdrawn supervision_closed"
        ),
        Data.OPINIONS: (
            "special_report_drafted special_report_approved special_report_rejected confidentiality_lift_proposed"
            " confidentiality_lifted confidentiality_lift_rejected refusal_proposed refusal_rejected"
            " correction_proposed correction_recorded correction_rejected personal_data_erasure_proposed"
            " personal_data_erasure_rejected noted_closure_proposed noted_closure_rejected termination_proposed"
            " termination_rejected accountability_referred appeal_filed appeal_decided finding_stated"
        ),
    }.items()
    for name in names.split()
}


def about(event: Fact) -> Data:
    """Return the line of the matrix that an order's event belongs to."""
    return _KIND_OF_EVENT.get(str(event.__struct_config__.tag).partition(".")[2], Data.TIMELINE)


_TEXTS: Mapping[str, Data] = {
    "applicant": Data.IDENTITY,
    "caller": Data.IDENTITY,
    "address": Data.ADDRESS,
    "position": Data.ADDRESS,
    "content": Data.CONTENT,
    "remaining": Data.CONTENT,
    "public_answer": Data.REPLY,
    "answer": Data.REPLY,
    "recording": Data.RECORDINGS,
    "attachments": Data.RECORDINGS,
}


def of_text(event: Fact, path: str) -> Data:
    """Return the line of the matrix that a sealed field belongs to; what nobody classified is internal."""
    first = path.partition(".")[0]
    if first == "evidence" and path.endswith(".name"):
        return Data.RECORDINGS
    found = _TEXTS.get(first)
    if found is not None:
        return found
    kind = about(event)
    return Data.OPINIONS if kind is Data.TIMELINE else kind


_TELLING = frozenset({Data.CONTENT, Data.ADDRESS})
"""What an informant said may tell who they are: units get what the hotline passes on in its own words."""


def may_open(order: WorkOrder, entry: Entry, path: str, seen: Sight) -> None:
    """Refuse to open a sealed field to whom the matrix does not give it. Raises NotForThisRole, ApprovalNeeded."""
    data = of_text(entry.event, path)
    accusing = path.partition(".")[0] == "accused_persons"
    if data is Data.IDENTITY:
        data = {
            Confidentiality.INFORMANT: Data.INFORMANT,
            Confidentiality.PRIVACY: Data.PRIVATE_IDENTITY,
        }.get(order.confidentiality, Data.IDENTITY)
    elif order.confidentiality is Confidentiality.INFORMANT and seen.who.of_unit and (accusing or data in _TELLING):
        raise NotForThisRole(f"{data}: {path}")
    found = seen.grade(data)
    if found is Grade.OWN and _theirs(data, entry, seen):
        return
    if found is Grade.APPROVED:
        raise ApprovalNeeded(f"{data}: {path}")
    if found is not Grade.FULL:
        raise NotForThisRole(f"{data}: {path}")


def may_open_file(order: WorkOrder, entry: Entry, path: str, seen: Sight) -> None:
    """Refuse to open a file to whom the matrix does not give it. Raises NotForThisRole, ApprovalNeeded.

    What the applicant gave tells who they are: of an informant's case it is opened as their identity is. The unit that
    handles a case sees what it needs of it: what the applicant attached, unless it is under 工单保密, and its own.
    """
    first = path.partition(".")[0]
    given = first in ("attachments", "recording")
    found = seen.grade(Data.RECORDINGS)
    if given and order.confidentiality is Confidentiality.INFORMANT:
        found = seen.grade(Data.INFORMANT)
    if found is Grade.OWN:
        own = entry.actor.user == seen.who.actor.user
        if seen.who.role is Role.CITIZEN:
            own = given
        elif seen.who.of_unit:
            needed = first == "attachments" and order.confidentiality is Confidentiality.NORMAL
            own = needed or entry.actor.unit in seen.who.below
        found = Grade.FULL if own else Grade.NONE
    if found is Grade.APPROVED:
        raise ApprovalNeeded(f"{Data.RECORDINGS}: {path}")
    if found is not Grade.FULL:
        raise NotForThisRole(f"{Data.RECORDINGS}: {path}")


def _theirs(data: Data, entry: Entry, seen: Sight) -> bool:
    """Tell whether an entry is somebody's own: written by them or their unit; of a case of theirs, for an applicant."""
    if seen.who.role is Role.CITIZEN:
        return True
    if data is Data.RECORDINGS and seen.who.of_unit:
        return entry.actor.unit in seen.who.below
    if data in (Data.PRIVATE_IDENTITY, Data.INFORMANT, Data.RECORDINGS):
        return entry.actor.user == seen.who.actor.user
    if seen.who.of_unit:
        return entry.actor.unit in seen.who.below or getattr(entry.event, "unit", "") in seen.who.below
    return entry.actor.user == seen.who.actor.user


# --- other records -----------------------------------------------------------------------------------------------

_HOTLINE = (Role.HOTLINE_MANAGER, Role.SUPERVISOR, Role.AUDITOR)
READERS: Mapping[str, frozenset[Role]] = {
    "institution": frozenset(Role) - {Role.CITIZEN},
    "matter": frozenset({*_HOTLINE, Role.COORDINATOR, Role.LEADER, Role.DISCIPLINE}),
    "call": frozenset({*_HOTLINE, Role.AGENT, Role.QC_REVIEWER}),
    "inquiry": frozenset({*_HOTLINE, Role.COORDINATOR, Role.LEADER}),
    "publication": frozenset(Role) - {Role.CITIZEN},
    "subject": frozenset(_HOTLINE),
    "batch": frozenset({*_HOTLINE, Role.ARCHIVIST, Role.LEADER}),
}
"""Who reads a record that is not a case."""

REPORT_MAKERS = frozenset({Role.HOTLINE_MANAGER, Role.SUPERVISOR, Role.COORDINATOR, Role.LEADER, Role.AUDITOR})
"""Who has a report made that was not published; the others read those that were."""

_GOVERNMENT = frozenset(Role) - OVERSEERS - {Role.CITIZEN, Role.SYSTEM, Role.ADMIN}
REPORT_READERS: Mapping[PrivacyClass, frozenset[Role]] = {
    PrivacyClass.PUBLIC: frozenset(Role) - {Role.SYSTEM},
    PrivacyClass.OVERSEERS: OVERSEERS | _GOVERNMENT,
    PrivacyClass.GOVERNMENT: _GOVERNMENT,
    PrivacyClass.LEADERS: REPORT_MAKERS,
}
"""Who reads what was published, and of its publication, by its class."""


def may_read(kind: str, state: object, who: Viewer) -> bool:
    """Tell whether somebody reads a record that is not a case; a unit what is about it or those below it.

    What an overseer asked is read by themselves, not by every other one.
    """
    if who.role in OVERSEERS and kind == "inquiry":
        return getattr(state, "filed_by", "") == who.actor.user
    if isinstance(state, Matter) and not _told_of(state, who):
        return False
    if who.role in OVERSEERS and isinstance(state, Publication) and state.privacy is None and not state.verified_to:
        return False  # what was pushed in a day, and calls counted in an hour, would be small numbers
    if isinstance(state, Publication) and state.privacy is not None and who.role not in REPORT_READERS[state.privacy]:
        return False
    if isinstance(state, Matter) and state.what is MatterKind.SHIFT and who.role in (Role.AGENT, Role.DISPATCHER):
        return True  # whoever takes over reads what was handed over
    if who.role in READERS.get(kind, frozenset()):
        return True
    units = getattr(state, "units", ())
    return kind == "matter" and who.of_unit and not who.below.isdisjoint(units)


def _told_of(matter: Matter, who: Viewer) -> bool:
    """Tell whether a matter is for somebody at all: for the supervisory organ what was referred, for units what is out."""
    if who.role is Role.DISCIPLINE:
        return matter.referred is not None
    drafted = matter.circular is not None and matter.published is None
    return not who.of_unit or not (drafted or matter.what in (MatterKind.REFERRAL, MatterKind.SHIFT))


SENSITIVE = frozenset(
    {
        "propose_erasure",
        "approve_erasure",
        "restrict_personal_data",
        "propose_lift_confidentiality",
        "lift_confidentiality",
        "propose_correction",
        "approve_correction",
        "release_text_for_oversight",
        "propose_subject_erasure",
        "approve_subject_erasure",
        "restrict_subject",
        "request_masked_dossier",
        "release_masked_dossier",
        "dispose_file",
    }
)
"""Commands that take a reason: they touch who somebody is, or what was recorded."""


def units_asked(who: Viewer, unit: str | None) -> str | None:
    """Return the unit whose list somebody is shown: for a unit its own, or the one below it that it names.

    Raises NotForThisRole for another's.
    """
    if not who.of_unit:
        return unit
    wanted = unit or who.actor.unit
    if wanted not in who.below:
        raise NotForThisRole(f"unit: {wanted}")
    return wanted
