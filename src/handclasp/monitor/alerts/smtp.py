"""One mail over SMTP (RFC 5321), never in the clear: STARTTLS (RFC 3207) or TLS from the start (RFC 8314), but for a
server on this machine. Blocking, on the standard library's client; for a thread.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from contextlib import suppress
from email.message import EmailMessage
from typing import Final

from handclasp.monitor.alerts.receiver import Email
from handclasp.monitor.alerts.wire import PATIENCE, Line, NotSent

_ONESELF: Final = "[127.0.0.1]"  # in EHLO; RFC 5321 §4.1.3: a literal where there is no name that one can vouch for


def send(
    mail: EmailMessage, to: Email, password: bytes | None, *, context: ssl.SSLContext, patience: float = PATIENCE
) -> None:
    """Have it taken for every recipient, or NotSent: final for what the server refuses for good (5yz)."""
    line = Line(to.host, to.port, patience=patience)
    with line.told():
        try:
            refused = _exchange(line, mail, to, password, context)
        except smtplib.SMTPServerDisconnected as error:
            raise EOFError from error
        except smtplib.SMTPNotSupportedError:
            raise NotSent(f"{line.where} does not offer what is needed, STARTTLS or AUTH") from None
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            raise NotSent(f"{line.where} refused every recipient ({min(codes)})", final=min(codes) >= 500) from None
        except smtplib.SMTPResponseException as error:
            code = error.smtp_code
            step = " the user or the password" if isinstance(error, smtplib.SMTPAuthenticationError) else ""
            raise NotSent(f"{line.where} refused{step} ({code})", final=500 <= code <= 599) from None
        except smtplib.SMTPException:
            raise NotSent(f"{line.where} takes no way to prove who we are") from None
        except UnicodeError:
            raise NotSent("the user or the password has characters that SMTP cannot carry", final=True) from None
    if refused:
        # The others have it: to send it again would be to send it to them twice.
        raise NotSent(f"{line.where} refused {refused} of {len(to.to)} recipients", final=True)


def _exchange(line: Line, mail: EmailMessage, to: Email, password: bytes | None, context: ssl.SSLContext) -> int:
    """How many recipients were refused while others were not."""
    client = _Client(line, to, context if to.tls == "implicit" else None)
    try:
        if to.tls == "starttls":
            client.starttls(context=context)
        if to.login is not None and password is not None:
            client.login(to.login.user, password.decode())
        refused = len(client.send_message(mail, to.sender, list(to.to)))
        with suppress(smtplib.SMTPException, OSError):  # it has taken the mail, whatever comes now
            client.quit()
        return refused
    finally:
        client.close()


class _Client(smtplib.SMTP):
    """The library's, over our connection and with replies that are bounded in all."""

    def __init__(self, line: Line, to: Email, at_once: ssl.SSLContext | None) -> None:
        self._line = line
        self._at_once = at_once
        super().__init__(to.host, to.port, local_hostname=_ONESELF)

    def _get_socket(self, *_: object) -> socket.socket:
        connection = self._line.connect()
        return connection if self._at_once is None else self._line.wrap(connection, self._at_once)

    def getreply(self) -> tuple[int, bytes]:
        """As the library's; within the limit."""
        if self.file is None and self.sock is not None:
            self.file = self._line.reader(self.sock)
        return super().getreply()
