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


def run(*args, stdin=b"", fails=None):
    done = subprocess.run([bgl, *args], input=stdin, capture_output=True, check=False)
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
print("the verbs of bgl lake hold")
