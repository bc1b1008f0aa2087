"""What tests and measurements of publishing have in common: the program with data of its own, chats, what readers of a place see, and servers on loopback."""

import base64
import contextlib
import gzip
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

READALONG = os.environ["READALONG"]
STARTS_WITHIN_S = 60
# Pages are split by weight: so many messages make some.
MESSAGES = 400

scratch = tempfile.TemporaryDirectory(prefix="readalong-places-")
SCRATCH = pathlib.Path(scratch.name)


class Publisher:
    """The program with a data folder of its own."""

    def __init__(self, **more):
        self.data = pathlib.Path(tempfile.mkdtemp(dir=SCRATCH))
        # What lies in the program's own folder is not followed.
        self.home = self.data / "home"
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "READALONG"))},
            "READALONG_DATA": str(self.home),
            "READALONG_CONFIG": os.devnull,
            "AWS_ACCESS_KEY_ID": "key-of-the-test",
            "AWS_SECRET_ACCESS_KEY": "secret-of-the-test",
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
            "GIT_CONFIG_GLOBAL": os.devnull,
            **more,
        }

    def start(self, *arguments, before=(), stdin=subprocess.DEVNULL, **more):
        return subprocess.Popen(
            [*before, READALONG, *map(str, arguments)],
            env={**self.env, **more},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments, input=None, **more):
        process = self.start(*arguments, stdin=subprocess.DEVNULL if input is None else subprocess.PIPE, **more)
        out, err = process.communicate(input, timeout=300)
        return process.returncode, out, err

    def ok(self, *arguments, **more):
        code, out, err = self.run(*arguments, **more)
        assert code == 0, f"{arguments}: {code}\n{out}{err}"
        return out, err

    def publish(self, what, target, *arguments):
        out, _ = self.ok("publish", what, "--to", target, "--json", *arguments)
        return json.loads(out)


def chat(path, messages=MESSAGES, changed=None, title="A chat that is published"):
    """A transcript of messages; one of them may say something else."""
    lines = []
    for n in range(messages):
        role = "user" if n % 2 == 0 else "assistant"
        said = f"Message {n} of a chat. " + "It says a few words more, as messages do. " * 12
        if n == changed:
            said = f"Message {n} was written anew. " + "It says other words now, as edited messages do. " * 12
        lines.append(json.dumps({"id": f"m{n}", "role": role, "content": said}))
    path.write_text("\n".join(lines) + "\n")
    return path


def whole(get, share):
    """Reads a share as a browser does, from its link: every file of one version, each as the manifest says. Answers with the bundle id."""
    head = get(f"s/{share}/index.html").decode()
    folder = re.search(r'id="go" href="([0-9a-f]{16})/index.html"', head)
    if folder is None:
        return None
    base = f"s/{share}/{folder.group(1)}"
    manifest = get(f"{base}/manifest.json")
    assert manifest is not None, "the head names a version that is not there"
    for file in json.loads(manifest)["files"]:
        body = get(f"{base}/{file['path']}")
        assert body is not None, f"{file['path']} is missing"
        assert hashlib.sha256(body).hexdigest() == file["sha256"], f"{file['path']} is of another version"
    return hashlib.sha256(manifest).hexdigest()


