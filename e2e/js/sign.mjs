// Signs what it is told on standard input with AWS's own JavaScript signer and prints one JSON answer.
// Input: {"key": PEM, "keyPairId": id, "cases": [{"kind": "url"|"cookies", "url", "policy", "dateLessThan",
// "dateGreaterThan", "ipAddress", "algorithm"}]}.
import { getSignedUrl, getSignedCookies } from "@aws-sdk/cloudfront-signer";
import { readFileSync } from "node:fs";

const input = JSON.parse(readFileSync(0, "utf8"));
const out = input.cases.map(({ kind, ...c }) => {
  const args = { ...c, keyPairId: input.keyPairId, privateKey: input.key };
  return kind === "cookies" ? getSignedCookies(args) : getSignedUrl(args);
});
process.stdout.write(JSON.stringify(out));
