"""`python -m fraudconsole.bench.verifier PORT`: plays the captcha's verifier, in a process of its own.

A token that begins with `hangs` gets no answer, one that begins with `robot` is refused, any other is a person's.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime
from urllib.parse import parse_qs

HOST = "www.example.com"
ORIGIN = f"https://{HOST}"
"""Of the web page that the tokens are from."""
HANGING, ROBOT = "hangs", "robot"
SCORE = 0.9
REFUSED = {"success": False, "error-codes": ["invalid-input-response"]}
LONGEST_HANG_SECONDS = 60.0


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            form = parse_qs((await reader.readexactly(_length(head))).decode())
            token = form.get("response", [""])[0]
            if token.startswith(HANGING):
                await asyncio.sleep(LONGEST_HANG_SECONDS)
                return
            body = json.dumps(REFUSED if token.startswith(ROBOT) else _solved()).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
            writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
            await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass  # whoever asked has given up
    finally:
        writer.close()


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _solved() -> dict[str, object]:
    return {
        "success": True,
        "score": SCORE,
        "action": "call",
        "hostname": HOST,
        "challenge_ts": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


async def main(port: int) -> None:
    server = await asyncio.start_server(answer, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
