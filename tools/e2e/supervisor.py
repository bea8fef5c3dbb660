#!/usr/bin/env python3
"""Supervises a server as systemd does: keeps the descriptors that it sends (FDSTORE) and passes them to the next process.

usage: supervisor.py FOLDER PROGRAM ARGUMENT...

Commands on standard input, each answered by one line once it is done: `start`, `kill`, `stop`, `names`. The end of input kills
the server and ends.
"""

import array
import os
import signal
import socket
import sys

folder, command = sys.argv[1], sys.argv[2:]
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.bind(os.path.join(folder, "notify.sock"))
notify.settimeout(60)
kept = []  # (name, descriptor)
pid = None


def receive():
    """Takes one message; true for the one that says the server is ready."""
    size = array.array("i").itemsize
    message, ancillary, _, _ = notify.recvmsg(64 * 1024, socket.CMSG_SPACE(253 * size))
    got = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            got.frombytes(data[: len(data) - len(data) % size])
    lines = message.decode().split("\n")
    name = next((line[7:] for line in lines if line.startswith("FDNAME=")), "stored")
    if "FDSTORE=1" in lines:
        same = {(os.fstat(fd).st_dev, os.fstat(fd).st_ino) for _, fd in kept}
        for fd in got:
            if (os.fstat(fd).st_dev, os.fstat(fd).st_ino) in same:
                os.close(fd)
            else:
                kept.append((name, fd))
    if "FDSTOREREMOVE=1" in lines:
        for entry in [entry for entry in kept if entry[0] == name]:
            os.close(entry[1])
            kept.remove(entry)
    return "READY=1" in lines


def start():
    global pid
    environment = dict(os.environ, NOTIFY_SOCKET=os.path.join(folder, "notify.sock"))
    pid = os.fork()
    if pid == 0:
        # Out of the way of the numbers they get.
        high = [os.dup2(fd, 1000 + i) for i, (_, fd) in enumerate(kept)]
        log = os.open(os.path.join(folder, "server.log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        for i, fd in enumerate(high):
            os.dup2(fd, 3 + i, inheritable=True)
        os.closerange(3 + len(high), 3000)
        if kept:
            environment["LISTEN_PID"] = str(os.getpid())
            environment["LISTEN_FDS"] = str(len(kept))
            environment["LISTEN_FDNAMES"] = ":".join(name for name, _ in kept)
        os.execve(command[0], command, environment)
    while not receive():
        pass


def end(how):
    global pid
    os.kill(pid, how)
    os.waitpid(pid, 0)
    pid = None


for line in sys.stdin:
    verb = line.strip()
    if verb == "start":
        start()
        print("started", flush=True)
    elif verb in ("kill", "stop"):
        end(signal.SIGKILL if verb == "kill" else signal.SIGTERM)
        print("ended", flush=True)
    elif verb == "names":
        print(" ".join(sorted(name for name, _ in kept)), flush=True)
if pid is not None:
    end(signal.SIGKILL)
