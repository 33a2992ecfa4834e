"""A web service whose answers take at most so long: each request is a task with a time limit.

usage: web_service.py [PORT]

`/primes?up_to=1000` counts primes. What asks for too much is answered with 503 when its time is up,
which `&seconds=` may shorten: its worker is interrupted, or killed where it does not hear of that.
The service goes on, and so do all other requests. Without a port it asks itself three times and
prints the answers.
"""

import json
import sys
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import tarefa

SECONDS = 10.0


def primes(up_to):
    """Count them, without any hurry."""
    return sum(all(n % d for d in range(2, int(n**0.5) + 1)) for n in range(2, up_to + 1))


class Service(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port):
        self.pool = tarefa.Pool(2, name="service")
        super().__init__(("127.0.0.1", port), Handler)

    def server_close(self):
        super().server_close()
        self.pool.terminate()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        asked = parse_qs(urlsplit(self.path).query)
        try:
            up_to = int(asked["up_to"][0])
            seconds = min(float(asked.get("seconds", [SECONDS])[0]), SECONDS)
            limited = self.server.pool.options(time_limit=seconds)
            self.answer(200, primes=limited.submit(primes, up_to).result())
        except (KeyError, ValueError):
            self.answer(400, error="ask for /primes?up_to=1000")
        except tarefa.TimeLimitExceeded:
            self.answer(503, error=f"that takes more than {seconds} s")

    def answer(self, status, **content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def ask(url):
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    with Service(port) as service:
        if port:
            print(f"http://127.0.0.1:{port}/primes?up_to=1000")
            service.serve_forever()
        threading.Thread(target=service.serve_forever).start()
        url = f"http://127.0.0.1:{service.server_port}/primes?up_to="
        for up_to in ("100", "1000000000&seconds=0.3", "many"):
            print(up_to, *ask(f"{url}{up_to}"))
        service.shutdown()


if __name__ == "__main__":
    main()
