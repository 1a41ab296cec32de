"""From the waiting room to a ticket and back, with nothing but Python's standard library.

python3 walk.py http://127.0.0.1:8080 event
"""
import json
import sys
import time
import urllib.error
import urllib.request
import uuid

BASE, EVENT = sys.argv[1], sys.argv[2]
COOKIES = {}


def call(method, path, body=None, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in COOKIES.items())
    headers.setdefault("Accept", "application/json")
    data = None if body is None else json.dumps(body).encode()
    if data is not None:
        headers["Content-Type"] = "application/json"
    request = urllib.request.Request(BASE + path, data, headers, method=method)
    try:
        answer = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        for line in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = line.split(";")[0].partition("=")
            COOKIES[name] = value
        return answer.status, answer.headers, answer.read()


def wants(status, *args, **headers):
    got, _, text = call(*args, **headers)
    if got != status:
        sys.exit(f"{args[0]} {args[1]}: {got} instead of {status}: {text.decode()}")
    return json.loads(text)


def once(path, body):
    """Posts under one key until it is decided: whatever is lost on the way, it is done once."""
    key = str(uuid.uuid4())
    for _ in range(60):
        status, headers, text = call("POST", path, body, Idempotency_Key=key)
        if status not in (202, 409, 503):
            return status, json.loads(text)
        time.sleep(float(headers.get("Retry-After", "0.5")))
    sys.exit(f"{path} is never decided: {text.decode()}")


call("GET", "/events")
place = wants(200, "GET", f"/events/{EVENT}/tickets/waiting")
admission = {"Ticketon_Admission": place["admissionToken"]}
hold = wants(201, "POST", f"/events/{EVENT}/holds", {"area": "bar", "count": 2},
             Idempotency_Key=str(uuid.uuid4()), **admission)
order = wants(201, "POST", "/purchase/initiate", {"eventId": EVENT, "holdId": hold["id"]}, **admission)
assert order["amount"] == hold["total"], order
print("ordered", order["orderId"])

agreed = {"orderId": order["orderId"], "amount": order["amount"], "currency": order["currency"]}
payment = wants(201, "POST", "/sandbox/payments", {**agreed, "outcome": "loseAnswer"})["paymentKey"]
status, paid = once("/purchase/confirm", {
    "orderId": order["orderId"], "paymentKey": payment, "amount": order["amount"]})
assert (status, paid["status"]) == (200, "paid"), paid
print("paid", paid["payment"]["paymentKey"])

tickets = wants(200, "GET", "/tickets")["tickets"]
assert [ticket["status"] for ticket in tickets] == ["valid", "valid"], tickets
status, headers, picture = call("GET", f"/tickets/{tickets[0]['ticketId']}/qr.svg")
assert (status, headers["Content-Type"], picture[:5]) == (200, "image/svg+xml", b"<svg "), picture
print("tickets", ", ".join(ticket["seat"] for ticket in tickets))

status, refunded = once(f"/purchase/{order['orderId']}/refund", {"reason": "walked far enough"})
assert (status, refunded["status"]) == (200, "refunded"), refunded
assert refunded["refundedAmount"] == order["amount"], refunded
assert wants(200, "GET", "/tickets")["tickets"] == []
print("given back")
