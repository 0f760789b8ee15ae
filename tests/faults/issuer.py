"""An issuer of access tokens: keys, the tokens that they sign, forgeries, and a server of the keys."""

import base64
import hashlib
import hmac
import json
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.lab.webserver import WebServer

ISSUER, AUDIENCE = "https://sso.example.org", "hpc-aggregator"


class SigningKey:
    """A key of its own id; RSA by default."""

    def __init__(self, key_id: str, algorithm: str = "RS256") -> None:
        self.key_id, self.algorithm = key_id, algorithm
        self.private: Any = (
            ec.generate_private_key(ec.SECP256R1())
            if algorithm == "ES256"
            else rsa.generate_private_key(public_exponent=65537, key_size=2048)
        )

    @property
    def public_pem(self) -> bytes:
        pem: bytes = self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return pem

    def listed(self) -> dict[str, Any]:
        """Give the public key as it stands in a JWKS."""
        write: Any = ECAlgorithm.to_jwk if self.algorithm == "ES256" else RSAAlgorithm.to_jwk
        return {**write(self.private.public_key(), as_dict=True), "kid": self.key_id, "use": "sig"}

    def token(self, /, headers: dict[str, Any] | None = None, **changes: Any) -> str:
        """Sign a token of ann, with other claims or headers; a claim of None is left out."""
        text: str = jwt.encode(
            claims(**changes), self.private, self.algorithm, headers={"kid": self.key_id, **(headers or {})}
        )
        return text


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    whole = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "iat": now, "nbf": now, "exp": now + 600, **changes}
    return {name: value for name, value in whole.items() if value is not None}


def forged(headers: dict[str, Any], body: dict[str, Any], secret: bytes = b"") -> str:
    """Make a token by hand, signed by HMAC-SHA-256 with a secret, or not at all."""
    signed = ".".join(_encoded(json.dumps(part).encode()) for part in (headers, body))
    return f"{signed}.{_encoded(hmac.digest(secret, signed.encode(), hashlib.sha256)) if secret else ''}"


def _encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def key_set(*keys: SigningKey) -> str:
    return json.dumps({"keys": [key.listed() for key in keys]})


def replace_file(file: Path, text: str) -> None:
    """Put the whole new file in the place of the old one."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


class _Handler(BaseHTTPRequestHandler):
    owner: "KeyServer"

    def do_GET(self) -> None:
        self.owner.asked += 1
        body = self.owner.keys.encode()
        self.send_response(self.owner.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class KeyServer(WebServer):
    """Serves the keys, which may change, or an error, and counts how often it was asked."""

    def __init__(self, keys: str) -> None:
        super().__init__(_Handler)
        self.keys = keys
        self.asked = 0
        self.status = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/certs"
