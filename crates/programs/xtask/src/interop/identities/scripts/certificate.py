"""Prints as JSON what the certificate of a bundle, or of a signed commit, says of its holder.

python certificate.py FILE: a Sigstore bundle, or PEM of a CMS message.
"""

import base64
import json
import sys

from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7

text = open(sys.argv[1], "rb").read()
if text.lstrip().startswith(b"{"):
    material = json.loads(text)["verificationMaterial"]
    chain = material.get("x509CertificateChain", {}).get("certificates", [])
    raw = material.get("certificate", chain[0] if chain else None)["rawBytes"]
    leaf = x509.load_der_x509_certificate(base64.b64decode(raw))
else:
    pem = text.replace(b"SIGNED MESSAGE", b"PKCS7")
    leaf = pkcs7.load_pem_pkcs7_certificates(pem)[0]

ARC = "1.3.6.1.4.1.57264.1."


def value(der):
    """.1 to .6 are text, the others a DER UTF8String of at most 64 KiB."""
    if der[:1] != b"\x0c":
        return der.decode()
    length_bytes = der[1] & 0x7F if der[1] & 0x80 else 0
    return der[2 + length_bytes :].decode()


extensions = {}
for extension in leaf.extensions:
    name = extension.oid.dotted_string
    if name.startswith(ARC):
        extensions[name.removeprefix(ARC)] = value(extension.value.value)

names = []
for name in leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value:
    names.append(value(name.value) if isinstance(name, x509.OtherName) else name.value)

print(json.dumps({"names": names, "extensions": extensions}))
