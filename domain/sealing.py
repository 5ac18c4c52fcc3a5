"""密封. Personal data and free text are sealed before any rule sees them, and opened only by the door.

A field typed `Private` is plain in a command and `Sealed` from then on. Every case and subject has a key of its own,
wrapped by a master key outside the database; an informant's identity is wrapped for two persons, and the door itself
cannot open it. Destroying the key erases the text everywhere it was ever copied to.
"""

from __future__ import annotations

import base64
import hmac
import re
import types
import typing
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple, Protocol, TypeVar
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from domain.leaves import canonical
from domain.refusals import (
    SealedFromOutside,
    SubjectFromOutside,
    TwoPersonsNeeded,
    TwoPersonsNotAppointed,
    WrongKey,
)
from domain.terms import Applicant, Confidentiality, Sealed

Entropy = Callable[[int], bytes]

MASTER = "master"

_TEXTS = ":texts"

_PATH = re.compile(r"[\w.:-]{1,200}")


class Keyring(msgspec.Struct, frozen=True):
    """What lies outside the database: the master key, and the public keys of the two who hold the informants' key.

    All are 32 bytes; `informant` maps a person's name to an X25519 public key and has two entries or none.
    """

    master: bytes
    informant: Mapping[str, bytes] = {}

    def __post_init__(self) -> None:
        keys = [self.master, *self.informant.values()]
        if any(len(key) != 32 for key in keys) or len(self.informant) not in (0, 2):
            raise ValueError(
                "a keyring has a master key of 32 bytes and the 32-byte public keys of two persons, or none"
            )

    def __repr__(self) -> str:
        return f"Keyring(informant={sorted(self.informant)})"


class Consent(msgspec.Struct, frozen=True):
    """One of the two persons takes part in an opening: the name, and the private key (32 bytes) that is theirs."""

    person: str
    key: bytes

    def __repr__(self) -> str:
        return f"Consent({self.person})"


# --- where the private fields are --------------------------------------------------------------------------------


class Visitor(Protocol):
    """What happens to the private fields of a struct."""

    def text(self, value: str | Sealed, path: str) -> str | Sealed:
        """Return what stands in the field from now on."""
        ...

    def applicant(self, value: Applicant, path: str) -> Applicant:
        """Return the applicant that stands in the field from now on."""
        ...


T = TypeVar("T", bound=msgspec.Struct)
_Walk = Callable[[Any, str, Visitor], Any]


def rewrite(value: T, visitor: Visitor) -> T:
    """Return the struct with every private field replaced by what the visitor makes of it."""
    return _walk_struct(value, "", visitor)


def _walk_text(value: Any, path: str, visitor: Visitor) -> Any:
    return visitor.text(value, path) if _says_something(value) else value


def _says_something(value: str | Sealed | None) -> bool:
    """Tell whether there is anything to seal. A blank text stays plain, or no rule could refuse it for being blank."""
    return value is not None and (not isinstance(value, str) or bool(value.strip()))


def _walk_struct(value: Any, path: str, visitor: Visitor) -> Any:
    if not isinstance(value, msgspec.Struct):
        return value
    if isinstance(value, Applicant):
        return visitor.applicant(value, path)
    return walk_fields(value, path, visitor)


def walk_fields(value: T, path: str, visitor: Visitor) -> T:
    """Replace the private fields of one struct, and of what it holds; the same struct where nothing changed."""
    changed: dict[str, Any] = {}
    for name, walk in _private_fields(type(value)):
        before = getattr(value, name)
        if before is None:
            continue
        after = walk(before, f"{path}.{name}" if path else name, visitor)
        if after is not before:
            changed[name] = after
    return msgspec.structs.replace(value, **changed) if changed else value


@cache
def _private_fields(kind: type[msgspec.Struct]) -> tuple[tuple[str, _Walk], ...]:
    return tuple((field.name, walk) for field in msgspec.structs.fields(kind) if (walk := _walk_of(field.type)))


