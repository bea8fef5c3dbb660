"""Python's poplib spends a day: plain, STLS and TLS; listings, messages, deletion, UTF8.

usage: poplib_session.py HOST PORT TLSPORT USER PASSWORD
"""
import imaplib
import poplib
import ssl
import sys

host, port, tls_port, imap_port, user, password = sys.argv[1:]
poplib._MAXLINE = 1 << 20
context = ssl._create_unverified_context()

MAILS = [
    b"From: a@example.org\r\nSubject: one\r\n\r\nfirst\r\n.dot\r\n..two\r\n",
    b"From: b@example.org\r\nSubject: two\r\n\r\n.\r\n",
    "From: c@example.org\r\nSubject: drei \u00e4\r\n\r\ndritte\r\n".encode(),
]


def fill():
    client = imaplib.IMAP4(host, int(imap_port))
    client.login(user, password)
    for mail in MAILS:
        typ, answer = client.append("INBOX", None, None, mail)
        assert typ == "OK", answer
    client.logout()


def plain():
    return poplib.POP3(host, int(port))


def stls():
    client = poplib.POP3(host, int(port))
    assert "STLS" in client.capa()
    client.stls(context=context)
    assert "STLS" not in client.capa()
    return client


def tls():
    return poplib.POP3_SSL(host, int(tls_port), context=context)


fill()
ids = None
for connect in (plain, stls, tls):
    client = connect()
    capabilities = client.capa()
    for name in ("TOP", "UIDL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "UTF8", "SASL", "USER", "EXPIRE"):
        assert name in capabilities, (connect.__name__, name, capabilities)
    client.utf8()
    client.user(user)
    try:
        client.pass_("wrong")
        raise SystemExit("a wrong password was taken")
    except poplib.error_proto as error:
        assert b"[AUTH]" in error.args[0], error
    client.user(user)
    client.pass_(password)
    assert client.stat() == (3, sum(map(len, MAILS)))
    answer, lines, _ = client.list()
    assert lines == [b"%d %d" % (i + 1, len(mail)) for i, mail in enumerate(MAILS)], lines
    assert client.list(2).endswith(b" 2 %d" % len(MAILS[1]))
    for i, mail in enumerate(MAILS):
        answer, lines, octets = client.retr(i + 1)
        assert b"".join(line + b"\r\n" for line in lines) == mail, lines
    assert client.top(1, 1)[1] == [b"From: a@example.org", b"Subject: one", b"", b"first"]
    answer, uids, _ = client.uidl()
    assert len(set(uids)) == 3 and (ids is None or ids == uids), uids
    ids = uids
    assert client.uidl(2).split()[1:] == uids[1].split()
    assert client.noop().startswith(b"+OK")
    client.dele(1)
    assert client.stat()[0] == 2
    client.rset()
    assert client.stat()[0] == 3
    client.quit()

client = tls()
client.user(user)
client.pass_(password)
client.dele(2)
client.quit()
client = plain()
client.user(user)
client.pass_(password)
answer, uids, _ = client.uidl()
assert [uid.split()[1] for uid in uids] == [ids[0].split()[1], ids[2].split()[1]], uids
client.close()
