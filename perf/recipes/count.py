#!/usr/bin/env python3
"""count.py SKEIN [--calls | --instructions] [--drained] [--only NAME]: what one operation costs a live server, as counted.

It starts servers of its own, with one shard, fills them, and runs each operation n and 2n times: what the longer run counts more, less what an idle
server does in the time that it takes more, divided by n; the median of three such pairs. Figures below 0.03 are noise.

--calls: system calls by name, requests of the ring by opcode (tracepoints, by perf stat -p), and the server's own counters (/metrics).
--instructions: instructions and simulated cache misses (valgrind --tool=callgrind --cache-sim=yes), one pair. Under valgrind a server hangs now
and then, at its start, which is tried again, or later: then this waits for ever.
--drained: everything is in packs and snapshots before it is counted.
Packages: linux-perf, root and a mounted tracefs; valgrind.
"""

import argparse, ctypes, os, re, resource, selectors, shutil, signal, socket, statistics, subprocess, tempfile, time, urllib.request

RING = {0: "nop", 1: "readv", 2: "writev", 3: "fsync", 4: "read_fixed", 5: "write_fixed", 6: "poll_add", 7: "poll_remove", 11: "timeout",
        12: "timeout_remove", 13: "accept", 14: "cancel", 17: "fallocate", 18: "openat", 19: "close", 22: "read", 23: "write", 26: "send", 27: "recv"}
CALLS = ["io_uring_enter", "read", "write", "readv", "writev", "pread64", "preadv", "preadv2", "pwrite64", "pwritev2", "recvfrom", "sendto",
         "recvmsg", "sendmsg", "accept4", "close", "shutdown", "epoll_wait", "epoll_ctl", "futex", "timerfd_settime", "madvise", "mmap", "munmap",
         "mprotect", "brk", "openat", "statx", "newfstat", "newfstatat", "fallocate", "fdatasync", "fsync", "setsockopt", "getsockopt",
         "getsockname", "getpeername", "fcntl", "getrandom", "sched_yield", "clock_nanosleep", "renameat2", "rename", "unlink", "mkdir",
         "rseq", "sched_getaffinity", "sched_setaffinity", "clone3", "rt_sigprocmask", "prctl", "getdents64", "lseek", "flock", "ppoll", "poll", "linkat", "unlinkat", "set_robust_list", "sigaltstack", "exit"]
ONE = ["raw_syscalls:sys_enter", "context-switches", "page-faults", "task-clock"]
METRICS = {"skein_log_syncs_total": "log syncs", "skein_log_batches_total": "log batches", "skein_log_records_total": "log records",
           "skein_log_written_bytes_total": "log bytes", "skein_message_reads_total": "message reads", "skein_checkpoint_syncs_total": "checkpoint syncs",
           "skein_session_bytes_total": "session bytes", "skein_pack_written_bytes_total": "pack bytes"}


def hide_auxv():
    """rustix asks the kernel for the auxiliary vector by prctl and finds a vDSO there that valgrind has hidden: refused, it reads /proc."""
    class Filter(ctypes.Structure):
        _fields_ = [("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint)]
    class Prog(ctypes.Structure):
        _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.POINTER(Filter))]
    rows = [(0x20, 0, 0, 0), (0x15, 0, 3, 157), (0x20, 0, 0, 16), (0x15, 0, 1, 0x41555856), (0x06, 0, 0, 0x00050000 | 22), (0x06, 0, 0, 0x7fff0000)]
    prog = Prog(len(rows), (Filter * len(rows))(*[Filter(*row) for row in rows]))
    libc = ctypes.CDLL(None)
    assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.byref(prog), 0, 0) == 0


