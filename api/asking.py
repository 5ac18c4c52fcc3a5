"""A request, as every route asks it: which city, who asks, what the query and the body say; and how it is answered."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol, TypeVar
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar import Request
from litestar.exceptions import HTTPException

from api import access
from api.access import Viewer
from api.commands import DEEP, near, too_deep
from api.gate import Gate, Networks, Pace, Tallies, address_of
from api.problems import (
    AnotherLedger,
    Behind,
    BodyCut,
    BodySlow,
    BodyTooDeep,
    BodyTooLarge,
    BodyUnfit,
    BodyUnreadable,
    HeaderUnfit,
    MatchUnfit,
    MediaUnfit,
    PositionAhead,
    QueryUnfit,
    RoleNotHeldHere,
    UnknownCity,
    unfit,
)
from api.tokens import Claims, Verifier
from archive.filing import Rendered
from archive.material import Edition, UseCopy
from archive.pdf import Printer
from domain.attachments import Files, Opened
from domain.law import Law
from domain.ledger import Ledger
from domain.refusals import Erased, NotFounded, Refusal
from domain.sealing import Entropy
from domain.terms import SHANGHAI, Actor, Attachment, Role, Sealed
from projections.answers import Projections
from projections.transparency import Transparency
from supervision.oversight import Overseen

T = TypeVar("T")

LAW_LASTS = 1.0
"""Seconds for which the registry is taken as it was last read, where it says yes; a no is asked again at once."""

TIP_LASTS = 0.1
"""Seconds for which the ledger's end is taken as it was last seen."""

SMALL_BODY = 1 << 14
LONGEST_BODY = 1 << 20
LONGEST_BATCH = 16 << 20
LARGEST_PAGE = 200
READING = 20.0
"""Seconds that a body may take to come, beside what it may be long."""

SLOWEST = 1 << 16
"""Bytes a second at which the longest body that a route takes comes in time."""

UPLOADS = 8
"""Files that one worker takes in at once."""

UPLOADS_EACH = 4
"""Files that one caller gives at once: whoever is slow keeps nobody else from giving theirs."""

PATIENCE = 5.0
"""Seconds that a reader may wait for the tables to reach a position."""


class City:
    """One city that is served: its ledger, its tables, and the law as it was read last."""

    def __init__(
        self, name: str, ledger: Ledger, shown: Projections, files: Files, log: Transparency, *, sandbox: bool = False
    ) -> None:
        self.name = name
        self.log = log
        self.sandbox = sandbox
        self.ledger = ledger
        self.shown = shown
        self.overseen = Overseen(shown)
        self.files = files
        self._law: Law | None = None
        self._read_at = 0.0
        self._viewers: dict[tuple[int, str], Viewer] = {}  # by whose claims, as long as they are the same, and the role
        self._tip = 0
        self._tip_at = 0.0
        self._tip_turn = asyncio.Lock()

    async def tip(self) -> int:
        """Return the ledger's last position, at most `TIP_LASTS` old: however many wait for it, one asks."""
        async with self._tip_turn:
            now = asyncio.get_running_loop().time()
            if now - self._tip_at > TIP_LASTS:
                self._tip, _ = await self.ledger.head()
                self._tip_at = now
            return self._tip

    async def law(self, *, fresh: bool = False) -> Law:
        """Return the law, at most `LAW_LASTS` old. Raises NotFounded."""
        now = asyncio.get_running_loop().time()
        if fresh or self._law is None or now - self._read_at > LAW_LASTS:
            self._law = await self.ledger.law()
            self._read_at = now
            self._viewers = {}
        if self._law is None:
            raise NotFounded
        return self._law

    async def viewer(self, claims: Claims, role: str, now: datetime) -> Viewer:
        """Return who asks, in the role that they name. Raises RoleNotInToken, RoleNotHeldHere …"""
        law = await self.law()
        found = self._viewers.get((id(claims), role))
        if found is not None and found.claims is claims:
            return found
        actor = access.actor_of(claims, role)
        try:
            found = access.viewer(actor, claims, law, now)
        except RoleNotHeldHere:
            found = access.viewer(actor, claims, await self.law(fresh=True), now)  # granted a moment ago, perhaps
        self._viewers[id(claims), role] = found
        return found

    @property
    def turn(self) -> Mapping[str, str]:
        """Return what every answer of a sandbox says: which ledger it is of, since there will be another one."""
        return {"Huiyin-Ledger": self.ledger.imprint.ledger_id} if self.sandbox else {}

    async def file(self, stream: str, digest: str) -> Opened:
        """Open a file of a case. Raises UnknownFile, FileChanged, and Erased where its key was destroyed."""
        key = await asyncio.to_thread(self.files.key_of, stream, digest)
        left = await self.ledger.keys_left([key])
        found = await asyncio.to_thread(self.files.open, stream, digest, left.get)
        if found is None:
            raise Erased(digest)
        return found

    async def keeps(self, stream: str, named: Attachment) -> bool:
        """Tell whether a file is kept for a case as a command names it: of that size and type."""
        try:
            found = await self.file(stream, named.digest)
        except Refusal:
            return False
        found.close()
        return (found.size, found.media_type) == (named.size, named.media_type)


