#!/usr/bin/env python3
"""Recomputes a draw: verify-draw.py draw.json users.txt [the commitment you noted before the opening]

draw.json is what GET /events/{eventId}/draw answers after the opening. users.txt has the ids of the people
who were in line at the opening, one a line, those of one lane. Prints each place and its user id.
"""
import hashlib
import hmac
import json
import sys


def score(key: bytes, user: bytes) -> int:
    tag = hmac.new(key, user, hashlib.sha256).digest()
    return (int.from_bytes(tag[:8], "big") >> 12) - 2**53  # the top 52 bits


def main(draw_file: str, users_file: str, noted: str = "") -> None:
    draw = json.load(open(draw_file, encoding="utf-8"))
    if draw["algorithm"] != "hmac-sha256/52":
        sys.exit(f"the algorithm {draw['algorithm']} is not known here")
    if "key" not in draw:
        sys.exit("the key is not published yet: the draw has not opened")
    key = bytes.fromhex(draw["key"])
    if hashlib.sha256(key).hexdigest() != (noted or draw["commitment"]):
        sys.exit("the key is NOT the one that was committed to")
    users = [line.rstrip(b"\n") for line in open(users_file, "rb") if line != b"\n"]
    if len(set(users)) != len(users):
        sys.exit("a user id is in the list twice")
    print(f"the key fits its commitment; {len(users)} ids given, {draw['drawn']} drawn over all lanes", file=sys.stderr)
    for place, user in enumerate(sorted(users, key=lambda user: (score(key, user), user)), 1):
        print(place, user.decode())


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(*sys.argv[1:])