def _walk_of(hint: Any) -> _Walk | None:
    """Return how to walk a value of a type; None where nothing private can lie in it."""
    if not _holds(hint, frozenset()):
        return None
    if _is_private(hint):
        return _walk_text
    arguments = typing.get_args(hint)
    match typing.get_origin(hint):
        case typing.Annotated:
            return _walk_of(arguments[0])
        case typing.Union | types.UnionType:
            return _first_fitting([walk for member in arguments if (walk := _walk_of(member))])
        case None:
            return _walk_struct
        case origin if issubclass(origin, Mapping):
            return _each_value(_walk_of(arguments[1]))
        case _:
            return _each_item([_walk_of(a) for a in arguments if a is not Ellipsis])


def _first_fitting(walks: Sequence[_Walk]) -> _Walk:
    def walk(value: Any, path: str, visitor: Visitor) -> Any:
        for one in walks:
            after = one(value, path, visitor)
            if after is not value:
                return after
        return value

    return walk


def _each_value(inner: _Walk | None) -> _Walk:
    def walk(value: Any, path: str, visitor: Visitor) -> Any:
        if inner is None or not isinstance(value, Mapping):
            return value
        held = typing.cast("Mapping[str, Any]", value)
        return {key: inner(one, f"{path}.{key}", visitor) for key, one in held.items()}

    return walk


def _each_item(inner: Sequence[_Walk | None]) -> _Walk:
    def walk(value: Any, path: str, visitor: Visitor) -> Any:
        if not isinstance(value, (tuple, list)):
            return value
        held = typing.cast("Sequence[Any]", value)
        after: list[Any] = []
        for index, one in enumerate(held):
            how = inner[index] if len(inner) == len(held) else inner[0]
            after.append(how(one, f"{path}.{index}", visitor) if how else one)
        return tuple(after) if isinstance(value, tuple) else after

    return walk


def _is_private(hint: Any) -> bool:
    members = typing.get_args(hint)
    return Sealed in members and str in members


def _holds(hint: Any, seen: frozenset[Any]) -> bool:
    """Tell whether a private field can lie anywhere within a type."""
    if _is_private(hint):
        return True
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct) and hint is not Sealed:
        if hint in seen:
            return False
        return any(_holds(field.type, seen | {hint}) for field in msgspec.structs.fields(hint))
    return any(_holds(argument, seen) for argument in typing.get_args(hint))


# --- what a command holds ----------------------------------------------------------------------------------------


class Survey:
    """A look through a struct before anything is read: its applicants, and whether there is anything to seal.

    Raises SealedFromOutside and SubjectFromOutside.
    """

    def __init__(self, *structs: msgspec.Struct) -> None:
        self.applicants: list[Applicant] = []
        self.private = False
        self.informant = any(_is_informant(one) for one in structs)
        for one in structs:
            rewrite(one, self)

    def text(self, value: str | Sealed, path: str) -> str | Sealed:
        """Note a text."""
        if isinstance(value, Sealed):
            raise SealedFromOutside(path)
        self.private = True
        return value

    def applicant(self, value: Applicant, path: str) -> Applicant:
        """Note an applicant, and the texts of it."""
        if value.subject is not None:
            raise SubjectFromOutside(path)
        self.applicants.append(value)
        return walk_fields(value, path, self)

    def numbers(self) -> list[str]:
        """Return the applicants' numbers as subjects are found by; none of an informant."""
        if self.informant:
            return []
        phones = (one.phone for one in self.applicants)
        return [plain_number(phone) for phone in phones if isinstance(phone, str) and _says_something(phone)]


class Unsealed(Survey):
    """A look through an event before it is written: what a rule wrote in plain where it must be sealed."""

    def __init__(self, event: msgspec.Struct) -> None:
        self.paths: list[str] = []
        super().__init__(event)

    def text(self, value: str | Sealed, path: str) -> str | Sealed:
        """Note a plain text."""
        if isinstance(value, str):
            self.paths.append(path)
        return value

    def applicant(self, value: Applicant, path: str) -> Applicant:
        """Look into an applicant, whose subject is known by now."""
        return walk_fields(value, path, self)


