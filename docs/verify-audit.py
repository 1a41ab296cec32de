#!/usr/bin/env python3
"""Checks an export of the audit: verify-audit.py [--checkpoints-only] export.jsonl PUBLIC_KEYS [noted.jsonl]

export.jsonl is what `reference-app audit export --entries` writes; without its entries it is checked with
--checkpoints-only. PUBLIC_KEYS is what `reference-app audit keys` prints: id:base64[,id:base64...]. noted.jsonl is an
older export: each of its checkpoints must still be there. Prints one line a finding; ends with 1 if there is any. Needs
nothing but Python 3.8.
"""
import base64
import hashlib
import json
import sys

START = "0" * 64
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
I = pow(2, (P - 1) // 4, P)


# Ed25519 as in RFC 8032, section 6, on extended coordinates.
def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(scalar, p):
    q = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            q = add(q, p)
        p, scalar = add(p, p), scalar >> 1
    return q


def point(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if y >= P:
        return None
    xx = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(xx, (P + 3) // 8, P)
    if (x * x - xx) % P:
        x = x * I % P
    if (x * x - xx) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


def same(p, q):
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0


BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def is_signed(key, text, signature):
    a, r, s = point(key), point(signature[:32]), int.from_bytes(signature[32:], "little")
    if not a or not r or s >= L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + text).digest(), "little") % L
    return same(times(s, BASE), add(r, times(h, a)))


# The format: docs/audit.md.
def number(value):
    return value.to_bytes(8, "big", signed=True)


def text(value):
    data = value.encode()
    return number(len(data)) + data


def hex_bytes(value, size):
    if len(value) != 2 * size or set(value) - set("0123456789abcdef"):
        raise ValueError(f"{value!r} is not {size} bytes in hexadecimal digits")
    return bytes.fromhex(value)


def entry_hash(entry):
    return hashlib.sha256(
        b"ticketon audit v1" + hex_bytes(entry["order"], 16) + number(entry["seq"]) + number(entry["atMs"])
        + text(entry["kind"]) + text(entry["body"]) + hex_bytes(entry["prev"], 32)
    ).hexdigest()


def checkpoint_hash(checkpoint):
    data = b"ticketon checkpoint v1" + number(checkpoint["number"]) + number(checkpoint["atMs"])
    data += hex_bytes(checkpoint["prev"], 32) + text(checkpoint["key"]) + number(len(checkpoint["heads"]))
    for order, seq, head in checkpoint["heads"]:
        data += hex_bytes(order, 16) + number(seq) + hex_bytes(head, 32)
    return hashlib.sha256(data).hexdigest()


def check_chain(order, entries, tell):
    expected, prev, mark = 1, START, 0
    for entry in sorted(entries, key=lambda entry: entry["seq"]):
        place = f"order {order}, entry {entry['seq']}"
        sealed, mark_was = entry["checkpoint"], mark
        # Entries are sealed in their order, so those without a mark are at the end.
        mark = float("inf") if sealed is None else sealed
        if mark < mark_was or mark < 1:
            tell(f"{place}: its mark {sealed} is not that of the checkpoint that sealed it")
        gap = entry["seq"] != expected
        if gap:
            tell(f"order {order}, entry {expected}: the entries up to {entry['seq'] - 1} are missing")
        if entry_hash(entry) != entry["hash"]:
            tell(f"{place}: its hash is not that of its text: the entry was changed")
        if not gap and entry["prev"] != prev:
            tell(f"{place}: it does not follow on the entry before")
        expected, prev = entry["seq"] + 1, entry["hash"]


def check_checkpoint(checkpoint, keys, tell):
    place = f"checkpoint {checkpoint['number']}"
    orders = [order for order, _, _ in checkpoint["heads"]]
    if orders != sorted(set(orders)):
        tell(f"{place}: its heads are out of order")
    if checkpoint_hash(checkpoint) != checkpoint["hash"]:
        tell(f"{place}: its hash is not that of its text: it was changed")
    signed = b"ticketon checkpoint signature v1" + hex_bytes(checkpoint["hash"], 32)
    if checkpoint["key"] not in keys:
        tell(f"{place}: it was signed with a key that is not known here: {checkpoint['key']}")
    elif not is_signed(keys[checkpoint["key"]], signed, hex_bytes(checkpoint["signature"], 64)):
        tell(f"{place}: its signature is wrong: it was changed or forged")


def check_marks(checkpoints, entries, tell):
    """Each entry is marked with the checkpoint that sealed it, whose head is the last of those of its order."""
    marked, last = {}, max([0] + [checkpoint["number"] for checkpoint in checkpoints])
    for entry in entries:
        if entry["checkpoint"] is not None:
            place = entry["checkpoint"], entry["order"]
            marked[place] = max(marked.get(place, entry["seq"]), entry["seq"])
    for checkpoint in checkpoints:
        number = checkpoint["number"]
        for order, seq, _ in checkpoint["heads"]:
            found = marked.pop((number, order), None)
            if found != seq:
                tell(f"order {order}, entry {found or seq}, checkpoint {number}: its mark is not that of the checkpoint that sealed it")
    for (number, order), seq in sorted(marked.items()):
        if number > last:
            tell(f"checkpoint {number}: the checkpoints up to {number} are missing")
        else:
            tell(f"order {order}, entry {seq}, checkpoint {number}: its mark is not that of the checkpoint that sealed it")


def read(file):
    lines = [json.loads(line) for line in open(file, encoding="utf-8")]
    kinds = {"checkpoint": [], "entry": []}
    for line in lines:
        kinds[line["type"]].append(line)
    return kinds["checkpoint"], kinds["entry"]


def main(checkpoints_only, export_file, keys_text, noted_file=None):
    found = []
    tell = lambda finding: (found.append(finding), print(finding))
    keys = {key: base64.b64decode(public) for key, public in (pair.split(":") for pair in keys_text.split(","))}
    checkpoints, entries = read(export_file)
    if checkpoints_only:
        entries = []
    elif checkpoints and not entries:
        raise ValueError("it has checkpoints and no entries: if it was made without --entries, give --checkpoints-only")
    chains, hashes, by_number = {}, {}, {}
    for entry in entries:
        if (entry["order"], entry["seq"]) in hashes:
            tell(f"order {entry['order']}, entry {entry['seq']}: it is there twice")
        chains.setdefault(entry["order"], []).append(entry)
        hashes[entry["order"], entry["seq"]] = entry["hash"]
    for order, chain in chains.items():
        check_chain(order, chain, tell)
    expected, prev = 1, START
    for checkpoint in sorted(checkpoints, key=lambda checkpoint: checkpoint["number"]):
        place = f"checkpoint {checkpoint['number']}"
        if checkpoint["number"] != expected:
            tell(f"checkpoint {expected}: the checkpoints before {checkpoint['number']} are missing, or one is there twice")
        elif checkpoint["prev"] != prev:
            tell(f"{place}: it does not follow on the checkpoint before")
        expected, prev = checkpoint["number"] + 1, checkpoint["hash"]
        check_checkpoint(checkpoint, keys, tell)
        by_number[checkpoint["number"]] = checkpoint["hash"]
        for order, seq, head in () if checkpoints_only else checkpoint["heads"]:
            if (order, seq) not in hashes:
                tell(f"order {order}, entry {seq}, {place}: the checkpoint sealed this entry, and it is not there any more")
            elif hashes[order, seq] != head:
                tell(f"order {order}, entry {seq}, {place}: the checkpoint sealed this entry with another hash")
    if not checkpoints_only:
        check_marks(checkpoints, entries, tell)
    for checkpoint in read(noted_file)[0] if noted_file else ():
        if by_number.get(checkpoint["number"]) != checkpoint["hash"]:
            tell(f"checkpoint {checkpoint['number']}: another one was noted elsewhere, or it was removed")
    print(f"{len(checkpoints)} checkpoints, {len(entries)} entries of {len(chains)} orders, {len(found)} findings", file=sys.stderr)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    words = sys.argv[1:]
    only = "--checkpoints-only" in words
    words = [word for word in words if word != "--checkpoints-only"]
    if len(words) not in (2, 3):
        sys.exit(__doc__)
    try:
        main(only, *words)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        sys.exit(f"this is no export, or these are no keys: {type(error).__name__}: {error}")