class Masked(Protocol):
    """Makes a case's masked file, up to a version, or a copy for use with its number: handed in by whoever knows the settings."""

    async def __call__(
        self,
        city: City,
        stream: str,
        upto: int,
        *,
        copy: UseCopy | None = None,
        edition: Edition = "masked",
        keys: Mapping[str, bytes] | None = None,
    ) -> Rendered:
        """Return the file with its volumes."""
        ...


class House:
    """Everything that is served: cities by name, whose tokens are taken, the process's clock, fresh words."""

    def __init__(
        self,
        cities: Mapping[str, City],
        verifier: Verifier,
        now: Callable[[], datetime],
        *,
        printer: Printer,
        tallies: Tallies,
        proxies: Networks = (),
        reset: Callable[[str], Awaitable[None]] | None = None,
        packets: Any = None,
        masked: Masked | None = None,
        entropy: Entropy,
    ) -> None:
        self.cities = cities
        self.verifier = verifier
        self.now = now
        self.printer = printer
        self.proxies = proxies
        self.reset = reset  # makes a sandbox anew
        self.packets = packets  # where packets are made, and with what
        self.masked = masked  # makes a case's masked file again, as it was made
        self.making: dict[str, asyncio.Task[None]] = {}  # packets that are being made here
        self.entropy = entropy
        self.openings = Pace(60, now, tallies)
        self.gate = Gate(now, tallies)
        self.uploads = asyncio.Semaphore(UPLOADS)
        self.giving: Counter[str] = Counter()  # files that each caller gives now
        self.streams: Counter[str] = Counter()  # open streams of each consumer
        self.closing = asyncio.Event()  # set when what is served is about to end

    def visit(self, request: Request[Any, Any, Any]) -> Ask:
        """Return a request that comes without a token: an applicant's, who shows a query code. Raises UnknownCity."""
        city = self.cities.get(str(request.path_params.get("city", "")))
        if city is None:
            raise UnknownCity
        return Ask(self, city, APPLICANT, request, _headers(request), "")

    async def ask(self, request: Request[Any, Any, Any], collection: str = "") -> Ask:
        """Return a request with its city and its caller. Raises what refuses them."""
        headers = _headers(request)
        claims = await self.verifier.claims(headers.get("authorization"))
        name = str(request.path_params.get("city", ""))
        access.of_city(claims, name)
        city = self.cities.get(name)
        if city is None:
            raise UnknownCity
        if city.sandbox:
            await _of_this_turn(city, request, headers)
        return Ask(
            self,
            city,
            await city.viewer(claims, headers.get("huiyin-role") or "", self.now()),
            request,
            headers,
            collection,
        )


