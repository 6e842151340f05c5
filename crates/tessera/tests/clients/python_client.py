"""Sends one person's calls with `segment-analytics-python`, unchanged but for its host.

    python python_client.py HOST WRITE_KEY RUN [gzip]

Prints one JSON line that says what was sent. Exits 1 when any call was not delivered.
"""

import json
import os
import sys
import threading

from segment.analytics.client import Client

DEADLINE_S = 30


def person(run: str, client: str) -> dict:
    """The person that this driver sends; the same shape as `person.mjs`'s."""
    id = f"{run}-{client}"
    return {
        "client": client,
        "user_id": id,
        "anonymous_id": f"{id}-anon",
        "previous_id": f"{id}-anon",
        "group_id": f"{run}-acme",
        "traits": {"email": f"{id}@example.com".lower(), "name": "Ada Lovelace", "plan": "gold"},
        "group_traits": {"name": "Acme", "employees": 329},
        "tracks": [
            {"event": "Product Viewed", "properties": {"product_id": "p1", "price": 18.99}, "anonymous": True},
            {"event": "Product Added", "properties": {"product_id": "p1", "quantity": 2}},
            {"event": "Checkout Started", "properties": {"value": 37.98, "currency": "EUR"}},
            {
                "event": "Order Completed",
                "properties": {
                    "order_id": f"{id}-o1",
                    "total": 37.98,
                    "currency": "EUR",
                    "products": [{"product_id": "p1", "quantity": 2, "price": 18.99}],
                },
            },
            {"event": "Größe gewählt", "properties": {"size": "M", "note": "“naïve” 😀", "gift": False, "coupon": None}},
        ],
    }


def give_up() -> None:
    print(f"not delivered within {DEADLINE_S} s", file=sys.stderr, flush=True)
    os._exit(3)


def main() -> int:
    if len(sys.argv) not in (4, 5) or (len(sys.argv) == 5 and sys.argv[4] != "gzip"):
        print("usage: python_client.py HOST WRITE_KEY RUN [gzip]", file=sys.stderr)
        return 2
    host, write_key, run = sys.argv[1:4]
    gzip = len(sys.argv) == 5
    sent = person(run, "python-gzip" if gzip else "python")
    errors: list[str] = []

    # The client retries for minutes when the host is away; a test wants to know sooner.
    deadline = threading.Timer(DEADLINE_S, give_up)
    deadline.daemon = True
    deadline.start()

    client = Client(
        write_key,
        host=host,
        gzip=gzip,
        on_error=lambda error, batch: errors.append(f"{error} ({len(batch)} calls)"),
    )
    user_id = sent["user_id"]
    for track in sent["tracks"]:
        owner = {"anonymous_id": sent["anonymous_id"]} if track.get("anonymous") else {"user_id": user_id}
        client.track(event=track["event"], properties=track["properties"], **owner)
    client.identify(user_id, sent["traits"])
    client.page(user_id, category="Shop", name="Home", properties={"path": "/"})
    client.screen(user_id, name="Basket", properties={"items": 2})
    client.group(user_id, sent["group_id"], sent["group_traits"])
    client.alias(sent["previous_id"], user_id)
    client.shutdown()

    calls = {"identify": 1, "track": len(sent["tracks"]), "page": 1, "screen": 1, "group": 1, "alias": 1}
    for error in errors:
        print(error, file=sys.stderr)
    print(json.dumps({**sent, "calls": calls, "events": sum(calls.values()), "errors": errors}))
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
