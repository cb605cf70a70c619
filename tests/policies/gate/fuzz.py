"""What strangers may send to the hot doors: requests over the WSGI handler that serves them, made from one seed."""

from __future__ import annotations

import gzip
import io
import json
import random
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from policies.uponai import signature

Application = Callable[[dict[str, Any], Callable[..., Any]], Any]

DEEP = 10_000
TEN_MEGABYTES = b'{"event":"call_inbound","x":"' + b"x" * 10_000_000 + b'"}'
BOMB = gzip.compress(b'{"from_number":"' + b"0" * 10_000_000 + b'"}', 9)

# As they stand in JSON: what a field may hold that none should.
VALUES = [
    *("null", "true", "false", "0", "-1", "7", "14155550142", "1e400", "-1e400", "NaN", "Infinity", "1e-400"),
    *("123456789012345678901234567890", "0.1", '""', '" "', '"\\u0000"', '"\\ud800"', '"\\udc00x"', '"\\u202e+1"'),
    *('"+5351234567"', '"+14155550142"', '"+447400123456"', '"+1 415 555 0142;ext=7"', '"sip:+1@[::1]"', '"911"'),
    *(f'"{"9" * 250}"', f'"+{"1" * 250}"', f'"{"é" * 250}"', '"١٢٣"', '"anonymous"', '"<script>"', '"%00"', '"../.."'),
    *("[]", "{}", "[[]]", '{"a":{"b":[1,{"c":null}]}}', '["+14155550142"]', "[" * 60 + "]" * 60),
    *("[" * 900 + "]" * 900, '{"a":' * 900 + "1" + "}" * 900, "[" * DEEP + "]" * DEEP, '"' + "x" * 70_000 + '"'),
]
FIELDS = [
    *("event", "call_inbound", "chat_inbound", "call", "chat", "from_number", "to_number", "call_id", "chat_id"),
    *("agent_id", "override_agent_id", "agent_override", "metadata", "content", "idempotency_key", "recaptcha_token"),
    *("direction", "channel", "ip", "public_key", "origin", "subject", "captcha", "call_reference", "attempts"),
    *("decision_id", "outcome", "retell_llm_dynamic_variables", "custom_sip_headers", "call_status", "start_timestamp"),
    *(
        "end_timestamp",
        "duration_ms",
        "disconnection_reason",
        "call_cost",
        "call_type",
        "é",
        "\\u0000",
        "__proto__",
        "",
    ),
]
HEADER_VALUES = [
    *(
        "",
        " ",
        "x",
        "null",
        "é",
        "\x7f",
        "0",
        "-1",
        "a" * 9000,
        "1,2,3",
        "\xff\xfe",
        "%00",
        "🙂".encode().decode("latin-1"),
    ),
    *("203.0.113.7", "::1", "[::1]:80", "fe80::1%eth0", "::ffff:203.0.113.7", "999.1.1.1", "unknown, 10.0.0.1, ,"),
    *(
        "https://www.example.com",
        "https://www.example.com.evil.com",
        "http://[",
        "https://xn--",
        "file://",
        "https://a\xff",
    ),
    *("Bearer", "Bearer ", "Bearer pk_", "Bearer fc_\xff", "Basic eDp5", "bearer bearer", "v=1,d=2", "v=,d="),
]
HEADERS = [
    *("Origin", "Authorization", "X-Captcha-Token", "Idempotency-Key", "X-End-User-Id", "X-End-User-IP"),
    *("X-End-User-Token", "X-Forwarded-For", "Forwarded", "X-Real-IP", "Host", "Accept", "Cookie", "Referer"),
    *("X-UponAI-Signature", "X-Retell-Signature", "Access-Control-Request-Headers", "Content-Encoding", "Expect"),
]
CONTENT_TYPES = [
    *("application/json", "application/json; charset=utf-16", "application/json; charset=nonsense", "text/plain", ""),
    *("multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "é", "application/json; charset=é"),
]
LENGTHS = ["-1", "abc", "0", "1", "7", "1e3", "٣", "9" * 30, "0x10", " 5", "1,2", ""]
METHODS = ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "BREW", "post", ""]


@dataclass(slots=True)
class Request:
    path: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "POST"
    content_type: str = "application/json"
    length: str | None = None  # None: as it is


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