async def _of_this_turn(city: City, request: Request[Any, Any, Any], headers: Mapping[str, str]) -> None:
    """Refuse what a caller has from before a sandbox was reset. Raises AnotherLedger, PositionAhead."""
    said = headers.get("huiyin-ledger")
    if said and said != city.ledger.imprint.ledger_id:
        raise AnotherLedger
    said = [request.query_params.get(name, "") for name in ("after", "min_position")]
    said.append(headers.get("last-event-id") or "")
    last = max((int(one) for one in said if one.isascii() and one.isdecimal() and len(one) < 19), default=0)
    if last and last > (await city.ledger.head())[0]:
        raise PositionAhead(f"{last}")


APPLICANT = Viewer(Actor(user="citizen", role=Role.CITIZEN), Claims(sub="citizen", exp=0))
"""Who comes without a token, until a query code says whose order is theirs."""


def _headers(request: Request[Any, Any, Any]) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in request.scope["headers"]}


class Answer(NamedTuple):
    """What a route answers: data, bytes as they are, or bytes that come one after another."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = {}
    media_type: str = "application/json"


class Ask(NamedTuple):
    """One request."""

    house: House
    city: City
    who: Viewer
    request: Request[Any, Any, Any]
    headers: Mapping[str, str]  # by their names in small letters
    collection: str  # what the path calls the kind of record it is about; empty where it is about none
    pacing: bool = False  # the table of operations says that it is asked so often a minute and no oftener

    # --- path, query, headers ---

    def path(self, name: str) -> str:
        """Return a part of the path."""
        return str(self.request.path_params[name])

    def header(self, name: str) -> str:
        """Return a header, empty where it is not said. Raises HeaderUnfit for what nobody can print."""
        said = self.headers.get(name) or ""
        if not said.isprintable():
            raise HeaderUnfit(name, field=name)
        return said.strip()

    def query(self, name: str) -> str | None:
        """Return a query parameter, once. Raises QueryUnfit where it is said twice."""
        said = self.queries(name)
        if len(said) > 1:
            raise QueryUnfit(name, field=name)
        return said[0] if said else None

    def queries(self, name: str) -> list[str]:
        """Return every value of a query parameter. Raises QueryUnfit for one without a value, or that nothing can hold."""
        said = self.request.query_params.getall(name, [])
        if "" in said:
            raise QueryUnfit(f"{name}: 须有值 a value is needed", field=name)
        if any("\0" in one for one in said):
            raise QueryUnfit(f"{name}: U+0000", field=name)
        return said

    def only(self, known: Collection[str]) -> None:
        """Refuse a query parameter that there is not: a misspelt filter would show everything. Raises QueryUnfit."""
        if not self.request.scope["query_string"]:
            return
        for name in self.request.query_params:
            if name not in known:
                raise QueryUnfit(f"{name}: 没有此参数 no such parameter{near(name, known)}", field=name)

    def flag(self, name: str) -> bool:
        """Return a query parameter that is true or false."""
        said = self.query(name)
        if said not in (None, "true", "false"):
            raise QueryUnfit(f"{name}: true | false", field=name)
        return said == "true"

    def number(self, name: str, default: int | None = None, *, most: int = (1 << 62)) -> int | None:
        """Return a query parameter that is a whole number."""
        said = self.query(name)
        if said is None:
            return default
        if not re.fullmatch(r"\d{1,18}", said, re.ASCII) or int(said) > most:
            raise QueryUnfit(f"{name}: 0 … {most}", field=name)
        return int(said)

    def limit(self, default: int = 50, most: int = LARGEST_PAGE) -> int:
        """Return how many rows are wanted."""
        found = self.number("limit", default, most=most) or 0
        if found < 1:
            raise QueryUnfit(f"limit: 1 … {most}", field="limit")
        return found

    def word(self, name: str, kind: type[T]) -> T | None:
        """Return a query parameter that is one of the words of an enumeration."""
        said = self.query(name)
        return None if said is None else self._word(name, said, kind)

    def words(self, name: str, kind: type[T]) -> list[T]:
        """Return a query parameter that may be said several times."""
        return [self._word(name, said, kind) for said in self.queries(name)]

    def _word(self, name: str, said: str, kind: type[T]) -> T:
        try:
            return msgspec.convert(said, kind)
        except msgspec.ValidationError as error:
            raise QueryUnfit(f"{name}: {error}", field=name) from error

    def instant(self, name: str) -> datetime | None:
        """Return a query parameter that is an instant; without a zone it is Shanghai's time."""
        return read_instant(name, self.query(name))

    def cursor(self, kind: type[T]) -> T | None:
        """Return where the page before ended. Raises QueryUnfit for what no page gave."""
        said = self.query("cursor")
        if said is None:
            return None
        try:
            return msgspec.convert(msgspec.json.decode(base64.urlsafe_b64decode(said + "=" * (-len(said) % 4))), kind)
        except (ValueError, msgspec.MsgspecError, RecursionError) as error:
            raise QueryUnfit("cursor", field="cursor") from error

    def expected(self) -> int | None:
        """Return the version that If-Match names."""
        said = self.header("if-match")
        if said in ("", "*"):
            return None
        found = re.fullmatch(r'(?:W/)?"(\d{1,9})"', said, re.ASCII)
        if found is None:
            raise MatchUnfit
        return int(found[1])

    def address(self) -> str:
        """Return from where the request comes, as far as our own proxies say so."""
        client = self.request.client
        forwarded = self.headers.get("x-forwarded-for") or ""
        return address_of(client.host if client is not None else "", forwarded, self.house.proxies)

    def trace(self) -> str:
        """Return the trace that a request belongs to (`traceparent`, W3C Trace Context); what is no trace is left out."""
        found = re.fullmatch(
            r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", self.headers.get("traceparent") or ""
        )
        return found[1] if found else ""

    # --- the body ---

    async def bytes(self, *media: str, most: int = LONGEST_BODY) -> bytes:
        """Return the body. Raises MediaUnfit, BodyTooLarge, BodyCut and BodySlow."""
        said = (self.headers.get("content-type") or "").partition(";")[0].strip().lower()
        if said not in media:
            raise MediaUnfit(", ".join(media))
        if (self.headers.get("content-encoding") or "identity").lower() != "identity":
            raise MediaUnfit("Content-Encoding: identity")
        length = self.headers.get("content-length") or ""
        if length.isdecimal() and int(length) > most:
            raise BodyTooLarge(f"> {most}")
        patience = READING + most / SLOWEST
        try:
            async with asyncio.timeout(patience):
                content = await self._read(most)
        except TimeoutError as error:
            self.request.is_connected = False  # nor is anything else of it to be read
            raise BodySlow(f"{patience:.0f} s") from error
        if length.isdecimal() and len(content) < int(length):
            raise BodyCut
        return content

    async def _read(self, most: int) -> bytes:
        """Read the body as the server hands it over; Litestar's own way would look at its length once more."""
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            told = await self.request.receive()
            if told["type"] != "http.request":
                raise BodyCut
            part, more = told["body"], told.get("more_body", False)
            size += len(part)
            if size > most:
                raise BodyTooLarge(f"> {most}")
            parts.append(part)
        self.request.is_connected = False  # as Litestar says that there is no more
        return b"".join(parts)

    async def body(self) -> dict[str, Any]:
        """Return the body as a JSON object. Raises BodyUnreadable, BodyTooDeep and BodyUnfit."""
        return read_object(await self.bytes("application/json"))

    async def said(self, kind: type[T]) -> T:
        """Return the body as a struct. Raises what `body` does, and BodyUnfit for what does not fit."""
        try:
            return msgspec.convert(await self.body(), kind)
        except msgspec.ValidationError as error:
            raise unfit(error) from error

    # --- opening what is sealed ---

    def paced(self, whose: str = "") -> None:
        """Count one more opening: of whoever asks, or of all who ask for the same. Raises TooMany."""
        assert self.pacing, "an operation that is paced says so in the table: callers read there that it may be refused"
        person = f"{self.who.actor.user}/{self.who.actor.unit}"
        self.house.openings.step(f"{self.city.name}/{whose or person}")

    async def opened(
        self, fields: Mapping[str, Sealed], *, stream: str, purpose: str, words: str | None = None, key: str = ""
    ) -> dict[str, Any]:
        """Return sealed fields open, after the access journal says who looked and why; those erased since say so.

        Asked again under the same `key` it is another look, with a line of its own; under a key that something else
        was asked with it is refused.
        """
        found = await self.city.ledger.open_sealed(
            fields,
            stream=stream,
            viewer=self.who.actor,
            purpose=purpose,
            command_id=key or f"open:{self.city.ledger.fresh_id()}",
            words=words,
        )
        return {name: {"erased": True} if isinstance(text, Erased) else text for name, text in found.items()}

    # --- waiting ---

    async def caught_up(self, position: int | None = None) -> None:
        """Wait until the tables have reached `min_position`, or a position that is asked for here. Raises Behind."""
        wanted = self.number("min_position") if position is None else position
        if not wanted:
            return
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE
        while True:
            rows = await self.city.shown.status()
            reached = min((row.position for row in rows if row.active), default=0)
            if reached >= wanted:
                return
            if loop.time() > until:
                raise Behind(f"{reached} < {wanted}")
            await asyncio.sleep(0.02)


