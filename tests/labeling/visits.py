"""A served desk, and visitors who send it bytes."""

import json
import socket
import threading
from contextlib import contextmanager

from al_tf.labeling.desk.server import DeskServer

LOOK = json.dumps({"do": "look"}).encode()


@contextmanager
def serving(*sessions, **where):
    with DeskServer(*sessions, **where) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def cookie_of(server, number=0):
    """Return the cookie of a visitor who has been let in at a door."""
    door = server.doors[number]
    return f"{door.cookie(server.server_port)}={door.token}"


def ask(server, line, headers=(), body=b"", *, good=True):
    """Send raw bytes; return status, headers (lower case) and body. `good` adds what a page sends."""
    fields = {}
    if good:
        host = f"127.0.0.1:{server.server_port}"
        fields = {"Host": host, "Cookie": cookie_of(server), "Connection": "close"}
        if line.startswith("POST"):
            fields |= {"Origin": f"http://{host}", "Content-Type": "application/json"}
            fields |= {"Content-Length": str(len(body))}
    fields |= dict(headers)
    lines = [line, *(f"{name}: {value}" for name, value in fields.items() if value is not None)]
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=60) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        answer = b""
        try:
            while part := connection.recv(65536):
                answer += part
        except ConnectionResetError:
            pass  # refused before all was read: what came before counts
    head, _, content = answer.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    parts = [tuple(part.strip() for part in field.split(":", 1)) for field in rest]
    return int(first.split()[1]), {name.lower(): value for name, value in parts}, content


def get(server, path, **headers):
    return ask(server, f"GET {path} HTTP/1.1", {k.replace("_", "-"): v for k, v in headers.items()})


def post(server, body=LOOK, path="/ask", **headers):
    fields = {k.replace("_", "-"): v for k, v in headers.items()}
    return ask(server, f"POST {path} HTTP/1.1", fields, body)
