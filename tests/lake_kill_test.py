"""Kills `bgl lake put` with SIGKILL at a growing number of acknowledgements: what the lines on stdout acknowledged is there.

usage: lake_kill_test.py BGL
"""
import os
import signal
import subprocess
import sys
import tempfile

bgl = sys.argv[1]
FILES = 400


def run(*args):
    done = subprocess.run([bgl, "lake", *args], capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"bgl lake {' '.join(args)}: exit {done.returncode}\n{done.stderr.decode()}")
    return done.stdout


def content(i):
    return f"{i} ".encode() * (i % 97)


def put_and_kill(lake, docs, acknowledgements):
    """Returns how many files the writer acknowledged before it died."""
    writer = subprocess.Popen([bgl, "lake", "put", lake, docs, "--batch-files", "7"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL)
    acknowledged = 0
    for _ in range(acknowledgements):
        line = writer.stdout.readline().decode()
        if not line.startswith("committed "):
            break
        acknowledged = int(line.split("), ")[1].split()[0])
    writer.send_signal(signal.SIGKILL)
    for line in writer.stdout.read().decode().splitlines():
        if line.startswith("committed ") and line.endswith("in all"):
            acknowledged = int(line.split("), ")[1].split()[0])
    writer.wait()
    return acknowledged


def check(kill_after):
    with tempfile.TemporaryDirectory() as top:
        docs = os.path.join(top, "docs")
        lake = os.path.join(top, "lake")
        os.mkdir(docs)
        names = [f"{i:04}" for i in range(FILES)]
        for i, name in enumerate(names):
            with open(os.path.join(docs, name), "wb") as f:
                f.write(content(i))
        acknowledged = put_and_kill(lake, docs, kill_after)
        if acknowledged < 7 * kill_after:
            sys.exit(f"only {acknowledged} files were acknowledged before the kill")
        run("verify", lake)
        listed = run("ls", lake).decode().split()
        if listed[:acknowledged] != [f"docs/{n}" for n in names[:acknowledged]]:
            sys.exit(f"{acknowledged} files were acknowledged, {len(listed)} are there")
        for i in range(0, acknowledged, 11):
            if run("get", lake, f"docs/{names[i]}") != content(i):
                sys.exit(f"docs/{names[i]} has other bytes")
        last = run("put", lake, docs).decode().splitlines()[-1]
        if last != f"400 files: {FILES - len(listed)} added, 0 replaced, {len(listed)} unchanged":
            sys.exit(f"the next writer says: {last}")
        return acknowledged


for kill_after in (1, 2, 5, 11, 20):
    print(f"killed after {check(kill_after)} acknowledged files: all there")
