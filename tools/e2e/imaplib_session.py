#!/usr/bin/env python3
"""imaplib_session.py HOST PORT TLS_PORT USER PASSWORD: one user's day with Python's imaplib: plain, STARTTLS and TLS."""
import imaplib
import ssl
import sys

host, port, tls_port, user, password = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]
MAIL = b"From: a@example.org\r\nTo: b@example.org\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n\r\nHello, imaplib.\r\n"
trust_all = ssl.create_default_context()
trust_all.check_hostname = False
trust_all.verify_mode = ssl.CERT_NONE


def ok(answer):
    status, data = answer
    assert status == "OK", answer
    return data


def day(mail):
    ok(mail.login(user, password))
    ok(mail.create("work"))
    ok(mail.subscribe("work"))
    assert any(b"work" in line for line in ok(mail.list()))
    assert any(b"work" in line for line in ok(mail.lsub()))
    for flags in ("", r"\Seen", r"(\Flagged $Label)"):
        ok(mail.append("work", flags, imaplib.Time2Internaldate(1_700_000_000), MAIL))
    assert b"MESSAGES 3" in ok(mail.status("work", "(MESSAGES UIDNEXT UNSEEN)"))[0]
    assert ok(mail.select("work")) == [b"3"]
    assert ok(mail.search(None, "UNSEEN")) == [b"1 3"]
    assert ok(mail.search(None, "KEYWORD", "$Label")) == [b"3"]
    assert ok(mail.search("utf-8", "BODY", '"imaplib"')) == [b"1 2 3"]
    data = ok(mail.fetch("1", "(UID INTERNALDATE RFC822.SIZE BODY.PEEK[])"))
    assert data[0][1] == MAIL, data
    assert b"RFC822.SIZE %d" % len(MAIL) in data[0][0] + data[1], data
    assert "Seen" not in str(ok(mail.fetch("1", "FLAGS")))
    ok(mail.fetch("1", "BODY[TEXT]"))
    assert "Seen" in str(ok(mail.fetch("1", "FLAGS")))
    ok(mail.store("2", "+FLAGS", r"(\Deleted)"))
    ok(mail.copy("1", "INBOX"))
    assert ok(mail.expunge()) == [b"2"]
    assert ok(mail.uid("SEARCH", "ALL")) == [b"1 3"]
    ok(mail.close())
    ok(mail.rename("work", "play"))
    ok(mail.unsubscribe("work"))
    ok(mail.delete("play"))
    assert mail.select("play")[0] == "NO"
    mail.logout()


day(imaplib.IMAP4(host, port))
plain = imaplib.IMAP4(host, port)
ok(plain.starttls(trust_all))
day(plain)
day(imaplib.IMAP4_SSL(host, tls_port, ssl_context=trust_all))
