"""A whole program that receives Jobhook's webhooks, to copy and to go on from.

    pip install standardwebhooks==1.1.0 cryptography
    WEBHOOK_SECRET=whsec_... python receiver.py

WEBHOOK_SECRET is the endpoint's secret ("whsec_...") or its public key
("whpk_..."); two of them, with a space between, while you change them. PORT is
3000 unless you say otherwise; 0 takes a free one.
"""

import base64
import os
import queue
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks import Webhook, WebhookVerificationError

MAX_BODY = 1 << 20
MAX_QUEUED = 1000
TOLERANCE = 5 * 60  # seconds
MIN_SECRET = 24  # bytes


# snippet begin

def new_key(s):
    """Reads an endpoint's secret (HMAC) or its public key (ed25519)."""
    return PublicKey(s) if s.startswith("whpk_") else Webhook(s)

def verified(keys, headers, body):
    """Tells whether one of the keys signed the webhook, no more than five minutes
    ago. The body is what came, as bytes, and not yet parsed."""
    for key in keys:
        try:
            key.verify(body, headers, json_parse=False)  # some formats are no JSON
            return True
        except (WebhookVerificationError, ValueError):  # ValueError: a malformed header
            pass
    return False

# snippet end


class PublicKey:
    """Verifies ed25519 signatures (v1a), which the library passes over."""

    def __init__(self, s):
        raw = base64.b64decode(s.removeprefix("whpk_"), validate=True)
        self._key = Ed25519PublicKey.from_public_bytes(raw)

    def verify(self, body, headers, *, json_parse=False):
        """Does what the library's does for a secret."""
        id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if abs(int(time.time()) - int(timestamp)) > TOLERANCE:
            raise WebhookVerificationError("webhook-timestamp is too far from now")
        content = f"{id}.{timestamp}.".encode() + body
        for signature in headers.get("webhook-signature", "").split():
            version, _, encoded = signature.partition(",")
            if version == "v1a" and self._signed(content, base64.b64decode(encoded)):
                return
        raise WebhookVerificationError("no signature matches")

    def _signed(self, content, signature):
        try:
            self._key.verify(signature, content)
            return True
        except InvalidSignature:
            return False


def new_keys(words):
    """Reads one key or more; its errors do not show them."""
    keys = []
    for i, s in enumerate(words.split(), start=1):
        wrong = ValueError(f"key {i} is neither whsec_ and a secret nor whpk_ and a public key")
        if not s.startswith(("whsec_", "whpk_")):
            raise wrong
        try:
            secret = base64.b64decode(s.partition("_")[2], validate=True)
            if len(secret) < MIN_SECRET:
                raise wrong
            keys.append(new_key(s))
        except ValueError:
            raise wrong from None
    if not keys:
        raise ValueError("set it to the endpoint's secret (whsec_...) or public key (whpk_...)")
    return keys


class Inbox:
    """Drops what it has had, by webhook-id, and keeps the rest for the work.

    Here it lies in memory, grows, and ends with the program. Its real place is a
    table of your database with the id as primary key, into which you write id and
    body before you answer, and from which the work reads.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._seen = set()
        self._queue = queue.Queue(MAX_QUEUED)

    def take(self, id, body):
        """Returns False when there is no room; the webhook is then not seen yet."""
        with self._lock:
            if id in self._seen:
                return True
            try:
                self._queue.put_nowait((id, body))
            except queue.Full:
                return False
            self._seen.add(id)
            return True

    def work(self):
        while True:
            id, body = self._queue.get()
            print("handled", id, body.decode(errors="replace"), flush=True)  # your work goes here


class Receiver(BaseHTTPRequestHandler):
    """Answers before the work begins: what takes longer than the endpoint's
    timeout counts as failed and comes again."""

    timeout = 10  # seconds to read a request

    def do_POST(self):
        self.send_response(self.receive())
        self.send_header("content-length", "0")
        self.end_headers()

    def receive(self):
        length = self.headers.get("content-length", "")
        if not length.isdecimal():
            return 411
        if int(length) > MAX_BODY:
            return 413
        body = self.rfile.read(int(length))
        # Each header once: the id that was verified must be the one that is looked up.
        headers = {name.lower(): value for name, value in self.headers.items()}
        if not verified(self.server.keys, headers, body):
            return 401
        if not self.server.inbox.take(headers["webhook-id"], body):
            return 503  # it comes again later
        return 204


class Server(ThreadingHTTPServer):
    request_queue_size = 128  # connections that wait; it would be 5, and the sixth would lose a second


def main():
    try:
        keys = new_keys(os.environ.get("WEBHOOK_SECRET", ""))
    except ValueError as wrong:
        sys.exit(f"WEBHOOK_SECRET: {wrong}")
    server = Server(("127.0.0.1", int(os.environ.get("PORT", "3000"))), Receiver)
    server.keys, server.inbox = keys, Inbox()
    threading.Thread(target=server.inbox.work, daemon=True).start()
    host, port = server.server_address
    print(f"listening on {host}:{port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
