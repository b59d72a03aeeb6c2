"""Makes vectors.json, with OpenSSL through the package cryptography: tokens by another implementation than the one that verifies them.

    python3 vectors.py > vectors.json
"""
import base64, hashlib, hmac, json, os, struct
from cryptography.hazmat.primitives import hashes, padding as sympad
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

CLAIMS = b'{"iss":"https://idp.test","sub":"ada","exp":4102444800}'
HASH = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
CURVES = {"ES256": (ec.SECP256R1(), "P-256", 32), "ES384": (ec.SECP384R1(), "P-384", 48), "ES512": (ec.SECP521R1(), "P-521", 66)}
N256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def b64(b): return base64.urlsafe_b64encode(b).rstrip(b"=").decode()
def num(n, size=None): return b64(n.to_bytes(size or (n.bit_length() + 7) // 8, "big"))
def head(**h): return b64(json.dumps(h, separators=(",", ":")).encode())


def rsa_jwk(k, private=False):
    n = k.private_numbers()
    j = {"kty": "RSA", "n": num(n.public_numbers.n), "e": num(n.public_numbers.e)}
    if private:
        j |= {"d": num(n.d), "p": num(n.p), "q": num(n.q), "dp": num(n.dmp1), "dq": num(n.dmq1), "qi": num(n.iqmp)}
    return j


def ec_jwk(k, crv, size, private=False):
    n = k.private_numbers()
    j = {"kty": "EC", "crv": crv, "x": num(n.public_numbers.x, size), "y": num(n.public_numbers.y, size)}
    return j | ({"d": num(n.private_value, size)} if private else {})


groups = []


def group(comment, key, tests, private=None):
    groups.append({"comment": comment, "key": key, "private": private,
                   "tests": [{"comment": c, "token": t, "result": r} for c, t, r in tests]})


rsa_key, other = rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 2048)
for bits, h in HASH.items():
    for family in ("RS", "PS"):
        alg = family + bits
        text = head(alg=alg) + "." + b64(CLAIMS)
        pad = padding.PKCS1v15() if family == "RS" else padding.PSS(padding.MGF1(h), h.digest_size)
        sig = rsa_key.sign(text.encode(), pad, h)
        tests = [("good", text + "." + b64(sig), "valid"),
                 ("another's signature", text + "." + b64(other.sign(text.encode(), pad, h)), "invalid"),
                 ("a bit changed", text + "." + b64(sig[:-1] + bytes([sig[-1] ^ 1])), "invalid"),
                 ("a byte less", text + "." + b64(sig[:-1]), "invalid"),
                 ("a zero before", text + "." + b64(b"\0" + sig), "invalid"),
                 ("plus the modulus", text + "." + b64((int.from_bytes(sig, "big") + rsa_key.private_numbers().public_numbers.n).to_bytes(257, "big")), "invalid"),
                 ("signature of 0", text + "." + b64(bytes(256)), "invalid"),
                 ("signature of 1", text + "." + b64(bytes(255) + b"\1"), "invalid")]
        wrong = hashes.SHA512() if bits == "256" else hashes.SHA256()
        tests.append(("another hash", text + "." + b64(rsa_key.sign(text.encode(), padding.PKCS1v15() if family == "RS" else padding.PSS(padding.MGF1(wrong), wrong.digest_size), wrong)), "invalid"))
        swapped = padding.PSS(padding.MGF1(h), h.digest_size) if family == "RS" else padding.PKCS1v15()
        tests.append(("the other padding", text + "." + b64(rsa_key.sign(text.encode(), swapped, h)), "invalid"))
        group(alg, rsa_jwk(rsa_key), tests)
        group(alg + ", key for another algorithm", rsa_jwk(rsa_key) | {"alg": "PS512" if alg != "PS512" else "RS256"}, [("refused", tests[0][1], "invalid")])
        group(alg + ", key for encryption", rsa_jwk(rsa_key) | {"use": "enc"}, [("refused", tests[0][1], "invalid")])
        group(alg + ", key for signing alone", rsa_jwk(rsa_key) | {"key_ops": ["sign"]}, [("refused", tests[0][1], "invalid")])

for alg, (curve, crv, size) in CURVES.items():
    key = ec.generate_private_key(curve)
    h = HASH[alg[2:]]
    text = head(alg=alg) + "." + b64(CLAIMS)
    der = key.sign(text.encode(), ec.ECDSA(h))
    r, s = decode_dss_signature(der)
    raw = lambda r, s, n=size: text + "." + b64(r.to_bytes(n, "big") + s.to_bytes(n, "big"))
    tests = [("good", raw(r, s), "valid"), ("DER", text + "." + b64(der), "invalid"), ("swapped", raw(s, r), "invalid"),
             ("r is 0", raw(0, s), "invalid"), ("s is 0", raw(r, 0), "invalid"), ("both are 0", raw(0, 0), "invalid"), ("both are 1", raw(1, 1), "invalid"),
             ("longer numbers", raw(r, s, size + 1), "invalid"), ("a byte less", raw(r, s)[:-2], "invalid")]
    if alg == "ES256":
        tests += [("s negated, which is as good", raw(r, N256 - s), "valid"), ("r is the order", raw(N256, s), "invalid"), ("s is the order", raw(r, N256), "invalid")]
    group(alg, ec_jwk(key, crv, size), tests)
    group(alg + ", key of another curve by its name", ec_jwk(key, "P-384" if crv != "P-384" else "P-256", size), [("refused", raw(r, s), "invalid")])
    group(alg + ", key off its curve", ec_jwk(key, crv, size) | {"y": num(1, size)}, [("refused", raw(r, s), "invalid")])

key = ed25519.Ed25519PrivateKey.generate()
text = head(alg="EdDSA") + "." + b64(CLAIMS)
sig = key.sign(text.encode())
L = 2**252 + 27742317777372353535851937790883648493
more = sig[:32] + (int.from_bytes(sig[32:], "little") + L).to_bytes(32, "little")
group("EdDSA", {"kty": "OKP", "crv": "Ed25519", "x": b64(key.public_key().public_bytes_raw())},
      [("good", text + "." + b64(sig), "valid"), ("s plus the order", text + "." + b64(more), "invalid"), ("zeros", text + "." + b64(bytes(64)), "invalid"),
       ("a byte less", text + "." + b64(sig[:-1]), "invalid"), ("a bit changed", text + "." + b64(bytes([sig[0] ^ 1]) + sig[1:]), "invalid")])

# Encrypted tokens: the inner token is signed with the Ed25519 key.
inner = (text + "." + b64(sig)).encode()
public = groups[-1]["key"]


def seal(cek, enc, header, encrypted_key, plain=inner, spoil=None):
    aad = header.encode()
    if enc.endswith("GCM"):
        iv = os.urandom(12)
        out = AESGCM(cek).encrypt(iv, plain, aad)
        text, tag = out[:-16], out[-16:]
    else:
        half = len(cek) // 2
        iv = os.urandom(16)
        p = sympad.PKCS7(128).padder()
        e = Cipher(algorithms.AES(cek[half:]), modes.CBC(iv)).encryptor()
        text = e.update(p.update(plain) + p.finalize()) + e.finalize()
        name = {32: hashlib.sha256, 48: hashlib.sha384, 64: hashlib.sha512}[len(cek)]
        tag = hmac.new(cek[:half], aad + iv + text + struct.pack(">Q", len(aad) * 8), name).digest()[:half]
    parts = [header, b64(encrypted_key), b64(iv), b64(text), b64(tag)]
    if spoil is not None:
        b = base64.urlsafe_b64decode(parts[spoil] + "==")
        parts[spoil] = b64(bytes([b[0] ^ 1]) + b[1:])
    return ".".join(parts)


SIZES = {"A128GCM": 16, "A192GCM": 24, "A256GCM": 32, "A128CBC-HS256": 32, "A192CBC-HS384": 48, "A256CBC-HS512": 64}


def concat(z, alg, bits):
    n = bits // 8
    out, i = b"", 1
    while len(out) < n:
        out += hashlib.sha256(struct.pack(">I", i) + z + struct.pack(">I", len(alg)) + alg.encode() + struct.pack(">II", 0, 0) + struct.pack(">I", bits)).digest()
        i += 1
    return out[:n]


for alg, h in (("RSA-OAEP", hashes.SHA1()), ("RSA-OAEP-256", hashes.SHA256())):
    tests = []
    for enc, size in SIZES.items():
        cek, header = os.urandom(size), head(alg=alg, enc=enc, cty="JWT")
        wrap = rsa_key.public_key().encrypt(cek, padding.OAEP(padding.MGF1(h), h, None))
        tests.append((enc, seal(cek, enc, header, wrap), "valid"))
        for i, what in enumerate(("key", "nonce", "text", "tag"), 1):
            tests.append((f"{enc}, {what} changed", seal(cek, enc, header, wrap, spoil=i), "invalid"))
        cut = seal(cek, enc, header, wrap).split(".")
        tests.append((enc + ", tag cut", ".".join(cut[:4] + [b64(base64.urlsafe_b64decode(cut[4] + "==")[:8])]), "invalid"))
        tests.append((enc + ", key of a wrong size", seal(cek, enc, header, rsa_key.public_key().encrypt(cek[:-1], padding.OAEP(padding.MGF1(h), h, None))), "invalid"))
    pkcs1 = rsa_key.public_key().encrypt(os.urandom(16), padding.PKCS1v15())
    tests.append(("padding of RSA1_5", seal(os.urandom(16), "A128GCM", head(alg=alg, enc="A128GCM", cty="JWT"), pkcs1), "invalid"))
    group(alg, public, tests, rsa_jwk(rsa_key, True))

key = ec.generate_private_key(ec.SECP256R1())
tests = []
for enc, size in SIZES.items():
    for alg, wrap in (("ECDH-ES", 0), ("ECDH-ES+A128KW", 16), ("ECDH-ES+A192KW", 24), ("ECDH-ES+A256KW", 32)):
        eph = ec.generate_private_key(ec.SECP256R1())
        z = eph.exchange(ec.ECDH(), key.public_key())
        header = head(alg=alg, enc=enc, cty="JWT", epk=ec_jwk(eph, "P-256", 32))
        cek, encrypted = (os.urandom(size), b"") if wrap else (concat(z, enc, size * 8), b"")
        if wrap:
            encrypted = aes_key_wrap(concat(z, alg, wrap * 8), cek)
        tests.append((f"{alg}, {enc}", seal(cek, enc, header, encrypted), "valid"))
        tests.append((f"{alg}, {enc}, tag changed", seal(cek, enc, header, encrypted, spoil=4), "invalid"))
        if wrap:
            tests.append((f"{alg}, {enc}, key changed", seal(cek, enc, header, encrypted, spoil=1), "invalid"))
eph = ec.generate_private_key(ec.SECP384R1())
tests.append(("ephemeral key of another curve", seal(os.urandom(16), "A128GCM", head(alg="ECDH-ES", enc="A128GCM", cty="JWT", epk=ec_jwk(eph, "P-384", 48)), b""), "invalid"))
for what, x, y in (("at the origin", 0, 0), ("off its curve", 5, 7), ("beyond the field", 2**256 - 1, 2**256 - 1)):
    tests.append(("ephemeral key " + what, seal(os.urandom(16), "A128GCM", head(alg="ECDH-ES", enc="A128GCM", cty="JWT", epk={"kty": "EC", "crv": "P-256", "x": num(x, 32), "y": num(y, 32)}), b""), "invalid"))
group("ECDH-ES", public, tests, ec_jwk(key, "P-256", 32, True))
print(json.dumps({"groups": groups}, indent=1))
