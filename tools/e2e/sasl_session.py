#!/usr/bin/env python3
"""sasl_session.py HOST PORT TLS_PORT USER PASSWORD: every way into a mailbox with Python's imaplib and scramp.

USER has his password as {PLAIN}; the master user `boss` has the password `key`."""
import imaplib
import ssl
import sys

import scramp

host, port, tls_port, user, password = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]
trust_all = ssl.create_default_context()
trust_all.check_hostname = False
trust_all.verify_mode = ssl.CERT_NONE


def plain():
    return imaplib.IMAP4(host, port)


def starttls():
    mail = imaplib.IMAP4(host, port)
    mail.starttls(trust_all)
    return mail


def tls():
    return imaplib.IMAP4_SSL(host, tls_port, ssl_context=trust_all)


def scram(mail, mechanism, user, password, binding=None):
    """One exchange; the client checks the server's signature."""
    client = scramp.ScramClient([mechanism], user, password, channel_binding=binding)
    messages = []

    def respond(challenge):
        messages.append(challenge)
        if len(messages) == 1:
            return client.get_client_first().encode()
        if len(messages) == 2:
            client.set_server_first(challenge.decode())
            return client.get_client_final().encode()
        client.set_server_final(challenge.decode())
        return b""

    status, _ = mail.authenticate(mechanism, respond)
    assert status == "OK" and len(messages) == 3, messages
    mail.select("INBOX")
    mail.logout()


def refused(what, *arguments):
    try:
        what(*arguments)
    except imaplib.IMAP4.error as error:
        assert "AUTHENTICATIONFAILED" in str(error), error
        return
    raise AssertionError(f"{what.__name__} {arguments} let in")


for connect in (plain, starttls, tls):
    for mechanism in ("SCRAM-SHA-1", "SCRAM-SHA-256"):
        scram(connect(), mechanism, user, password)
        refused(scram, connect(), mechanism, user, password + "x")
        refused(scram, connect(), mechanism, "nobody", password)
for connect in (starttls, tls):
    for mechanism in ("SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"):
        mail = connect()
        scram(mail, mechanism, user, password, ("tls-server-end-point", mail.sock))
        # A client that sees another certificate than the server has shown: someone is in between.
        refused(scram, connect(), mechanism, user, password, ("tls-server-end-point", b"another certificate"))

for message, expect in (
    (f"\0{user}\0{password}", "OK"),
    (f"{user}\0{user}\0{password}", "OK"),
    (f"{user}\0boss\0key", "OK"),
    (f"\0{user}*boss\0key", "OK"),
):
    assert tls().authenticate("PLAIN", lambda _: message.encode())[0] == expect, message
assert tls().login(f"{user}*boss", "key")[0] == "OK"
refused(tls().login, f"{user}*boss", password)
refused(tls().login, "boss", "key")