class Server:
    def __init__(self, binary, valgrind, base, more=""):
        self.folder, self.valgrind, self.binary, self.base, self.more = tempfile.mkdtemp(prefix="count-"), valgrind, binary, base, more
        self.process = None
        self.start()

    def start(self):
        ports = dict(imap=self.base, lmtp=self.base + 1, http=self.base + 2)
        self.ports = ports
        with open(f"{self.folder}/skein.toml", "w") as out:
            out.write(f'data_dir = "{self.folder}/data"\nshards = 1\n[listeners]\nimap = ["127.0.0.1:{ports["imap"]}"]\nlmtp = ["127.0.0.1:{ports["lmtp"]}"]\n'
                      f'http = ["127.0.0.1:{ports["http"]}"]\nimaps = []\npop3 = []\npop3s = []\n[auth]\nsources = [{{ driver = "static", users = "test{{1..200}}", password = "pass" }}]\n'
                      '[limits]\nconnections_per_user_max = 0\n[imap]\nprogress_ms = 0\n[log]\nlevel = "warn"\n[safety]\nlandlock = false\nseccomp = false\n' + self.more)
        command = [self.binary, "serve", "--config", f"{self.folder}/skein.toml"]
        if self.valgrind:
            command = ["valgrind", "--tool=callgrind", "--cache-sim=yes", "--instr-atstart=no", "--fair-sched=yes", f"--callgrind-out-file={self.folder}/cg", *command]
        for _ in range(8):
            log = open(f"{self.folder}/log", "ab")
            self.process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=hide_auxv if self.valgrind else None)
            for _ in range(120):
                try:
                    for port in ports.values():
                        socket.create_connection(("127.0.0.1", port)).close()
                    return
                except OSError:
                    assert self.process.poll() is None, open(f"{self.folder}/log").read()
                    time.sleep(0.1)
            # Under valgrind a start hangs now and then.
            self.process.kill()
            self.process.wait()
        raise SystemExit("it did not start")

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(120)

    def end(self):
        self.stop()
        shutil.rmtree(self.folder)

    def metrics(self):
        # They are a second old at most.
        time.sleep(1.1)
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.ports['http']}/metrics").read().decode()
        found = {}
        for line in text.splitlines():
            name = re.split(r"[{ ]", line)[0]
            if name in METRICS:
                key = METRICS[name]
                for label in ("what", "from", "protocol", "direction"):
                    if value := re.search(rf'\b{label}="([^"]*)"', line):
                        key += " " + value[1]
                found[key] = found.get(key, 0) + float(line.split()[-1])
        return found

    def callgrind(self, *what):
        subprocess.run(["callgrind_control", *what, str(self.pid)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Client:
    """A connection that reads answers by lines and literals, whole buffers at a time."""

    def __init__(self, server, service="imap"):
        self.socket = socket.create_connection(("127.0.0.1", server.ports[service]))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.until()

    def until(self, mark=b""):
        """Reads to the line that begins so; the next line when nothing is said."""
        while True:
            at = 0 if self.buffer.startswith(mark) else self.buffer.find(b"\n" + mark) + 1 or -1
            end = self.buffer.find(b"\r\n", at) if at >= 0 else -1
            if end >= 0:
                line, self.buffer = self.buffer[at:end], self.buffer[end + 2:]
                return line
            # What is before the last line break is of no use to anybody.
            self.buffer = self.buffer[self.buffer.rfind(b"\n", 0, -1) if at < 0 else at:]
            more = self.socket.recv(1 << 18)
            assert more, self.buffer
            self.buffer += more

    def send(self, data):
        self.socket.sendall(data)

    def command(self, text):
        self.send(b"tag " + text.encode() + b"\r\n")
        line = self.until(b"tag ")
        assert b" OK" in line[:8], (text, line)

    def login(self, user):
        self.command(f"LOGIN test{user} pass")
        return self

    def close(self):
        self.socket.close()


WORDS = "the of and to in is that it was for on are with as his they be at one have this from or had by hot but some what there we can out other were all your when up use word how said an each she which do their time if will way about many then them would write like so these her long make thing see him two has look more day could go come did my sound no most number who over know water than call first people may down side been now find".split()


def mail(number, size):
    """A message of so many bytes; words by a small generator, so that they compress as text does."""
    state, lines, line = number * 2654435761 % (1 << 32) or 1, [], ""
    head = (f"From: Sender {number % 97} <sender{number % 97}@example.org>\r\nTo: Reader <reader@example.com>\r\nSubject: {'Re: ' if number % 3 == 0 else ''}Report {number * 7919 % 1009} of the week\r\n"
            f"Date: Mon, {number % 28 + 1} Jan 2024 10:{number % 60:02}:00 +0000\r\nMessage-ID: <{number}@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n")
    left = size - len(head)
    while left > 0:
        state = (state * 1103515245 + 12345) % (1 << 31)
        line += WORDS[(state >> 8) % len(WORDS)] + " "
        if len(line) > 66:
            lines.append(line.rstrip() + "\r\n")
            left -= len(lines[-1])
            line = ""
    return (head + "".join(lines))[:size - 2].rstrip("\r\n").encode() + b"\r\n"


def fill(server, user, count, size, mailbox="INBOX"):
    client = Client(server).login(user)
    if mailbox != "INBOX":
        client.command(f"CREATE {mailbox}")
    for start in range(1, count + 1, 100):
        mails = [mail(number, size) for number in range(start, min(start + 100, count + 1))]
        client.send(f"tag APPEND {mailbox}".encode() + b"".join(b" {%d+}\r\n%s" % (len(one), one) for one in mails) + b"\r\n")
        assert b" OK" in client.until(b"tag ")
    client.close()


# What is counted: each makes, of a server, a function that does it n times.

def lmtp(connections, size=10240):
    def make(server):
        clients = []
        for _ in range(connections):
            client = Client(server, "lmtp")
            client.send(b"LHLO me\r\n")
            client.until(b"250 ")
            clients.append(client)
        text = [mail(number, size) + b".\r\n" for number in range(100)]
        def run(n):
            sent, done, selector = 0, 0, selectors.DefaultSelector()
            def step(client):
                # As a mail server without pipelining at DATA: MAIL and RCPT at once, then the text.
                nonlocal sent
                client.state, user = 0, sent % 100 + 1
                client.text = text[sent % 100]
                sent += 1
                client.send(b"MAIL FROM:<a@example.org>\r\nRCPT TO:<test%d>\r\nDATA\r\n" % user)
            for client in clients[:n]:
                client.buffer = b""
                step(client)
                selector.register(client.socket, selectors.EVENT_READ, client)
            while done < n:
                for key, _ in selector.select():
                    client = key.data
                    client.buffer += client.socket.recv(65536)
                    if client.state == 0 and b"354 " in client.buffer and client.buffer.endswith(b"\r\n"):
                        client.state, client.buffer = 1, b""
                        client.send(client.text)
                    elif client.state == 1 and client.buffer.endswith(b"\r\n"):
                        assert client.buffer.startswith(b"250 "), client.buffer
                        done, client.buffer = done + 1, b""
                        if sent < n:
                            step(client)
                        else:
                            selector.unregister(client.socket)
                    else:
                        assert client.buffer[:1] in b"23", client.buffer
        return run
    return make


def append(server):
    client, text = Client(server).login(150), mail(1, 5632)
    def run(n):
        for _ in range(n):
            client.send(b"tag APPEND INBOX {%d+}\r\n%s\r\n" % (len(text), text))
            assert b" OK" in client.until(b"tag ")
    return run


def sessions(server):
    def run(n):
        for _ in range(n):
            client = Client(server).login(3)
            client.command("SELECT INBOX")
            client.command("LOGOUT")
            client.close()
    return run


def selected(user):
    def prepared(server):
        client = Client(server).login(user)
        client.command("SELECT INBOX")
        return client
    return prepared


def messages(user, what, before=None):
    """A command on the first n messages."""
    def make(server):
        client = selected(user)(server)
        def run(n):
            if before:
                client.command(before.format(n=n))
            client.command(what.format(n=n))
        return run
    return make


def one_by_one(user, what, count):
    def make(server):
        client = selected(user)(server)
        def run(n):
            for i in range(n):
                client.command(what.format(i=i % count + 1))
        return run
    return make


def pipelined(user, line):
    def make(server):
        client = selected(user)(server)
        def run(n):
            for _ in range(n // 100):
                client.send(line * 99 + line.replace(b"a ", b"tag ", 1))
                client.until(b"tag ")
        return run
    return make


def push(server):
    watcher, writer = selected(3)(server), selected(3)(server)
    watcher.send(b"i IDLE\r\n")
    watcher.until(b"+ ")
    def run(n):
        for i in range(n):
            writer.command(f"STORE 1 {'+-'[i % 2]}FLAGS.SILENT (\\Flagged)")
            watcher.until(b"* 1 FETCH")
    return run


def flag_one(server):
    writer = selected(3)(server)
    def run(n):
        for i in range(n):
            writer.command(f"STORE 1 {'+-'[i % 2]}FLAGS.SILENT (\\Flagged)")
    return run


OF_MESSAGES = [
    ("FETCH FLAGS", messages(1, "FETCH 1:{n} FLAGS"), 1000, True),
    ("FETCH ENVELOPE", messages(1, "FETCH 1:{n} ENVELOPE"), 1000, True),
    ("FETCH BODYSTRUCTURE", messages(1, "FETCH 1:{n} BODYSTRUCTURE"), 1000, True),
    ("FETCH BODY.PEEK[] 22 KB, in the log", messages(2, "FETCH 1:{n} BODY.PEEK[]"), 100, True),
    ("SEARCH UNSEEN", messages(1, "SEARCH 1:{n} UNSEEN"), 1000, True),
    ("SEARCH FROM", messages(1, "SEARCH 1:{n} FROM zzqq"), 1000, True),
    ("SEARCH BODY", messages(1, "SEARCH 1:{n} BODY zzqq"), 1000, True),
    ("SORT SUBJECT, not kept", messages(1, "SORT (REVERSE SUBJECT FROM TO) UTF-8 1:{n}", None), 1000, False),
    ("SORT SUBJECT, kept", messages(1, "SORT (SUBJECT) UTF-8 1:{n}"), 1000, True),
    ("STORE 1:n", messages(1, "STORE 1:{n} +FLAGS (\\Flagged)", "STORE 1:{n} -FLAGS.SILENT (\\Flagged)"), 1000, True),
]
# Below store.snapshot_ops: all of them are in the log and in no snapshot.
OF_LOG = [
    ("FETCH FLAGS, in the log", messages(5, "FETCH 1:{n} FLAGS"), 450, True),
    ("FETCH ENVELOPE, in the log", messages(5, "FETCH 1:{n} ENVELOPE"), 450, True),
    ("SEARCH UNSEEN, in the log", messages(5, "SEARCH 1:{n} UNSEEN"), 450, True),
    ("SEARCH FROM, in the log", messages(5, "SEARCH 1:{n} FROM zzqq"), 450, True),
    ("SEARCH BODY, in the log", messages(5, "SEARCH 1:{n} BODY zzqq"), 450, True),
]
AT_LARGE = [
    ("LMTP 10 KB, 1 connection", lmtp(1), 300, True),
    ("LMTP 10 KB, 50 connections", lmtp(50), 1500, True),
    ("APPEND 5.5 KB", append, 300, True),
    ("LOGIN+SELECT+LOGOUT", sessions, 200, True),
    ("NOOP, one by one", one_by_one(3, "NOOP", 1), 500, True),
    ("NOOP, pipelined by 100", pipelined(3, b"a NOOP\r\n"), 2000, True),
    ("STATUS, pipelined by 100", pipelined(3, b"a STATUS INBOX (MESSAGES UIDNEXT UNSEEN)\r\n"), 2000, True),
    ("FETCH one BODY.PEEK[] 22 KB", one_by_one(2, "FETCH {i} BODY.PEEK[]", 200), 200, True),
    ("STORE one flag", flag_one, 300, True),
    ("STORE one flag, pushed to one in IDLE", push, 300, True),
]


def counted_calls(server, run, n):
    events = ONE + [f"syscalls:sys_enter_{call}" for call in CALLS if os.path.exists(f"/sys/kernel/tracing/events/syscalls/sys_enter_{call}")]
    command = ["perf", "stat", "-x", ";", "-o", f"{server.folder}/perf"]
    for event in events:
        command += ["-e", event]
    for opcode in RING:
        command += ["-e", "io_uring:io_uring_submit_req", "--filter", f"opcode == {opcode}"]
    pipes = [f"{server.folder}/{name}" for name in ("control", "ack")]
    for pipe in pipes:
        os.path.exists(pipe) or os.mkfifo(pipe)
    command += ["-e", "io_uring:io_uring_submit_req", "-D", "-1", "--control", "fifo:" + ",".join(pipes), "-p", str(server.pid)]
    perf = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    control, ack = open(pipes[0], "w"), open(pipes[1])
    def tell(what):
        control.write(what + "\n")
        control.flush()
        assert ack.readline().strip("\0\n") == "ack"
    before = server.metrics()
    tell("enable")
    start = time.monotonic()
    run(n)
    took = time.monotonic() - start
    tell("disable")
    perf.send_signal(signal.SIGINT)
    perf.wait()
    after = server.metrics()
    names = [event.replace("raw_syscalls:sys_enter", "calls").replace("syscalls:sys_enter_", "") for event in events] + [f"ring {name}" for name in RING.values()] + ["ring requests"]
    rows = [line.split(";") for line in open(f"{server.folder}/perf") if ";" in line]
    assert len(rows) == len(names), (len(rows), len(names), open(f"{server.folder}/perf").read())
    counts = {name: float(row[0]) for name, row in zip(names, rows) if row[0][:1].isdigit()}
    counts |= {key: after[key] - before.get(key, 0) for key in after}
    return counts, took


def counted_instructions(server, run, n):
    server.callgrind("-z")
    start = time.monotonic()
    server.callgrind("-i", "on")
    run(n)
    server.callgrind("-i", "off")
    took = time.monotonic() - start
    server.callgrind("-d")
    time.sleep(0.3)
    dumps = [f for f in os.listdir(server.folder) if re.fullmatch(r"cg\.\d+", f)]
    last = max(dumps, key=lambda f: int(f.split(".")[1]))
    events, totals = None, None
    with open(f"{server.folder}/{last}") as dump:
        for line in dump:
            if line.startswith("events:"):
                events = line.split()[1:]
            if line.startswith(("summary:", "totals:")):
                totals = [int(x) for x in line.split()[1:]]
    shutil.copy(f"{server.folder}/{last}", f"{KEEP}/{server.name}-{n}.callgrind") if KEEP else None
    counts = dict(zip(events, totals))
    return {"instructions": counts["Ir"], "D1 misses": counts["D1mr"] + counts["D1mw"], "LL misses": counts["DLmr"] + counts["DLmw"] + counts["ILmr"],
            "I1 misses": counts["I1mr"]}, took


def measure(count, server, name, make, n, warm):
    server.name = re.sub(r"[^A-Za-z0-9]+", "-", name)
    run = make(server)
    if warm:
        run(2 * n)
    idle, seconds = count(server, lambda _: time.sleep(2), 0)
    rounds = []
    for _ in range(ROUNDS):
        once, short = count(server, run, n)
        twice, long = count(server, run, 2 * n)
        rounds.append({key: (twice[key] - once.get(key, 0) - idle.get(key, 0) / seconds * (long - short)) / n for key in twice})
    row = {key: statistics.median(round.get(key, 0) for round in rounds) for key in rounds[0]}
    text = ", ".join(f"{key} {value:.6g}" for key, value in row.items() if abs(value) >= 0.005)
    print(f"{name} (n = {n}): {text}", flush=True)


def main():
    global KEEP, ROUNDS
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--calls", action="store_true")
    parser.add_argument("--instructions", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--keep", default="", help="a folder for callgrind's files")
    parser.add_argument("--drained", action="store_true", help="messages are in packs and snapshots")
    parser.add_argument("--base", type=int, default=28000)
    args = parser.parse_args()
    KEEP = args.keep
    ROUNDS = 1 if args.instructions else 3
    if args.calls == args.instructions:
        parser.error("--calls or --instructions")
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    more = "[store]\nlog_keep_bytes = 0\nlog_keep_seconds = 1\nsegment_bytes = 1048576\nsnapshot_ops = 10\n" if args.drained else ""
    server = Server(os.path.abspath(args.binary), args.instructions, args.base, more)
    fill(server, 1, 2000, 1500)
    fill(server, 2, 200, 22528)
    fill(server, 3, 100, 1500)
    fill(server, 5, 900, 1500)
    time.sleep(5)
    if args.drained:
        fill(server, 4, 100, 22528)
        time.sleep(20)
        server.stop()
        server.start()
        time.sleep(2)
    print("filled", server.metrics(), flush=True)
    count = counted_instructions if args.instructions else counted_calls
    for name, make, n, warm in OF_LOG + OF_MESSAGES + ([] if args.drained else AT_LARGE):
        if args.only in name:
            if args.instructions and (name, make, n, warm) in AT_LARGE:
                n = max(100, n // 4)
            measure(count, server, name, make, n, warm)
    server.end()


main()