async def drained(request: Request[Any, Any, Any]) -> None:
    """Read on what was refused while it was still coming, so far as it is not endless.

    Who is cut off in the middle of sending hears of a broken line, not of the refusal.
    """
    length = request.headers.get("content-length", "0")
    left = LONGEST_BODY * 4
    if length.isdecimal() and int(length) <= SMALL_BODY:
        return
    with contextlib.suppress(HTTPException, TimeoutError):
        async with asyncio.timeout(PATIENCE):
            async for part in request.stream():
                left -= len(part)
                if left < 0:
                    return


def read_object(content: bytes) -> dict[str, Any]:
    """Return JSON text as an object of at most `DEEP` levels."""
    if too_deep(content):
        raise BodyTooDeep(f"> {DEEP}")
    try:
        found = msgspec.json.decode(content or b"{}")
    except msgspec.ValidationError as error:  # well-formed, but nothing that can be held
        raise BodyUnfit(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BodyUnreadable(str(error)) from error
    if not isinstance(found, dict):
        raise BodyUnfit("须为一个 JSON 对象 one JSON object is wanted")
    return found


def read_instant(name: str, said: str | None) -> datetime | None:
    """Return an instant that somebody wrote; without a zone it is Shanghai's time. Raises QueryUnfit."""
    if said is None:
        return None
    try:
        at = datetime.fromisoformat(said.strip())
        return at.replace(tzinfo=SHANGHAI) if at.tzinfo is None else at.astimezone(SHANGHAI)
    except (ValueError, OverflowError) as error:
        raise QueryUnfit(f"{name}: ISO 8601", field=name) from error


def next_page(*last: Any) -> str:
    """Return the cursor after a row, from what the next page needs of it."""
    said = msgspec.json.encode(list(last))
    return base64.urlsafe_b64encode(said).rstrip(b"=").decode()


def listing(ask: Ask, name: str, rows: Sequence[Any], position: int, cursor: str = "") -> Answer:
    """Return a page of rows with the position it is true at, and the way to the next one."""
    body: dict[str, Any] = {name: [_at_home(row) for row in rows], "position": position}
    headers = {"Ledger-Position": str(position)}
    if cursor:
        body["next"] = cursor
        asked = [(key, value) for key, value in ask.request.query_params.multi_items() if key != "cursor"]
        said = f"{ask.request.url.path}?{urlencode([*asked, ('cursor', cursor)])}"
        headers["Link"] = f'<{said}>; rel="next"'
    return Answer(body, headers=headers)


def _at_home(row: Any) -> Any:
    """Return a row of a table with its instants in Shanghai's time, as everything else is shown (K1)."""
    if not isinstance(row, msgspec.Struct):
        return row
    said = {name: getattr(row, name) for name in row.__struct_fields__}
    return {n: v.astimezone(SHANGHAI) if isinstance(v, datetime) else v for n, v in said.items()}


def is_uuid(text: str) -> bool:
    """Tell whether a text is an id as we write them."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
