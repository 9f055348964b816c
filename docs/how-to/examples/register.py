"""Register at a relay and leave: the first message of a client, and the bytes that it is."""

import asyncio
import hashlib
import json
import os
import ssl
import sys
from pathlib import Path

from aioquic.asyncio import connect
from aioquic.quic.configuration import QuicConfiguration
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

IDLE, PATIENCE = 30.0, 10.0  # seconds
LARGEST_DATAGRAM, NORMAL = 65535, 0


def key_of(seed):
    derived = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"warzone-ed25519").derive(seed)
    return Ed25519PrivateKey.from_private_bytes(derived)


def fingerprint(public):
    digits = hashlib.sha256(public).hexdigest()[:32]
    return ":".join(digits[at : at + 4] for at in range(0, 32, 4))


def frame(message):
    payload = json.dumps(message, separators=(",", ":")).encode()
    return len(payload).to_bytes(4, "big") + payload


def registration(key):
    public = key.public_key().public_bytes_raw()
    signature = key.sign(b"register-presence" + public)
    return {"RegisterPresence": {"identity_pub": list(public), "signature": list(signature), "alias": None}}


def keys():
    return Path(os.environ["SSLKEYLOGFILE"]).open("a") if "SSLKEYLOGFILE" in os.environ else None


async def heard(reader, writer):
    length = int.from_bytes(await reader.readexactly(4))
    payload = await reader.readexactly(length)
    writer.write_eof()  # TRANS-11
    print("heard", payload.decode())
    answered.set()


async def main(relay, seed):
    host, _, port = relay.rpartition(":")
    key = key_of(seed)
    said = frame(registration(key))
    settings = QuicConfiguration(
        is_client=True,
        alpn_protocols=["wzp"],
        server_name="_signal",
        idle_timeout=IDLE,
        max_datagram_frame_size=LARGEST_DATAGRAM,
        verify_mode=ssl.CERT_NONE,
        secrets_log_file=keys(),
    )
    async with connect(host, int(port), configuration=settings, stream_handler=coming) as connection:
        _, writer = await connection.create_stream()
        writer.write(said)
        writer.write_eof()
        print("I am ", fingerprint(key.public_key().public_bytes_raw()))
        print("said ", said[:32].hex(" ", 4), "…", len(said), "bytes in all")
        await asyncio.wait_for(answered.wait(), PATIENCE)
        connection.close(NORMAL)


def coming(reader, writer):
    tasks.append(asyncio.ensure_future(heard(reader, writer)))


tasks, answered = [], asyncio.Event()
asyncio.run(main(sys.argv[1], bytes.fromhex(sys.argv[2])))
