// A whole program that receives Jobhook's webhooks, to copy and to go on from:
//
//   npm install standardwebhooks@1.1.1
//   WEBHOOK_SECRET=whsec_... node receiver.mjs
//
// WEBHOOK_SECRET is the endpoint's secret ("whsec_...") or its public key
// ("whpk_..."); two of them, with a space between, while you change them. PORT
// is 3000 unless you say otherwise; 0 takes a free one.

import { createPublicKey, verify } from "node:crypto";
import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";

const maxBody = 1 << 20;
const maxQueued = 1000;
const tolerance = 5 * 60; // seconds
const timeout = 10_000; // milliseconds to read a request

// snippet begin

// newKey reads an endpoint's secret (HMAC) or its public key (ed25519).
const newKey = (s) => (s.startsWith("whpk_") ? new PublicKey(s) : new Webhook(s));

// verified tells whether one of the keys signed the webhook, no more than five
// minutes ago. The body is what came, a Buffer, and not yet parsed.
function verified(keys, headers, body) {
  return keys.some((key) => {
    try {
      key.verify(body, headers, { jsonParse: false }); // some formats are no JSON
      return true;
    } catch {
      return false;
    }
  });
}

// snippet end

// PublicKey verifies ed25519 signatures (v1a), which the library passes over.
class PublicKey {
  #key;

  constructor(s) {
    const x = Buffer.from(s.slice("whpk_".length), "base64").toString("base64url");
    this.#key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  }

  // verify does what the library's does for a secret.
  verify(body, headers) {
    const id = headers["webhook-id"], timestamp = headers["webhook-timestamp"] ?? "";
    if (!/^\d+$/.test(timestamp) || Math.abs(Date.now() / 1000 - Number(timestamp)) > tolerance) {
      throw new Error("webhook-timestamp is missing or too far from now");
    }
    const content = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body]);
    const signatures = (headers["webhook-signature"] ?? "").split(" ").map((s) => s.split(","));
    const matches = ([version, signature = ""]) =>
      version === "v1a" && verify(null, content, this.#key, Buffer.from(signature, "base64"));
    if (!signatures.some(matches)) throw new Error("no signature matches");
  }
}

// newKeys reads one key or more; its errors do not show them.
function newKeys(list) {
  const keys = list.split(" ").filter(Boolean).map((s, i) => {
    try {
      if (/^(whsec_.{32}|whpk_)/.test(s)) return newKey(s); // a secret has at least 24 bytes
    } catch {}
    throw new Error(`key ${i + 1} is neither whsec_ and a secret nor whpk_ and a public key`);
  });
  if (keys.length === 0) throw new Error("set it to the endpoint's secret (whsec_...) or public key (whpk_...)");
  return keys;
}

// What was here before, by webhook-id, and how many wait for the work. Here both
// lie in memory, grow, and end with the program. Their real place is a table of
// your database with the id as primary key, into which you write id and body
// before you answer, and from which the work reads.
const seen = new Set();
let queued = 0;

// take drops what it has had and leaves the rest for the work. It returns false
// when there is no room; the webhook is then not seen yet.
function take(id, body) {
  if (seen.has(id)) return true;
  if (queued === maxQueued) return false;
  seen.add(id);
  queued++;
  setImmediate(() => {
    queued--;
    console.log(`handled ${id} ${body}`); // your work goes here
  });
  return true;
}

// answer comes before the work begins: what takes longer than the endpoint's
// timeout counts as failed and comes again.
function answer(keys, headers, body) {
  if (!verified(keys, headers, body)) return 401;
  if (!take(headers["webhook-id"], body)) return 503; // it comes again later
  return 204;
}

function receive(keys, req, res) {
  if (req.method !== "POST") return res.writeHead(405).end();
  const parts = [];
  let size = 0;
  req.on("data", (part) => {
    size += part.length;
    if (size <= maxBody) parts.push(part);
  });
  req.on("end", () => {
    res.writeHead(size > maxBody ? 413 : answer(keys, req.headers, Buffer.concat(parts))).end();
  });
}

function main() {
  let keys;
  try {
    keys = newKeys(process.env.WEBHOOK_SECRET ?? "");
  } catch (err) {
    console.error(`WEBHOOK_SECRET: ${err.message}`);
    process.exit(1);
  }
  const server = createServer({ requestTimeout: timeout }, (req, res) => receive(keys, req, res));
  server.listen(Number(process.env.PORT || 3000), "127.0.0.1", () => {
    const { address, port } = server.address();
    console.log(`listening on ${address}:${port}`);
  });
}

main();
