"""A mail server that keeps what it is given."""

import socketserver
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from tests.lab.webserver import LoopbackServer


class Mailbox(LoopbackServer):
    """Takes mails by SMTP on a loopback port of its own, without TLS and names; *mails* has the oldest first."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        super().__init__(socketserver.ThreadingTCPServer, _Session)


class _Session(socketserver.StreamRequestHandler):
    owner: Mailbox

    def handle(self) -> None:
        self._say("220 mailbox")
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"DATA":
                self._say("354 go on")
                self._keep()
            self._say("221 bye" if verb == b"QUIT" else "250 ok")

    def _say(self, answer: str) -> None:
        self.wfile.write(f"{answer}\r\n".encode())

    def _keep(self) -> None:
        lines = list(iter(self.rfile.readline, b".\r\n"))
        # A point at the begin of a line is doubled on the way.
        body = b"".join(line.removeprefix(b".") for line in lines)
        mail: Any = message_from_bytes(body, policy=policy.default)
        self.owner.mails.append(mail)