def http_get(port, path):
    """Body (unpacked) and headers; nothing where the host answers 404."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        if response.status == 404:
            return None, response.headers
        assert response.status == 200, f"{path}: {response.status}"
        if response.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        return body, response.headers
    finally:
        connection.close()


def names_below(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def handed_over(script):
    text = script.decode()
    return json.loads(text[text.index(",") + 1 : text.rindex(")")])


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port, process):
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args[0]} ended with {process.returncode}")
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens at {port}")


def start_moto(cls, bucket):
    """An S3 server with a bucket that everybody may read."""
    import boto3

    cls.port = free_port()
    cls.log = SCRATCH / f"moto-{bucket}.log"
    with open(cls.log, "w") as log:
        cls.server = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(cls.port)], stdout=log, stderr=log)
    wait_for(cls.port, cls.server)
    keys = {"aws_access_key_id": "key-of-the-test", "aws_secret_access_key": "secret-of-the-test"}
    cls.client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{cls.port}", region_name="us-east-1", **keys)
    cls.client.create_bucket(Bucket=bucket)
    readers = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    cls.client.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [readers]}))
    cls.env = {"AWS_ENDPOINT": f"http://127.0.0.1:{cls.port}"}


def stop_moto(cls):
    cls.server.terminate()
    cls.server.wait()


class Proxy:
    """Stands between the program and a server on loopback, and is a bad network or a full disk when told to."""

    def __init__(self, port):
        self.upstream = port
        self.bytes_left = None  # towards the server, after which connections are cut
        self.answer = None  # instead of what the server would say to a request that writes
        self.sent = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=[client], daemon=True).start()

    def serve(self, client):
        try:
            with client, socket.create_connection(("127.0.0.1", self.upstream)) as server, contextlib.ExitStack() as end:
                for side in [client, server]:
                    end.callback(side.shutdown, socket.SHUT_RDWR)
                threading.Thread(target=self.pump_back, args=[server, client], daemon=True).start()
                while data := client.recv(1 << 16):
                    is_write = data.startswith((b"PUT ", b"POST "))
                    if self.answer and is_write:
                        client.sendall(f"HTTP/1.1 {self.answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
                        return
                    if self.bytes_left is not None:
                        data = data[: max(0, self.bytes_left)]
                        self.bytes_left -= len(data)
                    self.sent += len(data)
                    server.sendall(data)
                    if self.bytes_left == 0:
                        return
        except OSError:
            pass

    @staticmethod
    def pump_back(server, client):
        try:
            while data := server.recv(1 << 16):
                client.sendall(data)
        except OSError:
            pass
        finally:
            # The server has ended: who waits for more has to know.
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_WR)

    def heal(self):
        self.bytes_left = self.answer = None

    def close(self):
        self.listener.close()


class Sealed:
    """Opens what is encrypted, as docs/encryption.md has it."""

    def __init__(self, key):
        self.key = base64.urlsafe_b64decode(key + "=")

    def derive(self, what, salt=None):
        return HKDF(hashes.SHA256(), 32, salt, f"readalong sealed 1 {what}".encode()).derive(self.key)

    def open(self, purpose, name, script):
        tag, sealed = re.fullmatch(rb'sealed\("([0-9a-f]{64})","([A-Za-z0-9+/=]*)"\);\n', script).groups()
        tag, what = bytes.fromhex(tag.decode()), f"piece {purpose}"
        plain = AESGCM(self.derive(what, tag)).decrypt(bytes(12), base64.b64decode(sealed), f"readalong sealed 1 {what}".encode())
        named = f"{purpose}\0{name}\0".encode() + hashlib.sha256(plain).digest()
        assert hmac.digest(self.derive("names"), named, "sha256") == tag, f"{name} was exchanged"
        body = plain[5 : 5 + int.from_bytes(plain[1:5], "big")]
        return zlib.decompress(body, -15) if plain[0] else body

    def entries(self, folder):
        """What the index says: path, media type and tags of every file."""
        pieces = (folder / "index.js").read_bytes().splitlines(keepends=True)[1:]
        return json.loads(b"".join(self.open("index", str(n), piece) for n, piece in enumerate(pieces)))["files"]

    def files(self, folder):
        """Every file that the index names, by its path."""
        return {
            path: b"".join(self.open("file", f"{path}/{n}", (folder / f"files/{tag}.js").read_bytes()) for n, tag in enumerate(tags))
            for path, _, tags in self.entries(folder)
        }


class Live:
    """A page that is kept in step with its transcript."""

    @staticmethod
    def grow(path, begin, end, words=60):
        with open(path, "a") as file:
            for n in range(begin, end):
                said = f"Message {n}. " + "Some words more to read here. " * words
                file.write(json.dumps({"id": f"m{n}", "role": "user" if n % 4 == 0 else "assistant", "content": said}) + "\n")

    @staticmethod
    def steps(process):
        """Reads what it says of its steps, in a thread of its own."""
        said = []

        def read():
            for line in process.stdout:
                said.append(json.loads(line))

        threading.Thread(target=read, daemon=True).start()
        return said

    def files(self, root, share, key=None):
        """All files of the version that readers see, in clear, and its folder."""
        record = json.loads((root / "s" / share / "share.json").read_text())
        folder = root / "s" / share / record["folder"]
        if key is None:
            # The head first: what it names is there before it.
            head = {f"data/{path.name}": path.read_bytes() for path in folder.glob("data/live.js")}
            return {name: (folder / name).read_bytes() for name in names_below(folder)} | head, folder
        sealed = Sealed(key)
        files = sealed.files(folder)
        for path in folder.glob("data/live*.js"):
            files[f"data/{path.name}"] = sealed.open("live", path.stem, path.read_bytes())
        return files, folder

    def shown(self, root, share, key=None):
        """What a reader sees who opens the last page: its items and what the frames bring."""
        files, _ = self.files(root, share, key)
        head = handed_over(files["data/live.js"])
        html = files[head["page"]].decode()
        seq = int(re.search(r'data-seq="(\d+)"', html).group(1))
        for n in range(head["first"], head["last"] + 1):
            for frame in handed_over(files[f"data/live-{n}.js"]):
                if frame["seq"] > seq:
                    html += "".join(op["put"]["html"] for op in frame["ops"] if "put" in op)
        return html

    def pages_bytes(self, root, share):
        _, folder = self.files(root, share)
        return sum(path.stat().st_size for path in folder.glob("*.html") if not path.name.startswith("contents"))

    def until(self, condition, within_s=30):
        def holds():
            try:
                return condition()
            except (FileNotFoundError, KeyError):  # one version or page goes while it is read, another is there
                return False

        end = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < end, "it did not come"
            time.sleep(0.05)

    def cost_of_a_message(self, before, new=400):
        """Bytes sent, and bytes of pages that came of it, for each of so many new messages after those that were there."""
        publisher = Publisher()
        root = pathlib.Path(tempfile.mkdtemp(dir=SCRATCH))
        file = publisher.data / "chat.jsonl"
        self.grow(file, 0, before)
        process = publisher.start("publish", file, "--to", root, "--live", "--json")
        said = self.steps(process)
        self.until(lambda: said, 120)
        share = os.listdir(root / "s")[0]
        begun = len(said)
        weighed = self.pages_bytes(root, share)
        for n in range(before, before + new, 2):
            self.grow(file, n, n + 2)
            time.sleep(0.02)
        self.until(lambda: f"Message {before + new - 1}." in self.shown(root, share))
        # What is there is said a moment later.
        self.until(lambda: said[-1]["seq"] == handed_over(self.files(root, share)[0]["data/live.js"])["seq"])
        sent = sum(step["bytes_sent"] for step in said[begun:])
        assert all(step["files_sent"] < 40 for step in said[begun:]), "the whole chat was sent again"
        rendered = self.pages_bytes(root, share) - weighed
        process.send_signal(signal.SIGINT)
        process.wait(60)
        return sent / new, rendered / new
