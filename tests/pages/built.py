"""The built site as a browser gets it: a server on loopback that compresses, as web servers do."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

SHRINKS = {".html", ".css", ".js", ".json", ".svg"}


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on loopback; yield its address, which ends in a slash."""

    class Handler(SimpleHTTPRequestHandler):
        """Serves the folder, compressed and without a word."""

        def log_message(self, *words: object) -> None:
            """Say nothing of each request."""

        def do_GET(self) -> None:
            """Send a file, compressed where that is worth it; a browser that has gone is no fault."""
            with suppress(ConnectionError):
                self._send()

        def _send(self) -> None:
            path = Path(self.translate_path(self.path))
            if path.is_dir():
                path /= "index.html"
            if not path.is_file():
                self.send_error(404)
                return
            body = path.read_bytes()
            self.send_response(200)
            if path.suffix in SHRINKS:
                body = gzip.compress(body, 6)
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Type", self.guess_type(path))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
