"""The verbs of `bgl lake` as a shell meets them: names of any bytes, tar both ways, removal, snapshots, names that lead elsewhere.

usage: lake_verbs_test.py BGL
"""
import io
import os
import subprocess
import sys
import tarfile
import tempfile

bgl = sys.argv[1]


def run(*args, stdin=b"", fails=None, warns=""):
    done = subprocess.run([bgl, *args], input=stdin, capture_output=True, check=False)
    if warns not in done.stderr.decode():
        sys.exit(f"bgl {args}: no '{warns}' in\n{done.stderr.decode()}")
    if (done.returncode != 0) != (fails is not None) or (fails or "") not in done.stderr.decode():
        sys.exit(f"bgl {args}: exit {done.returncode}\n{done.stderr.decode()}")
    return done.stdout


def tar_of(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(os.fsdecode(name))
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def files_of_tar(raw):
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        return {os.fsencode(m.name): tar.extractfile(m).read() for m in tar}


FILES = {b"plain": b"1", b"sub/with space": b"", b"line\nend": b"22", b"not \xff utf8": b"333", b"n" * 300: b"x" * 100000}

with tempfile.TemporaryDirectory() as tmp:
    lake = os.path.join(tmp, "lake")
    run("lake", "put", lake, "--tar", "-", stdin=tar_of(FILES))
    assert run("lake", "ls", lake, "-0") == b"".join(n + b"\0" for n in sorted(FILES))
    assert files_of_tar(run("lake", "export", lake, "--tar", "-")) == FILES

    # Names from standard input, ended by zero bytes, are put under themselves.
    odd = os.path.join(os.fsencode(tmp), b"odd\n\xff")
    with open(odd, "wb") as f:
        f.write(b"odd")
    run("lake", "put", lake, "--files-from", "-", "-0", stdin=odd + b"\0")
    assert run("lake", "get", lake, odd) == b"odd"

    run("lake", "snapshot", "keep", lake, "before")
    run("lake", "rm", lake, "plain", "never", fails="1 of the paths were not in the lake; with --force that is no failure")
    run("lake", "rm", lake, "plain", "--force")
    run("lake", "rm", lake, "--prefix", "sub/")
    run("lake", "get", lake, "plain", fails="no file plain in lake")
    assert run("lake", "get", lake, "plain", "--snapshot", "before") == b"1"
    assert run("lake", "snapshot", "ls", lake).startswith(b"before 6 files")
    run("lake", "compact", lake)
    run("lake", "snapshot", "drop", lake, "before")
    run("lake", "get", lake, "plain", "--snapshot", "before", fails="no snapshot before in lake")
    run("lake", "verify", lake)
    assert len(run("lake", "sample", lake, "--count", "4", "-0").split(b"\0")) == 5

    # bgl verify knows a lake, and a folder with a manifest.json.
    run("verify", lake)
    segment = next(os.path.join(lake, f) for f in os.listdir(lake) if f.startswith("segment"))
    with open(segment, "r+b") as f:
        f.seek(80)
        byte = f.read(1)[0]
        f.seek(80)
        f.write(bytes([byte ^ 4]))
    run("verify", lake, fails=os.path.basename(segment))
    with open(segment, "r+b") as f:
        f.seek(80)
        f.write(bytes([byte]))
    plain = os.path.join(tmp, "plain")
    os.mkdir(plain)
    with open(os.path.join(plain, "weights"), "w") as f:
        f.write("123")
    run("verify", plain, fails="is none of: lake (a folder with MANIFEST), kernels (a folder with compiled kernels), "
        "checkpoint (a folder with index.json and boxes-0.safetensors), shards (a folder with the manifest.json of `bgl prep tokenize`), "
        "files (a folder with manifest.json), bare files (models and shards of other programs), and holds none")
    run("verify", plain, "--record")
    run("verify", plain)
    with open(os.path.join(plain, "weights"), "w") as f:
        f.write("124")
    run("verify", plain, fails="weights: its checksum differs from the one in manifest.json")

    # A name that leads out of the target is left out, told, and the exit status says so.
    run("lake", "put", lake + "2", "--tar", "-", stdin=tar_of({b"../evil": b"e", b"a/../../evil": b"e", b"/abs": b"e", b"good": b"g"}))
    target = os.path.join(tmp, "target")
    run("lake", "export", lake + "2", "--to", target, fails="3 files were left out because their names lead out of the target")
    assert [os.path.join(d, f) for d, _, fs in os.walk(target) for f in fs] == [os.path.join(target, "good")]
    assert not os.path.exists(os.path.join(tmp, "evil"))
    run("lake", "export", lake + "2", "--to", target, fails="is not empty; name a new or empty folder")
    run("lake", "put", lake, fails="nothing to put")
    run("lake", "put", lake, "--tar", "-", stdin=b"\x1f\x8b" * 600, fails="standard input: at byte 0 there is no tar header")

    # A cut archive, one after another, folders of one name, and the lake below what is put.
    archive = tar_of({b"x": b"1" * 512, b"y": b"2" * 512})
    run("lake", "put", lake + "3", "--tar", "-", stdin=archive[:2048], warns="it may have been cut there")
    run("lake", "put", lake + "3", "--tar", "-", stdin=archive + archive, warns="put each by itself")
    for folder in ("run1/logs", "run2/logs"):
        os.makedirs(os.path.join(tmp, "in", folder))
        with open(os.path.join(tmp, "in", folder, "log"), "w") as f:
            f.write(folder)
    run("lake", "put", lake + "4", os.path.join(tmp, "in/run1/logs"), os.path.join(tmp, "in/run2/logs"), fails="would both be \"logs\" in the lake")
    own = os.path.join(tmp, "in", "own.lake")
    for _ in range(2):
        run("lake", "put", own, os.path.join(tmp, "in"), warns="is the lake itself: left out")
    assert run("lake", "ls", own) == b"in/run1/logs/log\nin/run2/logs/log\n"
    run("lake", "export", own, "--files-from", "-", "--to", os.path.join(tmp, "out"), stdin=b"./in/run1/logs/log\n")
    run("lake", "export", own, "--files-from", "-", "--prefix", "in", "--tar", "-", fails="name one of them")

    # What could not be printed is no success.
    with open("/dev/full", "wb") as full:
        for args in (("get", own, "in/run1/logs/log"), ("stat", own), ("put", own, odd)):
            assert subprocess.run([bgl, "lake", *args], stdout=full, stderr=subprocess.DEVNULL, check=False).returncode == 1, args

    # A lake that has lost its manifest, however deep, and in a folder whose own manifest speaks for other files.
    deep = os.path.join(tmp, "all", "a", "b", "c", "d")
    os.makedirs(deep)
    os.rename(own, os.path.join(deep, "lake"))
    run("verify", os.path.join(tmp, "all"), "--record")
    assert b"lake, 3 files" in run("verify", os.path.join(tmp, "all"))
    os.remove(os.path.join(deep, "lake", "MANIFEST"))
    run("verify", os.path.join(tmp, "all"), fails="its MANIFEST is gone")
    with open(os.path.join(tmp, "manifest.json"), "w") as f:
        f.write('{"name": "another program"}')
    run("verify", tmp, "--record", fails="another program's")
print("the verbs of bgl lake hold")
