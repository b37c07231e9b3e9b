"""Clients that mean harm, or are only broken, against a real server: slow ones, huge heads and bodies, what is no HTTP and no JSON, half-closed
sockets, pipelining, thousands of idle connections. After each, and meanwhile, others are served.

Usage: hostile_http_test.py BGL
"""
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import tiny_model

BGL = sys.argv.pop(1)
KEY = "a-long-and-secret-key"


def request(body, path="/v1/completions", extra=""):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: {len(body)}\r\n{extra}\r\n".encode() + body


GOOD = request({"prompt": "a", "max_tokens": 2})


class Hostile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.process = subprocess.Popen([BGL, "serve", tiny_model.make(BGL, cls.folder.name), "--port", "0", "--api-key", KEY], stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True)
        cls.port = int(re.search(r":(\d+)$", cls.process.stdout.readline().strip()).group(1))

    @classmethod
    def tearDownClass(cls):
        cls.process.send_signal(signal.SIGTERM)
        assert cls.process.wait(60) == 0
        cls.process.stdout.close()
        cls.process.stderr.close()
        cls.folder.cleanup()

    def connect(self):
        s = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        self.addCleanup(s.close)
        return s

    def answer(self, s):
        """The status and body of one answer."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = s.recv(65536)
            if not piece:
                return 0, data
            data += piece
        head, body = data.split(b"\r\n\r\n", 1)
        length = int(re.search(rb"Content-Length: (\d+)", head).group(1))
        while len(body) < length:
            body += s.recv(65536)
        self.rest = body[length:]
        return int(head.split()[1]), body[:length]

    def ask(self, data):
        s = self.connect()
        try:
            s.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before all was sent
        return self.answer(s)

    def tearDown(self):
        self.assertEqual(self.ask(GOOD)[0], 200, "others are served on")
        self.assertIsNone(self.process.poll())

    def resident(self):
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as f:
            return int(f.read().split()[1]) * resource.getpagesize()

    def test_a_slow_client_holds_nobody_up(self):
        slow = [self.connect() for _ in range(50)]
        for i in range(20):
            for s in slow:
                s.sendall(GOOD[i:i + 1])
            start = time.monotonic()
            self.assertEqual(self.ask(GOOD)[0], 200)
            self.assertLess(time.monotonic() - start, 10)
        for s in slow:
            s.sendall(GOOD[20:])
        self.assertEqual([self.answer(s)[0] for s in slow], [200] * 50)

    def test_huge_heads_and_bodies(self):
        self.assertEqual(self.ask(b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n")[0], 431)
        self.assertEqual(self.ask(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20000 + b"\r\n")[0], 431)
        self.assertEqual(self.ask(request({}).replace(b"Content-Length: 2", b"Content-Length: 99999999999"))[0], 413)
        self.assertEqual(self.ask(request({}).replace(b"Content-Length: 2", b"Content-Length: -1"))[0], 400)
        before = self.resident()
        chunked = request(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + (b"100000\r\n" + b"a" * 0x100000 + b"\r\n") * 20
        self.assertIn(self.ask(chunked)[0], (413, 0))
        self.assertLess(self.resident() - before, 200 << 20)

    def test_what_is_no_http(self):
        for data in [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"HELO there\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nHost\r\n\r\n",
                     b"\x00" * 100 + b"\r\n\r\n", b"GET  HTTP/1.1\r\n\r\n"]:
            self.assertEqual(self.ask(data)[0], 400, data)

    def test_what_is_no_json(self):
        for body in [b"", b"{", b"{\"prompt\":", b"\xff\xfe", b"null", b"[]", b"\"a\"", b"{}{}", b"[" * 1000000, b"{\"a\":" * 100000, b"{\"prompt\": \"\xc3\"}",
                     b"{\"prompt\": \"\\ud800\"}", b"{\"max_tokens\": " + b"9" * 1000 + b"}", b"1" * 1000000]:
            status, answer = self.ask(request(body))
            self.assertEqual(status, 400, body[:50])
            self.assertEqual(json.loads(answer)["error"]["type"], "invalid_request_error")

    def test_schemas_that_would_not_end(self):
        for schema in [{"$ref": "#"}, {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}, {"type": "array", "minItems": 1000, "items": {"type": "string", "minLength": 4000}},
                       {"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}}]:
            body = {"prompt": "a", "max_tokens": 50, "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}
            self.assertEqual(self.ask(request(body))[0], 400, schema)

    def test_half_closed_sockets(self):
        s = self.connect()
        s.sendall(GOOD[:-5])
        s.shutdown(socket.SHUT_WR)
        self.assertIn(self.answer(s)[0], (0, 400))
        for i in range(50):  # gone in the middle of its request, and of its answer
            s = self.connect()
            s.sendall(request({"prompt": "a", "max_tokens": 200, "stream": True}) if i % 2 else GOOD[:i])
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            s.close()

    def test_pipelining(self):
        s = self.connect()
        s.sendall(GOOD * 20)
        data = b""
        while data.count(b"HTTP/1.1 200 OK") < 20:
            piece = s.recv(65536)
            self.assertTrue(piece, data[-300:])
            data += piece

    def test_smuggled_requests(self):
        two = GOOD.replace(b"Host: x\r\n", b"Host: x\r\nTransfer-Encoding: chunked\r\n")
        self.assertEqual(self.ask(two)[0], 400)
        self.assertEqual(self.ask(GOOD.replace(b"Host: x\r\n", b"Content-Length: 3\r\nHost: x\r\n"))[0], 400)

    def test_wrong_keys(self):
        for key in ["", "Bearer", "Bearer ", "Bearer wrong", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", f"Basic {KEY}", KEY]:
            status, body = self.ask(GOOD.replace(f"Bearer {KEY}".encode(), key.encode()))
            self.assertEqual(status, 401, key)
            self.assertEqual(json.loads(body)["error"]["code"], "invalid_api_key")
        self.assertEqual(self.ask(b"GET /health HTTP/1.1\r\n\r\n")[0], 200)

    def test_idle_connections(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        count = min(10000, hard - 300)
        before = self.resident()
        idle = []
        try:
            for i in range(count):
                idle.append(socket.create_connection(("127.0.0.1", self.port), timeout=30))
                if i % 1000 == 0:
                    self.assertEqual(self.ask(GOOD)[0], 200)
            start = time.monotonic()
            self.assertEqual(self.ask(GOOD)[0], 200)
            print(f"{count} idle connections take {(self.resident() - before) / count / 1024:.1f} KiB each; a request took {time.monotonic() - start:.3f} s")
            if not os.environ.get("BGL_SANITIZED"):  # sanitizers have memory of their own
                self.assertLess((self.resident() - before) / count, 32 << 10)
            idle[count // 2].sendall(GOOD)
            self.assertEqual(self.answer(idle[count // 2])[0], 200)
        finally:
            for s in idle:
                s.close()


if __name__ == "__main__":
    unittest.main(verbosity=1)
