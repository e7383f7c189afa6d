"""Publishes a body at a URL with each of Python's HTTP clients, and prints the status that each gets, or its error, a line each.

The arguments are the URL, how many bytes the body has, and how often each client publishes it.
"""

import http.client
import importlib.util
import sys
import urllib.error
import urllib.parse
import urllib.request

url, size, times = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
body = b"x" * size


def by_http_client():
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    try:
        connection.request("POST", parts.path, body)
        return connection.getresponse().status
    finally:
        connection.close()


def by_urllib():
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def by_requests():
    import requests

    return requests.post(url, data=body, timeout=30).status_code


clients = [by_http_client, by_urllib]
if importlib.util.find_spec("requests"):
    clients.append(by_requests)
for client in clients:
    for _ in range(times):
        try:
            print(client.__name__, client())
        except Exception as error:
            print(client.__name__, repr(error))
