#!/usr/bin/env python3
"""imapclient_session.py HOST PORT USER PASSWORD: IMAPClient parses everything it is given, so it is asked for everything; and IDLE."""
import datetime
import sys

from imapclient import IMAPClient

host, port, user, password = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
MAIL = (
    b'From: "A. Sender" <a@example.org>\r\nTo: b@example.org, c@example.org\r\nSubject: parts\r\n'
    b"Message-ID: <parts@example.org>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0100\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\none\r\n"
    b'--b\r\nContent-Type: application/octet-stream; name="x.bin"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--b--\r\n'
)


def connect():
    client = IMAPClient(host, port=port, ssl=False)
    client.login(user, password)
    return client


one, two = connect(), connect()
assert one.namespace().personal
assert one.id_({"name": "e2e"}) is not None or not one.has_capability("ID")
for name in ("Entwürfe", "a & b", "deep/er/still"):
    one.create_folder(name)
    assert name in [folder for _, _, folder in one.list_folders()]
    one.delete_folder(name)

two.select_folder("INBOX")
two.idle()
one.append("INBOX", MAIL, [rb"\Flagged"], datetime.datetime(2026, 11, 23, 10, 0, 0))
seen = []
while not any(what[1] == b"EXISTS" for what in seen):
    answers = two.idle_check(timeout=20)
    assert answers, "no EXISTS within 20 seconds"
    seen += [a for a in answers if len(a) > 1]
two.idle_done()

one.select_folder("INBOX")
(uid,) = one.search("SUBJECT parts")
data = one.fetch(uid, ["ENVELOPE", "BODYSTRUCTURE", "BODY", "FLAGS", "INTERNALDATE", "RFC822.SIZE", "BODY.PEEK[]", "BODY[1]", "BODY[2.MIME]",
                       "BODY[HEADER.FIELDS (SUBJECT)]", "BODY[]<5.10>"])[uid]
assert data[b"BODY[]"] == MAIL
assert data[b"BODY[1]"] == b"one"
assert data[b"BODY[]<5>"] == MAIL[5:15]
assert data[b"BODY[HEADER.FIELDS (SUBJECT)]"] == b"Subject: parts\r\n\r\n"
assert data[b"ENVELOPE"].subject == b"parts" and len(data[b"ENVELOPE"].to) == 2
assert data[b"BODYSTRUCTURE"].is_multipart and data[b"RFC822.SIZE"] == len(MAIL)

one.add_flags(uid, [b"$Important"])
assert two.noop() is not None
two.create_folder("Archive")
assert one.has_capability("MOVE") and one.has_capability("UIDPLUS")
one.move(uid, "Archive")
assert one.search() == []
one.select_folder("Archive")
(moved,) = one.search(["FLAGGED", "KEYWORD", "$Important"])
assert one.fetch(moved, ["BODY.PEEK[]"])[moved][b"BODY[]"] == MAIL
one.delete_messages(moved)
one.uid_expunge([moved])
assert one.search() == []
one.unselect_folder()
for client in (one, two):
    client.logout()
