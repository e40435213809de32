// Verifies signatures over policies with Node's crypto, which shares no code with ours.
// Input: {"key": SPKI PEM, "cases": [{"policy": base64, "signature": base64, "hash": "sha1"|"sha256"}]}.
import { createVerify } from "node:crypto";
import { readFileSync } from "node:fs";

const input = JSON.parse(readFileSync(0, "utf8"));
const out = input.cases.map((c) =>
  createVerify(c.hash).update(Buffer.from(c.policy, "base64")).verify(input.key, Buffer.from(c.signature, "base64")),
);
process.stdout.write(JSON.stringify(out));
