"""Bearer tokens: what an issuer says of a caller, and the local issuer of demonstrations and tests.

A token says who somebody is and in which roles they come; whether they hold them is asked of the registry
(`api.access`). Times are judged by the clock handed down.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from api.problems import TokenMissing, TokenUnfit

ALGORITHMS = ("EdDSA", "ES256", "ES384", "RS256", "PS256")
"""Signatures by private keys only: a shared secret would let every verifier issue."""

AUDIENCE = "huiyin"
LEEWAY = timedelta(seconds=30)
LONGEST = 8192
"""The most characters that a token may have."""

_REMEMBERED = 4096


class Claims(msgspec.Struct, frozen=True):
    """What a token says: `roles` as `role@unit`, `cities` it is for, `orders` that a citizen may touch."""

    sub: str
    exp: float
    roles: tuple[str, ...] = ()
    cities: tuple[str, ...] = ()
    orders: tuple[str, ...] = ()
    scope: str = ""
    nbf: float = 0

    def may(self, scope: str) -> bool:
        """Tell whether the token has a scope."""
        return scope in self.scope.split()


Jwks = Mapping[str, Any]
"""A JSON Web Key Set, as its JSON has it."""


class Issuer(msgspec.Struct, frozen=True):
    """Whose tokens are taken: the issuer's name, and how its public keys are had (may wait, may raise OSError)."""

    name: str
    keys: Callable[[], Jwks]
    audience: str = AUDIENCE


class Verifier:
    """Reads tokens of one issuer. Keys are asked for again when a token names one that is not known, at most each minute."""

    def __init__(self, issuer: Issuer, now: Callable[[], datetime]) -> None:
        self._issuer = issuer
        self._now = now
        self._keys: dict[str, jwt.PyJWK] = {}
        self._asked_at: datetime | None = None
        self._seen: OrderedDict[bytes, Claims] = OrderedDict()

    async def claims(self, authorization: str | None) -> Claims:
        """Return what the token of an Authorization header says. Raises TokenMissing and TokenUnfit."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise TokenMissing
        token = token.strip()
        if len(token) > LONGEST:
            raise TokenUnfit
        digest = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        found = self._seen.get(digest)
        if found is None:
            found = await self._verified(token)
            self._seen[digest] = found
            if len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
        self._in_time(found)
        return found

    def _in_time(self, claims: Claims) -> None:
        now = self._now().timestamp()
        if now > claims.exp + LEEWAY.total_seconds() or now < claims.nbf - LEEWAY.total_seconds():
            raise TokenUnfit

    async def _verified(self, token: str) -> Claims:
        try:
            header = jwt.get_unverified_header(token)
            key = await self._key(str(header.get("kid", "")))
            if key is None or header.get("alg") not in ALGORITHMS or key.algorithm_name != header["alg"]:
                raise TokenUnfit
            said = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=self._issuer.audience,
                issuer=self._issuer.name,
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False, "require": ["exp", "sub"]},
            )
            return msgspec.convert(said, Claims)
        except (jwt.PyJWTError, msgspec.ValidationError, ValueError, TypeError) as error:
            raise TokenUnfit from error

    async def _key(self, kid: str) -> jwt.PyJWK | None:
        now = self._now()
        if kid not in self._keys and (self._asked_at is None or now - self._asked_at > timedelta(minutes=1)):
            self._asked_at = now
            try:
                said = await asyncio.to_thread(self._issuer.keys)
                self._keys = {key.key_id or "": key for key in jwt.PyJWKSet.from_dict(dict(said)).keys}
            except (OSError, jwt.PyJWTError, ValueError):
                return self._keys.get(kid)  # the issuer is away: whoever is known is known still
        return self._keys.get(kid)


# --- the local issuer --------------------------------------------------------------------------------------------


def kid_of(key: Ed25519PrivateKey) -> str:
    """Return the name of a key."""
    return hashlib.sha256(key.public_key().public_bytes_raw()).hexdigest()[:16]


def public_keys(key: Ed25519PrivateKey) -> Jwks:
    """Return the key set that holds the public half of a key."""
    said = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {"keys": [{**said, "kid": kid_of(key), "alg": "EdDSA", "use": "sig"}]}


def mint(
    key: Ed25519PrivateKey,
    *,
    issuer: str,
    now: datetime,
    lasting: timedelta,
    user: str,
    roles: Sequence[str],
    cities: Sequence[str] = (),
    orders: Sequence[str] = (),
    scope: str = "",
    audience: str = AUDIENCE,
) -> str:
    """Return a token signed by a key."""
    claims = {
        "iss": issuer,
        "aud": audience,
        "sub": user,
        "iat": int(now.timestamp()),
        "exp": int((now + lasting).timestamp()),
        "roles": list(roles),
        "cities": list(cities),
        "orders": list(orders),
        "scope": scope,
    }
    said = {name: value for name, value in claims.items() if value not in ("", [])}
    return jwt.encode(said, key, algorithm="EdDSA", headers={"kid": kid_of(key)})
