"""Speaks Maru's protocol over QUIC with another implementation (aioquic), from nothing but docs/protocol.md.

    python aioquic_client.py http://127.0.0.1:8080

Two people sign up; each says Hello, one sends, the other receives, and a page of history comes on a stream of its own.
Ends with 0 and one line of JSON when all of it is as the page says.
"""

import asyncio
import hashlib
import json
import secrets
import ssl
import struct
import sys
import urllib.request

from aioquic.asyncio import connect
from aioquic.quic.configuration import QuicConfiguration
from cryptography.hazmat.primitives.serialization import Encoding

SEND_TEXT, HELLO, WELCOME, SEND_ACK, GET_HISTORY, HISTORY_PAGE = 0x0101, 0x0201, 0x0202, 0x0301, 0x0304, 0x0305
PATIENCE = 20


def post(base, path, body=None, token=None):
    request = urllib.request.Request(base + path, method="GET" if body is None else "POST")
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", "Bearer " + token)
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(request, data, PATIENCE) as answer:
        return json.load(answer)


def string(text, root_before):
    """Section 2: what stands outside the root, and the field inside it that begins `root_before` bytes into the root."""
    data = text.encode()
    if len(data) <= 8:
        return b"", data + b"\xff" * (8 - len(data))
    marked = (len(data) & 0x3F) | 0x80 | ((len(data) & ~0x3F) << 2)
    return data, struct.pack("<Ii", marked, -(len(data) + root_before))


def frame(kind, ident, body):
    return struct.pack("<IHBBQ", len(body), kind, 1, 0, ident) + body


def hello(ident, token):
    outside, field = string(token, 16)
    return frame(HELLO, ident, outside + struct.pack("<QQ", 0, 0) + field)


def send_text(ident, channel, text):
    outside, field = string(text, 16)
    return frame(SEND_TEXT, ident, outside + channel.to_bytes(16, "little") + field)


def get_history(ident, channel):
    return frame(GET_HISTORY, ident, channel.to_bytes(16, "little") + struct.pack("<QQI?", 0, 2**53 - 1, 10, True))


async def next_frame(reader):
    head = await reader.readexactly(16)
    length, kind, _, flags, ident = struct.unpack("<IHBBQ", head)
    body = await reader.readexactly(length)
    stamp = None
    if flags & 1:
        stamp, body = struct.unpack("<QQQ", body[:24]), body[24:]
    return kind, ident, stamp, body


async def until(reader, kind, ident=None):
    while True:
        got = await next_frame(reader)
        if got[0] == kind and ident in (None, got[1]):
            return got


class Person:
    def __init__(self, base, name):
        password = secrets.token_hex(16)
        post(base, "/v1/signup", {"name": name, "password": password})
        login = post(base, "/v1/login", {"name": name, "password": password})
        self.user, self.token = int(login["user"]), login["token"]
        self.quic = post(base, "/v1/route", token=self.token)["quic"]
        self.pages = asyncio.Queue()

    def connect(self):
        host, port = self.quic["address"].rsplit(":", 1)
        # The certificate is known by its fingerprint, checked below.
        settings = QuicConfiguration(is_client=True, alpn_protocols=["maru/1"], verify_mode=ssl.CERT_NONE)
        take = lambda reader, writer: self.pages.put_nowait(reader)
        return connect(host, int(port), configuration=settings, stream_handler=take)

    async def greet(self, protocol):
        found = protocol._quic.tls._peer_certificate.public_bytes(Encoding.DER)
        assert hashlib.sha256(found).hexdigest() == self.quic["fingerprint"], "another certificate than route says"
        self.reader, self.writer = await protocol.create_stream()
        self.writer.write(hello(1, self.token))
        assert (await next_frame(self.reader))[:2] == (WELCOME, 1)


async def main(base):
    tag = secrets.token_hex(4)
    ann, bob = Person(base, "ann" + tag), Person(base, "bob" + tag)
    channel = min(ann.user, bob.user) << 64 | max(ann.user, bob.user)
    text = "hello from aioquic: 안녕"
    async with ann.connect() as at_ann, bob.connect() as at_bob:
        await ann.greet(at_ann)
        await bob.greet(at_bob)
        send_id = secrets.randbits(63) | 1
        ann.writer.write(send_text(send_id, channel, text))
        ack = await until(ann.reader, SEND_ACK, send_id)
        assert struct.unpack("<Q", ack[3][16:24]) == (1,), "the first message of the channel"
        _, ident, stamp, body = await until(bob.reader, SEND_TEXT)
        assert (ident, stamp[0], stamp[2]) == (send_id, 1, ann.user)
        assert body == send_text(send_id, channel, text)[16:], "the sender's body, untouched"
        bob.writer.write(get_history(2, channel))
        page = await bob.pages.get()
        kind, ident, _, head = await next_frame(page)
        assert (kind, ident, struct.unpack("<I", head[40:44])) == (HISTORY_PAGE, 2, (1,))
        assert (await next_frame(page))[3] == body
        assert await page.read() == b"", "the page ends its stream"
    print(json.dumps({"interop": "aioquic", "ok": True}))


asyncio.run(asyncio.wait_for(main(sys.argv[1].rstrip("/")), PATIENCE))
