"""Signs what it is told on standard input with botocore's CloudFrontSigner and prints one JSON answer.

Input: {"key": path of a PKCS#1 PEM, "keyPairId": id, "cases": [{"url", "dateLessThan": epoch,
"dateGreaterThan": epoch or null, "ipAddress": text or null, "custom": bool}]}.
"""
import datetime
import json
import sys

import rsa
from botocore.signers import CloudFrontSigner


def main():
    spec = json.load(sys.stdin)
    with open(spec["key"], "rb") as f:
        key = rsa.PrivateKey.load_pkcs1(f.read())
    signer = CloudFrontSigner(spec["keyPairId"], lambda message: rsa.sign(message, key, "SHA-1"))

    def instant(epoch):
        return None if epoch is None else datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc)

    urls = []
    for case in spec["cases"]:
        until = instant(case["dateLessThan"])
        if not case["custom"]:
            urls.append(signer.generate_presigned_url(case["url"], date_less_than=until))
            continue
        policy = signer.build_policy(
            case.get("resource") or case["url"],
            until,
            date_greater_than=instant(case.get("dateGreaterThan")),
            ip_address=case.get("ipAddress"),
        )
        urls.append(signer.generate_presigned_url(case["url"], policy=policy))
    json.dump(urls, sys.stdout)


main()