def _is_informant(struct: msgspec.Struct) -> bool:
    return any(getattr(struct, name) is Confidentiality.INFORMANT for name in _confidential_fields(type(struct)))


@cache
def _confidential_fields(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    hints = {field.name: field.type for field in msgspec.structs.fields(kind)}
    return tuple(name for name, hint in hints.items() if Confidentiality in (hint, *typing.get_args(hint)))


def plain_number(text: str) -> str:
    """Return a telephone number in the one form it is found by: digits alone, without the country's own code."""
    digits = re.sub(r"\D", "", text)
    return re.sub(r"^(00)?86(?=\d{10,11}$)", "", digits) or text.strip()


@lru_cache(maxsize=256)
def _keyed(secret: bytes) -> hmac.HMAC:
    """Return an HMAC that has taken its key in: that is half of what one costs."""
    return hmac.new(secret, digestmod="sha256")


def keyed_hash(secret: bytes, text: bytes) -> bytes:
    """Return the HMAC of a text under one of the ledger's secrets."""
    made = _keyed(secret).copy()
    made.update(text)
    return made.digest()


def mac_of(secret: bytes, number: str) -> bytes:
    """Return the HMAC under which a number's subject is found."""
    return keyed_hash(secret, number.encode())


_NUMBER = b"huiyin/number"


def _of_subject(subject: UUID) -> bytes:
    """Return what a number is bound to: whose it is."""
    return _NUMBER + b"/" + subject.bytes


def number_intact(row: tuple[bytes, UUID, bytes], keyring: Keyring, secret: bytes) -> bool:
    """Tell whether a subject (its MAC, who it is, the number wrapped) is found by the number that it was first found by.

    Numbers that an earlier release wrapped are not bound to whose they are.
    """
    mac, subject, wrapped = row
    for bound in (_of_subject(subject), _NUMBER):
        try:
            number = _master(keyring.master).decrypt(wrapped[:12], wrapped[12:], bound)
        except (InvalidTag, ValueError):
            continue
        return hmac.compare_digest(keyed_hash(secret, number), mac)
    return False


_CODE_DIGITS = 12


@lru_cache(maxsize=64)
def _code_secret(secret: bytes) -> bytes:
    return keyed_hash(secret, b"huiyin/query-code")


def query_code(secret: bytes, stream: str) -> str:
    """Return the code (查询码) by which an applicant asks after an order: twelve digits, easily said and keyed in.

    Made from the ledger's secret each time it is wanted, so that nothing that opens an order lies in the database.
    """
    drawn = int.from_bytes(keyed_hash(_code_secret(secret), stream.encode())) % 10**_CODE_DIGITS
    digits = f"{drawn:0{_CODE_DIGITS}d}"
    return "-".join(digits[n : n + 4] for n in range(0, _CODE_DIGITS, 4))


def plain_code(said: str) -> str:
    """Return a query code as people write it in the one form it is compared in: its digits alone."""
    digits = unicodedata.normalize("NFKC", said[:100])
    return "".join(letter for letter in digits if letter in "0123456789")


# --- keys --------------------------------------------------------------------------------------------------------


class KeyRow(NamedTuple):
    """A row of `keys`. `wrap` says whose keys open `wrapped`.

    `holder` is a subject (the key of who they are), `texts_of` a subject (of what was said in their case), or empty.
    """

    id: str
    stream: str
    holder: str
    wrap: str
    wrapped: bytes


def texts_of(subject: str) -> str:
    """Return the holder of the key of a case's texts: apart from the identity, but erased with the subject."""
    return subject + _TEXTS


def is_identity(holder: str) -> bool:
    """Tell whether a key is that of who a subject is: what two persons hold together, where it is an informant."""
    return bool(holder) and not holder.endswith(_TEXTS)


@lru_cache(maxsize=16)
def _master(key: bytes) -> AESGCM:
    """Return the cipher of a master key, which every command needs; those of cases are made when they are needed."""
    return AESGCM(key)


def wrap_for_master(keyring: Keyring, entropy: Entropy, place: tuple[str, str, str], key: bytes) -> KeyRow:
    """Return the row of a key wrapped by the master key; `place` is (id, stream, holder)."""
    nonce = entropy(12)
    return KeyRow(*place, MASTER, nonce + _master(keyring.master).encrypt(nonce, key, _bound(place)))


def wrap_for_two(keyring: Keyring, entropy: Entropy, place: tuple[str, str, str], key: bytes) -> KeyRow:
    """Return the row of a key in two shares, one for each person; either alone says nothing about the key.

    Raises TwoPersonsNotAppointed.
    """
    if len(keyring.informant) != 2:
        raise TwoPersonsNotAppointed
    mask = entropy(32)
    shares = [mask, bytes(a ^ b for a, b in zip(mask, key, strict=True))]
    persons = sorted(keyring.informant)
    boxes = [
        _box_for(keyring.informant[person], entropy(32), share, _bound(place))
        for person, share in zip(persons, shares, strict=True)
    ]
    wrap, wrapped = ",".join(persons), b"".join(boxes)
    return KeyRow(*place, wrap, wrapped + _seal_of(keyring, place, wrap, wrapped))


def intact(row: KeyRow, keyring: Keyring) -> bool:
    """Tell whether a key is wrapped as it was once wrapped here. What two persons hold stays closed: its seal is looked at."""
    if row.wrap != MASTER:
        place, boxes = (row.id, row.stream, row.holder), row.wrapped[: 2 * _BOX]
        return hmac.compare_digest(row.wrapped[2 * _BOX :], _seal_of(keyring, place, row.wrap, boxes))
    try:
        unwrap(row, keyring)
    except (WrongKey, ValueError):  # of one cut short nothing is tried
        return False
    return True


def unwrap(row: KeyRow, keyring: Keyring, consents: Iterable[Consent] = ()) -> bytes:
    """Return a data key. Raises WrongKey, and TwoPersonsNeeded where the two have not both agreed."""
    place = (row.id, row.stream, row.holder)
    try:
        if row.wrap == MASTER:
            return _master(keyring.master).decrypt(row.wrapped[:12], row.wrapped[12:], _bound(place))
        given = {consent.person: consent.key for consent in consents}
        persons = row.wrap.split(",")
        if any(person not in given for person in persons):
            raise TwoPersonsNeeded(row.wrap)
        boxes = (row.wrapped[:_BOX], row.wrapped[_BOX : 2 * _BOX])
        shares = [_open_box(given[p], box, _bound(place)) for p, box in zip(persons, boxes, strict=True)]
    except InvalidTag as error:
        raise WrongKey from error
    return bytes(a ^ b for a, b in zip(*shares, strict=True))


def _bound(place: tuple[str, str, str]) -> bytes:
    return canonical(list(place))


_BOX = 80
"""Bytes of a share in its box: the ephemeral half, the share and what shows that it was not changed."""


def shares_of(row: KeyRow) -> KeyRow:
    """Return a key that two persons hold as it leaves the house: their boxes alone, without our seal on them."""
    return row._replace(wrapped=row.wrapped[: 2 * _BOX])


@lru_cache(maxsize=16)
def _seal_secret(master: bytes) -> bytes:
    return keyed_hash(master, b"huiyin/held-by-two")


def _seal_of(keyring: Keyring, place: tuple[str, str, str], wrap: str, boxes: bytes) -> bytes:
    """Return what shows that two persons' boxes are those that were once made here; it opens nothing."""
    return keyed_hash(_seal_secret(keyring.master), canonical([*place, wrap]) + boxes)


def _agreed(shared: bytes, ephemeral: bytes, bound: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, salt=ephemeral, info=b"huiyin/informant" + bound).derive(shared))