def send(application: Application, request: Request) -> Answer:
    """What a server would hand to the application for this request, and what comes back."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": request.path,
        "QUERY_STRING": "",
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "203.0.113.7",
        "CONTENT_TYPE": request.content_type,
        "CONTENT_LENGTH": str(len(request.body)) if request.length is None else request.length,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in request.headers.items()}
    started: list[Any] = []
    chunks = application(environ, lambda status, headers, *trouble: started.append((status, headers)))
    try:
        body = b"".join(chunks)
    finally:
        chunks.close()
    status, headers = started[-1]
    return Answer(int(status.split()[0]), dict(headers), body)


class Maker:
    """Requests by chance; the same seed makes the same ones."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def body(self, base: Mapping[str, Any]) -> bytes:
        """Something like `base`, or nothing like it."""
        draw = self.chance.random()
        if draw < 0.70:
            return self._mutated(base)
        if draw < 0.75:
            return self.chance.choice((b"[%s]", b'{"attempts":[%s]}', b"\xef\xbb\xbf%s", b"%s x}")) % (
                self._mutated(base)
            )
        if draw < 0.80:
            return (
                self._mutated(base).decode("utf-8", "replace").encode(self.chance.choice(("utf-16", "utf-7", "utf-32")))
            )
        if draw < 0.85:
            whole = self._mutated(base)
            return whole[: self.chance.randrange(len(whole) + 1)]
        if draw < 0.90:
            return self.chance.randbytes(self.chance.randrange(300)) + b"}"
        if draw < 0.99:
            return self.chance.choice(VALUES).encode()
        return self.chance.choice((TEN_MEGABYTES, BOMB, b"", b"}", b"{" * DEEP + b"}"))

    def _mutated(self, base: Mapping[str, Any]) -> bytes:
        fields = [(json.dumps(name), json.dumps(value), value) for name, value in base.items()]
        for _ in range(self.chance.choice((0, 1, 1, 1, 2, 3, 8))):
            strange = self.chance.choice(VALUES)
            if fields and self.chance.random() < 0.7:
                at = self.chance.randrange(len(fields))
                name, _old, inner = fields[at]
                if isinstance(inner, dict) and inner and self.chance.random() < 0.8:
                    strange = self._mutated(inner).decode()
                fields[at] = (name, strange, None)
            else:
                fields.append((f'"{self.chance.choice(FIELDS)}"', strange, None))
        if fields and self.chance.random() < 0.1:
            fields += self.chance.choices(fields, k=2)  # the same name twice
        return ("{" + ",".join(f"{name}:{text}" for name, text, _inner in fields) + "}").encode()

    def spoiled(self, request: Request) -> Request:
        """The same with a few things wrong around the body."""
        for _ in range(self.chance.choice((0, 0, 0, 1, 1, 2))):
            request.headers[self.chance.choice(HEADERS)] = self.chance.choice(HEADER_VALUES)
        if self.chance.random() < 0.1:
            request.content_type = self.chance.choice(CONTENT_TYPES)
        if self.chance.random() < 0.05:
            request.length = self.chance.choice((*LENGTHS, str(len(request.body) + 5), str(len(request.body) // 2)))
        if self.chance.random() < 0.05:
            request.method = self.chance.choice(METHODS)
        if self.chance.random() < 0.02:
            request.path += self.chance.choice(("/", "%00", "\x00", "/../x", "é", "//", "?a=b", "\xff"))
        return request

    def signature(self, body: bytes, key: str) -> dict[str, str]:
        now_ms = time.time_ns() // 1_000_000
        return {"X-UponAI-Signature": signature.sign(body=body, secret=key, now_ms=now_ms)}

    def wrong_signature(self, body: bytes, key: str) -> dict[str, str]:
        now_ms = time.time_ns() // 1_000_000
        good = signature.sign(body=body, secret=key, now_ms=now_ms)
        return self.chance.choice(
            [
                {},
                {"X-UponAI-Signature": good[:-1] + ("0" if good[-1] != "0" else "1")},
                {"X-UponAI-Signature": signature.sign(body=body, secret="key_of_somebody", now_ms=now_ms)},
                {"X-UponAI-Signature": signature.sign(body=body, secret=key, now_ms=now_ms - 301_000)},
                {"X-UponAI-Signature": signature.sign(body=body + b" }", secret=key, now_ms=now_ms)},
                {"X-UponAI-Signature": good, "X-Retell-Signature": good[:-1] + "x"},
                {"X-UponAI-Signature": self.chance.choice(HEADER_VALUES)},
            ]
        )
