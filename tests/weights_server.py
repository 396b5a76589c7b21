"""A small server on this machine that gives one file, in ranges or not, cut or held back."""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """Gives its content; tests set how it misbehaves, and read what it was asked."""

    daemon_threads = True

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.knows_ranges = True
        self.tells_length = True
        self.status = 200
        self.cuts = []  # after how many bytes each next answer is cut
        self.goes_on = threading.Event()  # until then, half of an answer comes drop by drop
        self.goes_on.set()
        self.asked = []

    def url(self, name):
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.asked.append(self.headers.get("Range", ""))
        if server.status != 200:
            self.send_error(server.status)
            return
        start, content = 0, server.content
        if server.knows_ranges and self.headers.get("Range"):
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        if server.tells_length:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        body = content[start:]
        body = body[: server.cuts.pop(0)] if server.cuts else body
        sent = len(body) // 2
        # A client that cancels has gone by then.
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body[:sent])
            while not server.goes_on.wait(0.1):
                self.wfile.write(body[sent : sent + 100])
                sent += 100
            self.wfile.write(body[sent:])

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def weights_server(content):
    """Run a server of ``content`` for as long as the block lasts."""
    server = Server(content)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.goes_on.set()
        server.shutdown()
        thread.join()
        server.server_close()
