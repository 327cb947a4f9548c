"""An SMTP server on loopback that takes every message, read back with Python's own `email` package: a reader we did not write.

    mailbox.credentials      what a sending identity of kind smtp needs to reach it: no TLS, so only where local targets are allowed
    mailbox.envelopes        [Envelope(mail_from, rcpt_tos, message, raw)], in the order of arrival
    mailbox.to(address)      the messages to an address
    mailbox.refuse[address]  the answer to RCPT TO for an address, such as "550 5.1.1 no such user"
"""

import dataclasses
import email
import email.message
import email.policy
import secrets
import socket
import threading

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword


@dataclasses.dataclass
class Envelope:
    mail_from: str
    rcpt_tos: list[str]
    message: email.message.EmailMessage
    raw: bytes

    @property
    def text(self) -> str:
        return self.message.get_body(("plain",)).get_content()

    @property
    def html(self) -> str:
        return self.message.get_body(("html",)).get_content()

    @property
    def defects(self) -> list:
        """What the parser found wrong, in any part."""
        parts = list(self.message.walk())
        headers = [header for part in parts for header in part.values()]
        return [defect for thing in parts + headers for defect in thing.defects]


def free_port() -> int:
    """The controller wants to know its port beforehand."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Mailbox:
    def __init__(self) -> None:
        self.username, self.password = "axle", secrets.token_urlsafe(16)
        self.refuse: dict[str, str] = {}
        self._envelopes: list[Envelope] = []
        self._lock = threading.Lock()
        self._controller = Controller(
            self,
            hostname="127.0.0.1",
            port=free_port(),
            authenticator=self._authenticate,
            auth_required=True,
            auth_require_tls=False,
        )

    def __enter__(self) -> "Mailbox":
        self._controller.start()
        return self

    def __exit__(self, *_) -> None:
        self._controller.stop()

    @property
    def credentials(self) -> dict:
        port = self._controller.port
        return {"host": "127.0.0.1", "port": port, "username": self.username, "password": self.password, "tls": "none"}

    @property
    def envelopes(self) -> list[Envelope]:
        with self._lock:
            return list(self._envelopes)

    def to(self, address: str) -> list[Envelope]:
        return [envelope for envelope in self.envelopes if address in envelope.rcpt_tos]

    def _authenticate(self, _server, _session, _envelope, _mechanism, data) -> AuthResult:
        known = isinstance(data, LoginPassword) and (data.login, data.password) == (self.username.encode(), self.password.encode())
        return AuthResult(success=known, handled=False)

    async def handle_RCPT(self, _server, _session, envelope, address, _options) -> str:  # noqa: N802
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, _server, _session, envelope) -> str:  # noqa: N802
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        with self._lock:
            self._envelopes.append(Envelope(envelope.mail_from, list(envelope.rcpt_tos), message, envelope.content))
            return f"250 2.0.0 Ok: queued as {len(self._envelopes)}"
