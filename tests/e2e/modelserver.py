"""A server on loopback that speaks OpenAI's chat completions, as far as a test needs it: no model, only a script."""

import http.server
import itertools
import json
import threading


class ModelServer:
    """Answers every draft that it is asked for; now and then it is too busy, or answers nonsense first, as models do.

    server.url      what `OpenAiUrl` of the stack has to be
    server.asked    the bodies of all requests
    server.answer = lambda request, n: (status, headers, body)      full control; `n` counts the requests
    """

    def __init__(self, port: int):
        self.asked: list[dict] = []
        self.answer = draft
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)))
                status, headers, body = 404, {}, {"error": {"message": "no such operation"}}
                if self.path == "/v1/chat/completions":
                    with server._lock:
                        server.asked.append(request)
                        number = next(server._numbers)
                    status, headers, body = server.answer(request, number)
                text = json.dumps(body).encode()
                try:
                    self.send_response(status)
                    for name, value in {"content-type": "application/json", "content-length": str(len(text)), **headers}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(text)
                except OSError:
                    self.close_connection = True  # a caller that was killed

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def draft(request: dict, number: int):
    if number % 23 == 7:
        return 429, {"retry-after": "1"}, {"error": {"message": "slow down", "type": "rate_limit"}}
    words = "no JSON at all" if number % 17 == 3 else json.dumps({"subject": f"A question {number}", "body": "How do you do?"})
    # Of many sizes, so that sums of costs that leave one out do not come out right by chance.
    usage = {"prompt_tokens": 100 + number % 37, "completion_tokens": 20 + number % 11}
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": words}}
    return 200, {}, {"id": f"chat-{number}", "object": "chat.completion", "model": request["model"], "choices": [choice], "usage": usage}
