"""Tokens: of whose issuer, by which key, at which instant; and what the command line says about them."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from api.problems import TokenMissing, TokenUnfit
from api.tokens import Issuer, Verifier, mint, public_keys
from domain.refusals import Refusal
from scripts import wiring
from scripts.huiyin import huiyin

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CLAIMS = {"iss": "city", "aud": "huiyin", "sub": "wang", "roles": ["agent@HOTLINE"], "cities": ["c"]}


def said(verifier: Verifier, token: str) -> Any:
    return asyncio.run(verifier.claims(f"Bearer {token}"))


def signed(key: Any, algorithm: str, kid: str = "k", **claims: Any) -> str:
    whole = {**CLAIMS, "exp": int((NOW + timedelta(hours=1)).timestamp()), **claims}
    return jwt.encode(whole, key, algorithm=algorithm, headers={"kid": kid})


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256"])
def test_the_tokens_of_a_citys_own_sign_on_are_taken(algorithm: str):
    if algorithm == "ES256":
        key = ec.generate_private_key(ec.SECP256R1())
        public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        key = rsa.generate_private_key(65537, 2048)
        public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    keys = {"keys": [{**public, "kid": "k", "alg": algorithm}]}
    verifier = Verifier(Issuer("city", lambda: keys), lambda: NOW)
    assert said(verifier, signed(key, algorithm)).sub == "wang"
    for token in (
        signed(key, algorithm, iss="elsewhere"),
        signed(key, algorithm, aud="elsewhere"),
        signed(key, algorithm, kid="other"),
        signed(key, algorithm, exp=int((NOW - timedelta(minutes=1)).timestamp())),
        signed(key, algorithm, nbf=int((NOW + timedelta(minutes=5)).timestamp())),
        signed(key, algorithm, roles="agent@HOTLINE"),
        signed(key, algorithm, sub=3),
    ):
        with pytest.raises(TokenUnfit):
            said(verifier, token)


def test_a_public_key_is_no_shared_secret():
    key = rsa.generate_private_key(65537, 2048)
    public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    verifier = Verifier(Issuer("city", lambda: {"keys": [{**public, "kid": "k", "alg": "RS256"}]}), lambda: NOW)
    parts = [{"alg": "HS256", "typ": "JWT", "kid": "k"}, {**CLAIMS, "exp": 2_000_000_000}]
    unsigned = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    mac = base64.urlsafe_b64encode(hmac.digest(pem, unsigned, "sha256")).rstrip(b"=")
    forged = (unsigned + b"." + mac).decode()
    with pytest.raises(TokenUnfit):
        said(verifier, forged)


def test_a_token_ends_when_its_time_is_over_also_where_it_was_seen_before():
    key, times = Ed25519PrivateKey.generate(), [NOW]
    verifier = Verifier(Issuer("local", lambda: public_keys(key)), lambda: times[-1])
    token = mint(key, issuer="local", now=NOW, lasting=timedelta(minutes=5), user="wang", roles=["agent@HOTLINE"])
    assert said(verifier, token).roles == ("agent@HOTLINE",)
    times.append(NOW + timedelta(minutes=6))
    with pytest.raises(TokenUnfit):
        said(verifier, token)


def test_a_new_key_of_the_issuer_is_found_and_one_that_is_away_is_not_asked_every_time():
    old, new, asked, times = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate(), [], [NOW]
    keys = [public_keys(old)]

    def ask() -> Any:
        asked.append(1)
        return keys[-1]

    verifier = Verifier(Issuer("local", ask), lambda: times[-1])

    def by(key: Ed25519PrivateKey) -> str:
        return mint(key, issuer="local", now=NOW, lasting=timedelta(hours=1), user="wang", roles=["agent"])

    said(verifier, by(old))
    for _ in range(5):
        with pytest.raises(TokenUnfit):
            said(verifier, by(new))
    assert len(asked) == 1
    keys.append(public_keys(new))
    times.append(NOW + timedelta(minutes=2))
    assert said(verifier, by(new)).sub == "wang"


@pytest.mark.parametrize("header", [None, "", "Basic YTpi", "Bearer", "Bearer  "])
def test_without_a_bearer_token_nobody_asks(header: str | None):
    verifier = Verifier(Issuer("local", lambda: {"keys": []}), lambda: NOW)
    with pytest.raises(TokenMissing):
        asyncio.run(verifier.claims(header))


def test_an_issuer_that_cannot_be_reached_refuses_and_breaks_nothing():
    def away() -> Any:
        raise OSError("no route")

    key = Ed25519PrivateKey.generate()
    token = mint(key, issuer="local", now=NOW, lasting=timedelta(hours=1), user="w", roles=["agent"])
    with pytest.raises(Refusal):
        said(Verifier(Issuer("local", away), lambda: NOW), token)


# --- at the command line -----------------------------------------------------------------------------------------


def test_settings_say_whose_tokens_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HUIYIN_HOME", str(tmp_path))
    assert wiring.issuer().name == wiring.LOCAL_ISSUER
    assert (tmp_path / "keys" / "issuer.key").stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("HUIYIN_ISSUER", "https://sign-on.example")
    with pytest.raises(wiring.SettingError):
        wiring.issuer()
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps(public_keys(Ed25519PrivateKey.generate())))
    monkeypatch.setenv("HUIYIN_JWKS", str(keys))
    assert wiring.issuer().keys()["keys"]
    told = CliRunner().invoke(huiyin, ["token", "wang/agent@HOTLINE"])
    assert isinstance(told.exception, wiring.SettingError)


def test_a_service_without_a_city_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served: Any):
    monkeypatch.setenv("HUIYIN_HOME", str(tmp_path))
    told = CliRunner().invoke(huiyin, ["serve", "--city", "nowhere"])
    assert isinstance(told.exception, wiring.SettingError)
    assert "nowhere" in str(told.exception)