def _box_for(public: bytes, seed: bytes, share: bytes, bound: bytes) -> bytes:
    mine = X25519PrivateKey.from_private_bytes(seed)
    ephemeral = mine.public_key().public_bytes_raw()
    shared = mine.exchange(X25519PublicKey.from_public_bytes(public))
    # The key is fresh with its ephemeral half, so that one nonce, always the same, is used with it once.
    return ephemeral + _agreed(shared, ephemeral, bound).encrypt(bytes(12), share, bound)


def _open_box(private: bytes, box: bytes, bound: bytes) -> bytes:
    shared = X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(box[:32]))
    return _agreed(shared, box[:32], bound).decrypt(bytes(12), box[32:], bound)


# --- sealing -----------------------------------------------------------------------------------------------------


class Work(msgspec.Struct):
    """What sealing a command rests on and brings with it; checked and written under the lock."""

    used: set[str] = set()  # keys that must be there still
    found: dict[bytes, UUID] = {}  # subjects that must still be found so
    new_keys: list[KeyRow] = []
    new_subjects: list[tuple[bytes, UUID, bytes]] = []  # mac, subject, wrapped number
    rewrapped: list[KeyRow] = []  # keys as two persons shall hold them


class Sealing:
    """Seals the structs of one command for one stream."""

    def __init__(
        self,
        stream: str,
        survey: Survey,
        *,
        keys: Sequence[KeyRow],
        subjects: Mapping[bytes, UUID],
        keyring: Keyring,
        secret: bytes,
        entropy: Entropy,
        draw: Callable[[], UUID],
    ) -> None:
        self.work = Work()
        self.subject: UUID | None = None
        self._stream = stream
        self._keyring = keyring
        self._secret = secret
        self._entropy = entropy
        self._draw = draw
        self._known = subjects
        self._rows = {row.holder: row for row in keys if row.stream == stream}
        self._dual = survey.informant or any(row.wrap != MASTER for row in self._rows.values())
        self._data: dict[str, tuple[str, AESGCM]] = {}
        self._drawn: dict[int, UUID] = {}
        for one in survey.applicants:
            self._drawn[id(one)] = self._subject_of(one)
            self.subject = self.subject or self._drawn[id(one)]
        self._texts_of = self._holder_of_texts()

    def seal(self, struct: T) -> T:
        """Return the struct with every private field sealed."""
        return rewrite(struct, self)

    def text(self, value: str | Sealed, path: str) -> str | Sealed:
        """Seal a text with the key of the texts of the applicant's case, or with the stream's own."""
        return self.sealed(value, path, self._texts_of)

    def applicant(self, value: Applicant, path: str) -> Applicant:
        """Seal an applicant with a key of their own; say which subject they are."""
        subject = self._drawn[id(value)]
        visitor = _Held(self, str(subject))
        held = walk_fields(value, path, visitor)
        return msgspec.structs.replace(held, subject=subject) if visitor.any else held

    def sealed(self, value: str | Sealed, path: str, holder: str) -> Sealed:
        """Return a text sealed with the key of a holder in this case."""
        assert isinstance(value, str), "a survey comes before sealing"
        key, cipher = self._key_of(holder)
        nonce = self._entropy(12)
        box = nonce + cipher.encrypt(nonce, value.encode(), bound_to(self._stream, path))
        return Sealed(key=key, box=f"{path}:{base64.urlsafe_b64encode(box).decode().rstrip('=')}")

    def _subject_of(self, applicant: Applicant) -> UUID:
        if self._dual or not isinstance(applicant.phone, str) or not _says_something(applicant.phone):
            return self._subject_without_number()
        number = plain_number(applicant.phone)
        mac = mac_of(self._secret, number)
        if mac in self._known:
            self.work.found[mac] = self._known[mac]
            return self._known[mac]
        for known, subject, _ in self.work.new_subjects:
            if known == mac:
                return subject
        nonce, subject = self._entropy(12), self._draw()
        bound = _of_subject(subject)
        wrapped = nonce + _master(self._keyring.master).encrypt(nonce, number.encode(), bound)
        self.work.new_subjects.append((mac, subject, wrapped))
        return subject

    def _subject_without_number(self) -> UUID:
        """An informant is never found again; anybody else without a number is whoever the case is about already."""
        for holder, row in self._rows.items():
            if is_identity(holder) and row.wrap == MASTER and not self._dual:
                return UUID(holder)
        return self._draw()

    def _holder_of_texts(self) -> str:
        """Handlers read an informant's case, so its texts never need the two persons: only the identity does."""
        if self.subject is not None:
            return texts_of(str(self.subject))
        there = next((holder for holder in self._rows if holder and not is_identity(holder)), "")
        whose = next((holder for holder in self._rows if is_identity(holder)), "")
        return there or (texts_of(whose) if whose else "")

    def _key_of(self, holder: str) -> tuple[str, AESGCM]:
        if holder in self._data:
            return self._data[holder]
        row = self._rows.get(holder)
        if row is not None and row.wrap == MASTER:
            self.work.used.add(row.id)
            data = unwrap(row, self._keyring)
        else:
            data = self._entropy(32)
            wrap = wrap_for_two if self._dual and is_identity(holder) else wrap_for_master
            place = (base64.urlsafe_b64encode(self._entropy(12)).decode(), self._stream, holder)
            row = wrap(self._keyring, self._entropy, place, data)
            self.work.new_keys.append(row)
        self._data[holder] = (row.id, AESGCM(data))
        return self._data[holder]


