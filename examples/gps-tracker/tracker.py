"""A GPS tracker: a small web application that serves one request at a time.

    GET /position?since=N   the current position, or {} if it is still number N
    GET /stats              how often /position was requested

Something moves a few times a second. The tracker publishes each new position with one
HTTP request to the hook. It does not know which clients wait.
"""

import http.client
import json
import math
import os
import threading
import time
import urllib.parse
import urllib.request
from wsgiref.simple_server import WSGIRequestHandler, make_server

INTERVAL = 0.25  # seconds between two positions
PORT = int(os.environ.get("TRACKER_PYTHON_PORT", "8085"))
HOOK = "http://127.0.0.1:" + os.environ.get("TRACKER_HOOK_PORT", "9084") + "/position"

# The hook is on this machine, so proxies in the environment are ignored.
hook = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def position_at(number):
    """Returns a point on a closed curve that takes two minutes."""
    turn = 2 * math.pi * number * INTERVAL / 120
    return {
        "number": number,
        "latitude": round(47.3769 + 0.008 * math.sin(3 * turn) + 0.002 * math.sin(7 * turn), 6),
        "longitude": round(8.5417 + 0.014 * math.sin(2 * turn + 0.8), 6),
        "time": int(time.time() * 1000),
    }


class Tracker:
    """The moving thread replaces position as a whole. Only the serving thread uses the
    other attributes."""

    def __init__(self):
        # Numbers start at the current time, so that pages that were open before a restart
        # see later positions.
        self.position = position_at(int(time.time() / INTERVAL))
        self.asked = 0
        self.seconds = {}  # requests in each second of the last minute

    def move(self):
        while True:
            time.sleep(INTERVAL)
            self.position = position_at(self.position["number"] + 1)
            publish(self.position)

    def application(self, environ, start_response):
        path = environ["PATH_INFO"]
        if environ["REQUEST_METHOD"] != "GET":
            status, answer = "405 Method Not Allowed", {"error": "GET is allowed"}
        elif path == "/position":
            status, answer = "200 OK", self.position_since(environ)
        elif path == "/stats":
            status, answer = "200 OK", self.stats()
        else:
            status, answer = "404 Not Found", {"error": "there is nothing here but /position and /stats"}
        body = json.dumps(answer).encode()
        start_response(status, [("Content-Type", "application/json"), ("Cache-Control", "no-store")])
        return [body]

    def position_since(self, environ):
        now = int(time.time())
        self.asked += 1
        self.seconds = {second: n for second, n in self.seconds.items() if second > now - 60}
        self.seconds[now] = self.seconds.get(now, 0) + 1
        query = urllib.parse.parse_qs(environ["QUERY_STRING"])
        position = self.position
        return {} if query.get("since") == [str(position["number"])] else position

    def stats(self):
        now = int(time.time())
        return {"asked": self.asked, "seconds": [self.seconds.get(now - 59 + i, 0) for i in range(60)]}


def publish(position):
    """Sends the position to waiting clients. Errors are ignored: while the hook cannot be
    reached, no client waits there."""
    request = urllib.request.Request(HOOK, json.dumps(position).encode(), {"Content-Type": "application/json"})
    try:
        hook.open(request, timeout=1).close()
    except (OSError, http.client.HTTPException):
        pass


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


if __name__ == "__main__":
    tracker = Tracker()
    server = make_server("127.0.0.1", PORT, tracker.application, handler_class=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    tracker.move()
