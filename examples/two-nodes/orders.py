"""The orders of a kitchen: a small web application with one thread.

    GET  /orders?after=N   orders after number N, as a JSON array
    POST /orders           adds an order with the text of the form

It does not know streams, parker, or how many proxies are in front of it.
"""

import json
import os
import time
import urllib.parse
from wsgiref.simple_server import WSGIRequestHandler, make_server

PORT = int(os.environ.get("NODES_BACKEND_PORT", "8087"))
LONGEST_TEXT = 200
LONGEST_BODY = 10_000

orders = []


class Refused(Exception):
    pass


def list_after(environ):
    after = urllib.parse.parse_qs(environ["QUERY_STRING"]).get("after", ["0"])[0]
    if not (after.isascii() and after.isdigit() and len(after) < 10):
        raise Refused("after is the number of an order")
    return orders[int(after) :]


def add(environ):
    length = environ.get("CONTENT_LENGTH") or "0"
    if not length.isdigit() or int(length) > LONGEST_BODY:
        raise Refused("the form is too long")
    form = urllib.parse.parse_qs(environ["wsgi.input"].read(int(length)).decode("utf-8", "replace"))
    text = form.get("text", [""])[0].strip()
    if not 0 < len(text) <= LONGEST_TEXT:
        raise Refused(f"text is missing, or longer than {LONGEST_TEXT} characters")
    order = {"number": len(orders) + 1, "text": text, "time": int(time.time() * 1000)}
    orders.append(order)
    return order


def application(environ, start_response):
    allow = []
    try:
        if environ["PATH_INFO"] != "/orders":
            status, answer = "404 Not Found", {"error": "there is nothing here but /orders"}
        elif environ["REQUEST_METHOD"] == "GET":
            status, answer = "200 OK", list_after(environ)
        elif environ["REQUEST_METHOD"] == "POST":
            status, answer = "201 Created", add(environ)
        else:
            status, answer = "405 Method Not Allowed", {"error": "GET and POST are allowed"}
            allow = [("Allow", "GET, POST")]
    except Refused as refused:
        status, answer = "400 Bad Request", {"error": str(refused)}
    body = json.dumps(answer).encode()
    start_response(status, [("Content-Type", "application/json"), ("Cache-Control", "no-store"), *allow])
    return [body]


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


if __name__ == "__main__":
    make_server("127.0.0.1", PORT, application, handler_class=Quiet).serve_forever()