class _Held:
    """Seals what belongs to one applicant."""

    def __init__(self, sealing: Sealing, holder: str) -> None:
        self.any = False
        self._sealing = sealing
        self._holder = holder

    def text(self, value: str | Sealed, path: str) -> str | Sealed:
        self.any = True
        return self._sealing.sealed(value, path, self._holder)

    def applicant(self, value: Applicant, path: str) -> Applicant:
        return walk_fields(value, path, self)


_USED = re.compile(rb'"key":"([^"\\]+)","box":"')
_NAMED = re.compile(rb'"subject":"([0-9a-f-]{36})"')


def keys_in(state: bytes) -> list[str]:
    """Return the keys that a stored event is sealed with. Within a text no quotation mark stands without a backslash."""
    return [found.decode() for found in _USED.findall(state)]


def is_of_informant(state: bytes) -> bool:
    """Tell whether a stored event says that its record is an informant's."""
    return b'"confidentiality":"informant"' in state


def subjects_in(state: bytes) -> list[str]:
    """Return the subjects that a stored event is about."""
    return [found.decode() for found in _NAMED.findall(state)]


def bound_to(stream: str, path: str) -> bytes:
    """Return what a box is bound to, so that it opens as this field of this case and as no other."""
    return f"{stream}\n{path}".encode()


def sealed_path(sealed: Sealed) -> str:
    """Return the path of the field that a box says it was sealed as; opening proves it. Raises WrongKey for none."""
    path, _, _ = sealed.box.rpartition(":")
    if not _PATH.fullmatch(path):
        raise WrongKey
    return path


def opened(sealed: Sealed, stream: str, data: bytes) -> str:
    """Return the text of a field sealed in a stream, given its key. Raises WrongKey where anything was changed."""
    path, box = sealed_path(sealed), sealed.box.rpartition(":")[2]
    try:
        held = base64.urlsafe_b64decode(box + "=" * (-len(box) % 4))
        return AESGCM(data).decrypt(held[:12], held[12:], bound_to(stream, path)).decode()
    except (InvalidTag, ValueError) as error:
        raise WrongKey(path) from error
