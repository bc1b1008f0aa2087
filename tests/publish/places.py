"""Publishing to real places: each does what docs/publishing.md promises, and survives what hosts, disks and other publishers do to it.

Starts an S3 server, nginx and an rsync daemon on loopback, and runs the program in READALONG. Ends with a line of totals, as every step of tests/run does.
"""

import base64
import concurrent.futures
import contextlib
import fcntl
import http.client
import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from parts import MESSAGES, Live, Proxy, Publisher, SCRATCH, Sealed, chat, free_port, handed_over, http_get, names_below, scratch, start_moto, stop_moto, wait_for, whole

# File-system calls that a publication makes; failures of each are tried at so many points, from the first one below the site to the last.
POINTS = 4
CALLS = "openat,mkdir,write,fsync,rename,linkat,unlink,unlinkat,rmdir,copy_file_range,ftruncate,flock,newfstatat,statx,getdents64"


class Nginx:
    """nginx that serves folders below a path, as a plain host does."""

    def __init__(self, root):
        self.port = free_port()
        folder = pathlib.Path(tempfile.mkdtemp(dir=SCRATCH))
        config = folder / "nginx.conf"
        config.write_text(
            f"""daemon off; pid {folder}/pid; error_log {folder}/log; worker_processes 1; events {{}}
http {{ access_log off; types {{ text/html html; text/css css; text/javascript js; application/json json; text/plain txt; }}
client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
server {{ listen 127.0.0.1:{self.port}; location /chats/ {{ alias {root}/; error_page 404 /chats/404.html; }} }} }}
"""
        )
        # Workers of a server that root starts are another user.
        for path in [SCRATCH, folder]:
            path.chmod(0o755)
        user = ["-g", "user root;"] if os.getuid() == 0 else []
        self.process = subprocess.Popen(["nginx", "-c", str(config), *user])
        wait_for(self.port, self.process)

    def get(self, path):
        return http_get(self.port, f"/chats/{path}")[0]

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Place:
    """What every place has to do. Those that inherit say how it is reached: `target`, `get(path)`, `names()`, `damage(path, change)`."""

    # What the program's environment has besides.
    env = {}

    def publisher(self):
        return Publisher(**self.env)

    def test_a_share_keeps_its_link_and_sends_only_what_is_new(self):
        publisher = self.publisher()
        file = chat(publisher.data / "chat.jsonl")
        first = publisher.publish(file, self.target)
        share = first["share"]
        self.assertEqual(whole(self.get, share), first["bundle"])
        before = self.names()

        again = publisher.publish(file, self.target)
        self.assertEqual((again["share"], again["files_sent"], again["bytes_sent"], again["files_copied"]), (share, 0, 0, 0))
        self.assertEqual(self.names(), before)

        chat(file, changed=MESSAGES - 3)
        second = publisher.publish(file, self.target)
        self.assertEqual(second["share"], share)
        self.assertNotEqual(second["bundle"], first["bundle"])
        self.assertEqual(whole(self.get, share), second["bundle"])
        self.assertGreater(second["files_copied"], second["files_sent"] / 2)
        # The page, its search data, the two copies of the chat, manifest, record, head.
        self.assertLessEqual(second["files_sent"], 9)
        # Nothing of the version before is left.
        folders = {name.split("/")[2] for name in self.names() if name.startswith(f"s/{share}/") and name.count("/") > 2}
        self.assertEqual(folders, {second["bundle"][:16]})

        listed, _ = publisher.ok("published", "--to", self.target, "--json")
        self.assertIn(second["bundle"], listed)
        publisher.ok("unpublish", file, "--to", self.target)
        self.assertIn("taken back", self.get(f"s/{share}/index.html").decode())
        self.assertEqual([name for name in self.names() if name.startswith(f"s/{share}/")], [f"s/{share}/index.html"])
        listed, _ = publisher.ok("published", "--to", self.target, "--json")
        self.assertNotIn(share, listed)

    def test_a_catalogue_lists_only_what_is_to_be_listed(self):
        publisher = self.publisher()
        one = publisher.publish(chat(publisher.data / "one.jsonl", 4), self.target, "--listed", "--title", "Seen by <all>")
        two = publisher.publish(chat(publisher.data / "two.jsonl", 6), self.target, "--title", "Known to few")
        index = self.get("index.html").decode()
        self.assertIn("Seen by &lt;all&gt;", index)
        self.assertIn(f"s/{one['share']}/", index)
        self.assertNotIn(two["share"], index + self.get("catalogue.json").decode())
        _, err = publisher.ok("publish", publisher.data / "one.jsonl", "--to", self.target, "--title", "Seen by <all>")
        self.assertIn("It is not listed on the site's first page any more", err)
        # Without a listed share there is no list, or an empty one.
        self.assertNotIn(one["share"], (self.get("index.html") or b"").decode() + (self.get("catalogue.json") or b"").decode())

    def test_a_dry_run_does_nothing(self):
        publisher = self.publisher()
        before = self.names()
        out, err = publisher.ok("publish", chat(publisher.data / "chat.jsonl", 4), "--to", self.target, "--dry-run")
        self.assertIn("send    s/", out)
        self.assertIn("nothing was done", err)
        self.assertEqual(self.names(), before)

    def test_two_publishers_of_one_share_leave_a_whole_version(self):
        publisher = self.publisher()
        share = publisher.publish(chat(publisher.data / "chat.jsonl", 40), self.target)["share"]
        others = []
        for n in range(3):
            other = self.publisher()
            others.append(other.start("publish", chat(other.data / "chat.jsonl", 40, changed=n), "--to", self.target, "--as", share, "--json"))
        bundles = []
        for other in others:
            out, err = other.communicate(timeout=120)
            if other.returncode == 0:
                bundles.append(json.loads(out)["bundle"])
            else:
                self.assertRegex(err, "somebody else|moved on")
        self.assertTrue(bundles)
        self.assertIn(whole(self.get, share), bundles)

    def test_of_shares_that_are_published_at_once_all_are_there(self):
        publishers = [self.publisher() for _ in range(4)]
        files = [chat(one.data / "chat.jsonl", 20) for one in publishers]

        def at_once(*arguments):
            started = [one.start(arguments[0], file, "--to", self.target, *arguments[1:]) for one, file in zip(publishers, files)]
            for process in started:
                out, err = process.communicate(timeout=120)
                self.assertEqual(process.returncode, 0, err)
                yield out

        shares = set()
        for published in map(json.loads, at_once("publish", "--listed", "--json")):
            self.assertEqual(whole(self.get, published["share"]), published["bundle"])
            shares.add(published["share"])
        listed = lambda: {one["share"] for one in json.loads(self.get("catalogue.json") or b'{"shares": []}')["shares"]}  # noqa: E731
        self.assertEqual(listed(), shares)
        list(at_once("unpublish"))
        self.assertEqual(listed(), set())

    def test_readers_never_see_a_mixture(self):
        publisher = self.publisher()
        file = chat(publisher.data / "chat.jsonl", 60)
        share = publisher.publish(file, self.target)["share"]
        seen, failed, done = set(), [], threading.Event()

        def read():
            while not done.is_set():
                try:
                    seen.add(whole(self.get, share))
                except Exception as error:  # noqa: BLE001 (it is what the test is about)
                    failed.append(repr(error))
                    return

        reader = threading.Thread(target=read)
        reader.start()
        bundles = {publisher.publish(chat(file, 60, changed=n), self.target)["bundle"] for n in range(2)}
        done.set()
        reader.join()
        self.assertEqual(failed, [])
        self.assertTrue(seen & bundles)

    def test_a_damaged_bundle_is_not_published(self):
        publisher = self.publisher()
        before = self.names()
        out, _ = publisher.ok("export", chat(publisher.data / "chat.jsonl", 4), "-o", publisher.data / "exports", "--json")
        bundle = pathlib.Path(json.loads(out)["path"])
        with open(bundle / "chat.md", "a") as file:
            file.write("x")
        code, _, err = publisher.run("publish", bundle, "--to", self.target)
        self.assertEqual(code, 2)
        self.assertIn("damaged and is not published (changed: chat.md)", err)
        self.assertEqual(self.names(), before)

    def test_a_file_that_was_damaged_there_is_sent_again(self):
        publisher = self.publisher()
        file = chat(publisher.data / "chat.jsonl", 40)
        first = publisher.publish(file, self.target)

        def damage(published, folder):
            names = [name for name in self.names() if name.startswith(f"s/{published['share']}/") and f"/{folder}/" in name]
            self.damage(names[0], lambda content: content[:9] + bytes([content[9] ^ 1]) + content[10:])

        damage(first, "assets")
        self.assertEqual(publisher.publish(file, self.target)["files_sent"], 1)
        self.assertEqual(whole(self.get, first["share"]), first["bundle"])
        sealed = publisher.publish(file, self.target, "--encrypt", "--as", "0123456789abcdef" * 2)
        damage(sealed, "files")
        self.assertEqual(publisher.publish(file, self.target, "--encrypt", "--as", sealed["share"])["files_sent"], 1)
        # Nor is it taken over into the next version.
        damage(first, "assets")
        second = publisher.publish(chat(file, 40, changed=3), self.target, "--as", first["share"])
        self.assertEqual(whole(self.get, first["share"]), second["bundle"])

    @contextlib.contextmanager
    def one_version(self):
        """What is read within is of one moment, where readers have it so."""
        yield

    def test_a_kill_in_the_middle_leaves_the_version_before(self):
        publisher = self.publisher()
        file = chat(publisher.data / "chat.jsonl")
        share = publisher.publish(file, self.target)
        bundles = {share["bundle"]}
        pauses = [0.02, 0.1, 0.2, 0.3, 0.45, 0.7]
        for n, pause in enumerate(pauses):
            chat(file, changed=n)
            process = publisher.start("publish", file, "--to", self.target, "--json")
            time.sleep(pause)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            with self.one_version():
                bundles.add(whole(self.get, share["share"]))
        last = publisher.publish(file, self.target)
        self.assertEqual(last["share"], share["share"])
        self.assertEqual(whole(self.get, share["share"]), last["bundle"])
        folders = {name.split("/")[2] for name in self.names() if name.startswith(f"s/{share['share']}/") and name.count("/") > 2}
        self.assertEqual(folders, {last["bundle"][:16]})


class FolderTest(Place, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(dir=SCRATCH))
        cls.root.chmod(0o755)
        cls.target = str(cls.root)
        cls.nginx = Nginx(cls.root)

    @classmethod
    def tearDownClass(cls):
        cls.nginx.stop()

    def get(self, path):
        return self.nginx.get(path)

    def names(self):
        return names_below(self.root)

    def damage(self, path, change):
        (self.root / path).write_bytes(change((self.root / path).read_bytes()))

    def test_two_commands_at_once_forget_nothing_of_each_other(self):
        publisher = self.publisher()
        files = [chat(publisher.data / f"{n}.jsonl", 4, title=f"Chat {n}") for n in range(6)]
        started = [publisher.start("publish", file, "--to", self.target, "--json") for file in files]
        ended = [process.communicate(timeout=120) for process in started]
        self.assertTrue(all(process.returncode == 0 for process in started), ended)
        shares = {json.loads(out)["share"] for out, _ in ended}
        self.assertEqual(len(shares), len(files))
        known = publisher.ok("published")[0]
        for share in shares:
            self.assertIn(share[:8], known)

    def test_verify_takes_the_version_of_a_site(self):
        publisher = Publisher()
        published = publisher.publish(chat(publisher.data / "chat.jsonl", 4), self.target)
        version = self.root / "s" / published["share"] / published["bundle"][:16]
        out, _ = publisher.ok("verify", version)
        self.assertIn(published["bundle"], out)

    def test_an_encrypted_share_shows_nothing_and_keeps_its_link(self):
        publisher = Publisher()
        root = pathlib.Path(tempfile.mkdtemp(dir=SCRATCH))
        file = chat(publisher.data / "chat.jsonl", 200, title="Nobody's title")
        first = publisher.publish(file, root, "--encrypt")
        link, key = first["link"].split("#k=")
        self.assertEqual(len(key), 43)
        again = publisher.publish(file, root, "--encrypt")
        self.assertEqual((again["link"], again["files_sent"]), (first["link"], 0))
        out, _ = publisher.ok("export", file, "-o", publisher.data / "exports", "--json")
        clear = pathlib.Path(json.loads(out)["path"])
        windows = set()
        for name in ["chat.md", "chat.json", "index.html"]:
            text = (clear / name).read_bytes()
            windows.update(text[at : at + 16] for at in range(len(text) - 15))
        version = root / "s" / first["share"] / json.loads((root / "s" / first["share"] / "share.json").read_text())["folder"]
        for path in [version / "index.js", *version.glob("files/*")]:
            held = path.read_bytes()
            seen = {held[at : at + 16] for at in range(len(held) - 15)} & windows
            self.assertEqual(seen, set(), path)
        for path in root.rglob("*"):
            if path.is_file():
                self.assertNotIn(b"Message 1", path.read_bytes(), path)
        record = json.loads((root / "s" / first["share"] / "share.json").read_text())
        self.assertNotIn("title", record)
        self.assertNotIn("bundle", record)
        chat(file, 200, changed=150)
        second = publisher.publish(file, root, "--encrypt")
        self.assertEqual(second["link"], first["link"])
        self.assertGreater(second["files_copied"], second["files_sent"])
        record = json.loads((root / "s" / first["share"] / "share.json").read_text())
        out, _ = publisher.ok("unpack", root / "s" / first["share"] / record["folder"], "--key", key, "-o", publisher.data / "unpacked")
        self.assertIn(second["bundle"], out)
        code, _, err = publisher.run("publish", file, "--to", root)
        self.assertEqual(code, 2)
        self.assertIn("is encrypted", err)

    def test_damage_of_an_encrypted_share_is_found_without_its_key(self):
        publisher = Publisher()
        root = publisher.data / "site"
        share = publisher.publish(chat(publisher.data / "chat.jsonl", 4), root, "--encrypt")["share"]
        self.assertIn("(encrypted)", publisher.ok("verify", root)[0])
        piece = next((root / "s" / share).glob("*/files/*.js"))
        before = piece.read_bytes()
        piece.write_bytes(before[:100] + b"." + before[101:])
        damaged = lambda: publisher.run("verify", root)[:2]  # noqa: E731
        self.assertEqual((damaged()[0], damaged()[1][:8]), (1, "damaged "))
        piece.unlink()
        self.assertEqual((damaged()[0], damaged()[1][:8]), (1, "damaged "))
        piece.write_bytes(before)
        publisher.ok("verify", root)

    def test_what_is_wrong_is_said(self):
        publisher = Publisher()
        file = chat(publisher.data / "chat.jsonl", 4)
        for target, says in [
            ("ftp://host/x", "`ftp://` is not known"),
            ("", "no place to publish to"),
            ("/dev/null/x", "help: a file has the name of a folder there"),
            ("git+file:///nowhere/at/all.git", "nowhere/at/all"),
            ("s3://no-such-bucket-here/x", "s3://no-such-bucket-here/x"),
        ]:
            more = {"AWS_ENDPOINT": "http://127.0.0.1:1"} if target.startswith("s3") else {}
            code, _, err = publisher.run("publish", file, "--to", target, **more)
            self.assertEqual(code, 2, target)
            self.assertIn(says, err)
        code, _, err = publisher.run("publish", publisher.data / "nothing.jsonl", "--to", self.target)
        self.assertEqual(code, 2)
        publisher.publish(file, self.target)
        code, _, err = publisher.run("unpublish", "0" * 32, "--to", self.target)
        self.assertEqual(code, 2)
        self.assertIn("has no share 000", err)

    def test_what_was_never_sent_is_not_listed_and_can_be_forgotten(self):
        publisher = Publisher()
        file = chat(publisher.data / "chat.jsonl", 4)
        (publisher.data / "file").write_text("")
        for place in [publisher.data / "file", f"rsync://127.0.0.1:{free_port()}/x"]:
            self.assertEqual(publisher.run("publish", file, "--to", place)[0], 2)
            self.assertEqual(publisher.ok("published")[0], "")
            _, err = publisher.ok("unpublish", file, "--to", place)
            self.assertIn("was never sent whole, and is forgotten here", err)
            self.assertEqual(json.loads((publisher.home / "published.json").read_text()), [])

    def test_a_packed_bundle_is_told_from_a_transcript(self):
        publisher = Publisher()
        out, _ = publisher.ok("export", chat(publisher.data / "chat.jsonl", 4), "-o", publisher.data / "exports", "--json")
        for kind in ["zip", "html"]:
            packed = publisher.data / f"chat.{kind}"
            publisher.ok("pack", json.loads(out)["path"], "--as", kind, "-o", packed)
            code, _, err = publisher.run("publish", packed, "--to", publisher.data / "site")
            self.assertEqual(code, 2)
            self.assertIn("is a packed bundle: unpack it", err)

    def test_what_is_encrypted_at_one_place_can_be_in_clear_at_another(self):
        publisher = Publisher()
        file = chat(publisher.data / "chat.jsonl", 4)
        sealed = publisher.publish(file, publisher.data / "sealed", "--encrypt")
        clear = publisher.publish(file, publisher.data / "clear")
        self.assertNotEqual(clear["share"], sealed["share"])
        self.assertEqual(publisher.publish(file, publisher.data / "clear")["share"], clear["share"])
        self.assertEqual(publisher.publish(file, publisher.data / "sealed", "--encrypt")["link"], sealed["link"])
        code, _, err = publisher.run("publish", file, "--to", publisher.data / "sealed")
        self.assertEqual(code, 2)
        self.assertIn("is encrypted", err)

    def test_what_is_at_a_place_that_is_away_is_not_forgotten(self):
        publisher = Publisher()
        root = publisher.data / "site"
        file = chat(publisher.data / "chat.jsonl", 4)
        link = publisher.publish(file, root, "--encrypt")["link"]
        for away in [True, False]:
            if away:
                root.rename(publisher.data / "away")
            else:
                root.mkdir()
            code, _, err = publisher.run("unpublish", file, "--to", root)
            self.assertEqual(code, 2)
            self.assertIn("there is no site at", err)
        root.rmdir()
        (publisher.data / "away").rename(root)
        self.assertEqual(publisher.publish(file, root, "--encrypt")["link"], link)
        publisher.ok("unpublish", file, "--to", root)
        self.assertEqual(names_below(root / "s"), [f"{link.split('/')[-2]}/index.html"])

    def test_nothing_is_made_where_nothing_is_sent(self):
        publisher = Publisher()
        file = chat(publisher.data / "chat.jsonl", 4)
        place = publisher.data / "nowhere" / "site"
        out, _ = publisher.ok("publish", file, "--to", place, "--dry-run", "--json")
        self.assertGreater(json.loads(out)["files_sent"], 4)
        code, _, err = publisher.run("published", "--to", place)
        self.assertEqual(code, 2)
        self.assertIn(f"there is no site at {place} now", err)
        self.assertEqual(publisher.run("unpublish", "0" * 32, "--to", place)[0], 2)
        self.assertFalse(place.parent.exists())

    def test_a_bundle_is_no_place(self):
        publisher = Publisher()
        file = chat(publisher.data / "chat.jsonl", 4)
        bundle = json.loads(publisher.ok("export", file, "-o", publisher.data / "exports", "--json")[0])["path"]
        code, _, err = publisher.run("publish", file, "--to", bundle)
        self.assertEqual(code, 2)
        self.assertIn("it is a bundle", err)
        publisher.ok("verify", bundle)

    def test_a_damaged_record_hides_no_other_share_and_goes(self):
        publisher = Publisher()
        root = publisher.data / "site"
        files = [chat(publisher.data / f"{n}.jsonl", n) for n in [4, 6]]
        shares = [publisher.publish(file, root)["share"] for file in files]
        record = root / "s" / shares[0] / "share.json"
        record.write_text("{broken")
        code, out, err = publisher.run("published", "--to", root)
        self.assertEqual(code, 1)
        self.assertIn(shares[1], out)
        self.assertIn(f"s/{shares[0]}/share.json", err)
        code, out, _ = publisher.run("verify", root)
        self.assertEqual(code, 1)
        self.assertIn(shares[1], out)
        self.assertIn(f"s/{shares[0]}/share.json` at", out)
        publisher.publish(files[0], root)
        self.assertEqual(json.loads(record.read_text())["share"], shares[0])
        record.write_text(record.read_text().replace(shares[0], "f" * 32))
        code, out, err = publisher.run("published", "--to", root)
        self.assertEqual(code, 1)
        self.assertIn("it is of another share", err)
        self.assertNotIn("f" * 32, out)
        record.write_text("{broken")
        publisher.ok("unpublish", shares[0], "--to", root)
        self.assertEqual(names_below(record.parent), ["index.html"])

    def test_what_a_crash_left_at_the_root_goes(self):
        publisher = Publisher()
        root = publisher.data / "site"
        file = chat(publisher.data / "chat.jsonl", 4)
        publisher.publish(file, root)
        left = root / ".index.html.readalong-partial"
        for command in ["publish", "unpublish"]:
            left.write_text("The title of a chat that was to be listed")
            self.assertEqual(publisher.run("verify", root)[0], 1)
            publisher.ok(command, file, "--to", root)
            self.assertFalse(left.exists())
            publisher.ok("verify", root)

    def test_verify_looks_at_the_version_that_readers_see(self):
        publisher = Publisher()
        root, before = publisher.data / "site", publisher.data / "before"
        file = chat(publisher.data / "chat.jsonl", 4)
        first = publisher.publish(file, root)
        shutil.copytree(root, before)
        second = publisher.publish(chat(file, 4, changed=2), root)
        # As it is after a kill between the record and the head.
        shutil.copytree(before / "s", root / "s", dirs_exist_ok=True, ignore=shutil.ignore_patterns("share.json"))
        place = root / "s" / first["share"]
        code, out, _ = publisher.run("verify", root)
        self.assertEqual(code, 1)
        self.assertIn(f"ok      {place / first['bundle'][:16]}", out)
        self.assertIn(f"unfinished {place / second['bundle'][:16]}", out)
        (place / first["bundle"][:16] / "chat.md").write_text("damaged")
        self.assertIn(f"damaged {place / first['bundle'][:16]}", publisher.run("verify", root)[1])
        publisher.publish(file, root)
        publisher.ok("verify", root)

    def test_a_file_that_was_cut_short_is_sent_again(self):
        publisher = Publisher()
        root = publisher.data / "site"
        file = chat(publisher.data / "chat.jsonl", 4)
        share = publisher.publish(file, root)
        page = root / "s" / share["share"] / share["bundle"][:16] / "index.html"
        page.write_text("")
        self.assertEqual(publisher.publish(file, root)["files_sent"], 1)
        self.assertEqual(whole(lambda path: (root / path).read_bytes(), share["share"]), share["bundle"])

    def test_a_link_with_a_key_keeps_its_key(self):
        publisher, other = Publisher(), Publisher()
        root = publisher.data / "site"
        file = chat(publisher.data / "chat.jsonl", 4)
        link = publisher.publish(file, root, "--encrypt")["link"]
        code, _, err = other.run("publish", file, "--to", root, "--as", link)
        self.assertEqual(code, 2)
        self.assertIn("is encrypted", err)
        self.assertEqual(other.publish(file, root, "--as", link, "--encrypt")["link"], link)
        # As the address bar has it after a click, published where nothing is remembered.
        share, key = link.split("/")[-2], link.split("#")[1]
        for fragment in [f"m29c1b289e752&{key}", f"p=contents.html&{key}", f"{key}&p=2"]:
            copied = f"https://x.example/s/{share}/#{fragment}"
            self.assertEqual(Publisher().publish(file, root, "--as", copied, "--encrypt")["link"], link)
        # A new key would open nothing for who has the link.
        code, _, err = Publisher().run("publish", file, "--to", root, "--as", share, "--encrypt")
        self.assertEqual(code, 2)
        self.assertIn("encrypted with a key that is not known here", err)

    def test_that_a_share_ends_is_said(self):
        publisher = Publisher()
        share = json.loads(publisher.ok("share", chat(publisher.data / "chat.jsonl", 4), "--expires", "12h", "--json")[0])["id"]
        _, err = publisher.ok("publish", share, "--to", publisher.data / "site")
        self.assertIn("what is published does not end by itself", err)

    def test_what_others_have_there_stays(self):
        publisher = Publisher()
        root = pathlib.Path(tempfile.mkdtemp(dir=SCRATCH))
        for name in ["404.html", "index.html"]:
            (root / name).write_text("somebody's own")
        file = chat(publisher.data / "chat.jsonl", 4)
        published = publisher.publish(file, root)
        code, _, err = publisher.run("publish", file, "--to", root, "--listed")
        self.assertEqual(code, 2)
        self.assertIn("has an `index.html` of its own", err)
        self.assertIn("help: publish to a folder below it", err)
        publisher.ok("unpublish", published["share"], "--to", root)
        for name in ["404.html", "index.html"]:
            self.assertEqual((root / name).read_text(), "somebody's own")

    def test_what_was_published_is_found_however_it_and_its_place_are_named(self):
        publisher = Publisher()
        root = publisher.data.resolve() / "site"
        file = chat(publisher.data / "chat.jsonl", 4)
        (publisher.data / "link").symlink_to(root)
        first = publisher.publish(file, root)
        # A folder by its whole path, and one record of it.
        self.assertEqual(first["link"], f"{root}/s/{first['share']}/index.html")
        for place in [f"{root}/", f"{root}/../site", publisher.data / "link", f"file://{root}"]:
            self.assertEqual(publisher.publish(file, place)["link"], first["link"])
        self.assertEqual(len(publisher.ok("published")[0].splitlines()), 1)
        for place, named in [(root, file), (f"{root}/", first["share"][:8]), (publisher.data / "link", first["title"])]:
            publisher.publish(file, root, "--as", first["share"])
            if named == file:
                file = file.rename(publisher.data / "moved.jsonl")
            publisher.ok("unpublish", named, "--to", place)
            self.assertEqual(publisher.ok("published")[0], "")

    def test_a_file_that_another_one_could_not_take_the_place_of_is_still_found(self):
        publisher = Publisher()
        root = publisher.data / "site"
        one, other = chat(publisher.data / "one.jsonl", 4), chat(publisher.data / "other.jsonl", 6, title="Other")
        share = publisher.publish(one, root)["share"]
        root.rename(publisher.data / "away")
        root.write_text("no folder")
        self.assertEqual(publisher.run("publish", other, "--to", root, "--as", share)[0], 2)
        root.unlink()
        (publisher.data / "away").rename(root)
        self.assertEqual(publisher.publish(one, root)["share"], share)
        self.assertEqual(publisher.publish(other, root, "--as", share)["share"], share)
        code, _, err = publisher.run("unpublish", one, "--to", root)
        self.assertEqual(code, 2)
        self.assertIn("nothing called", err)
        publisher.ok("unpublish", other, "--to", root)
        self.assertEqual(publisher.ok("published")[0], "")

    def test_of_two_that_are_called_the_same_none_is_taken_back(self):
        publisher = Publisher()
        root = publisher.data / "site"
        shares = [publisher.publish(chat(publisher.data / f"{n}.jsonl", n), root, "--title", "Same")["share"] for n in [4, 6]]
        code, _, err = publisher.run("unpublish", "Same", "--to", root)
        self.assertEqual(code, 2)
        self.assertIn("name one by its link or id", err)
        for share in shares:
            self.assertTrue((root / "s" / share / "share.json").exists())

    def test_a_chat_of_a_file_with_several_is_found_by_the_file(self):
        publisher = Publisher()
        root = publisher.data / "site"
        file = chat(publisher.data / "chat.jsonl", 4)
        for named in [file, f"{file}#1"]:
            share = publisher.publish(file, root, "--chat", "1")["share"]
            publisher.ok("unpublish", named, "--to", root)
            self.assertEqual(names_below(root / "s" / share), ["index.html"])

    def test_credentials_of_a_place_are_not_said(self):
        publisher = Publisher()
        file = chat(publisher.data / "chat.jsonl", 4)
        port = free_port()
        for place in [f"git+http://xyzzy@127.0.0.1:{port}/x.git", f"git+http://127.0.0.1:{port}/x.git?access_token=xyzzy", f"rsync://me:xyzzy@127.0.0.1:{port}/x", "ftp://me:xyzzy@host/x"]:
            code, out, err = publisher.run("publish", file, "--to", place)
            self.assertEqual(code, 2, place)
            self.assertNotIn("xyzzy", out + err + "".join(path.read_text() for path in publisher.home.glob("published.json")))

    def test_an_index_of_the_owner_takes_the_place_of_ours_and_stays(self):
        publisher = Publisher()
        root = publisher.data / "site"
        one, two = chat(publisher.data / "one.jsonl", 4), chat(publisher.data / "two.jsonl", 6)
        publisher.publish(one, root, "--listed")
        (root / "index.html").write_text("my own")
        code, _, err = publisher.run("publish", two, "--to", root, "--listed")
        self.assertEqual(code, 2)
        self.assertIn("has an `index.html` of its own", err)
        publisher.ok("unpublish", one, "--to", root)
        self.assertEqual((root / "index.html").read_text(), "my own")
        self.assertFalse((root / "catalogue.json").exists())
        self.assertEqual(publisher.run("publish", two, "--to", root, "--listed")[0], 2)
        self.assertEqual((root / "index.html").read_text(), "my own")

    def test_flags_for_transcripts_are_refused_for_bundles_and_shares(self):
        publisher = Publisher()
        root = publisher.data / "site"
        file = chat(publisher.data / "chat.jsonl", 4)
        bundle = json.loads(publisher.ok("export", file, "-o", publisher.data / "exports", "--json")[0])["path"]
        share = json.loads(publisher.ok("share", file, "--json")[0])["id"]
        for what in [bundle, share]:
            for flag, *value in [["--title", "X"], ["--no-artifacts"], ["--messages", "1..2"], ["--theme", "default"], ["--redact", "on"], ["--hide-mail"]]:
                code, _, err = publisher.run("publish", what, "--to", root, flag, *value)
                self.assertEqual(code, 2, f"{what} {flag}")
                self.assertIn(f"{flag} is for transcripts", err)
        self.assertFalse(root.exists())

    def test_shares_of_a_server_are_published_under_their_own_link(self):
        publisher = Publisher()
        out, _ = publisher.ok("share", chat(publisher.data / "chat.jsonl", 4), "--json")
        share = json.loads(out)["id"]
        published = publisher.publish(share, self.target)
        self.assertEqual(published["share"], share)
        self.assertEqual(whole(self.get, share), published["bundle"])
        out, _ = publisher.ok("share", publisher.data / "chat.jsonl", "--private", "--json")
        private = json.loads(out)["id"]
        code, _, err = publisher.run("publish", private, "--to", self.target)
        self.assertEqual(code, 2)
        self.assertIn("private", err)
        self.assertFalse((self.root / "s" / private).exists())


    def test_a_share_is_not_sent_in_clear_while_public_sharing_is_switched_off(self):
        publisher = Publisher()
        root = publisher.data / "site"
        share = json.loads(publisher.ok("share", chat(publisher.data / "chat.jsonl", 4), "--json")[0])["id"]
        server = publisher.start("serve", "--addr", "127.0.0.1:0")
        try:
            Live.until(self, lambda: (publisher.home / "server.json").exists())
            Api(publisher)("PATCH", "/api/v1/admin/settings", {"public_sharing": False})
            code, _, err = publisher.run("publish", share, "--to", root)
            self.assertEqual(code, 2)
            self.assertIn("asks for a sign-in while public sharing is switched off", err)
            self.assertFalse(root.exists())
            self.assertIn("#k=", publisher.publish(share, root, "--encrypt")["link"])
        finally:
            server.send_signal(signal.SIGINT)
            server.communicate(timeout=60)

    def test_a_share_that_is_deleted_or_made_private_while_it_is_published_is_not_there(self):
        publisher = Publisher()
        root = pathlib.Path(tempfile.mkdtemp(dir=SCRATCH))
        file = chat(publisher.data / "chat.jsonl", 6)
        server = publisher.start("serve", "--addr", "127.0.0.1:0")
        try:
            Live.until(self, lambda: (publisher.home / "server.json").exists())
            for change, says in [(["rm", "--yes"], "was deleted"), (["update", "--private"], "was made private")]:
                share = json.loads(publisher.ok("share", file, "--json")[0])["id"]
                # Whoever publishes waits for the place, and has the bundle already.
                with open(publisher.data / "log", "w") as log, lock_of(root):
                    process = publisher.start("publish", share, "--to", root, before=["strace", "-f", "-qq", "-y", "-e", "trace=flock", "-o", log.name])
                    # Not for the data folder, which the server has.
                    waits = lambda line: "EAGAIN" in line and f"<{root}>" in line  # noqa: E731
                    Live.until(self, lambda: any(map(waits, (publisher.data / "log").read_text().splitlines())))
                    publisher.ok(change[0], share, *change[1:])
                _, err = process.communicate(timeout=60)
                self.assertEqual(process.returncode, 2, err)
                self.assertIn(f"share {share} {says} while it was published; nothing of it is at {root} any more", err)
                self.assertLessEqual(set(names_below(root / "s" / share)), {"index.html"})
                self.assertNotIn(share, publisher.ok("published")[0])
        finally:
            server.send_signal(signal.SIGINT)
            server.communicate(timeout=60)


class DiskTest(unittest.TestCase):
    """EIO, ENOSPC and a kill at file-system calls of a publication to a folder."""

    @staticmethod
    def get(root):
        return lambda path: (root / path).read_bytes() if (root / path).is_file() else None

    @staticmethod
    def points(log, root):
        """The calls that are made to fail: of each kind, the numbers of some below the site, evenly from the first to the last."""
        numbers, below = {}, {}
        for line in log.read_text().splitlines():
            called = re.match(r"\d+ +(\w+)\(", line)
            if called:
                call = called.group(1)
                numbers[call] = numbers.get(call, 0) + 1
                if str(root) in line:
                    below.setdefault(call, []).append(numbers[call])
        return {call: sorted({nths[step * (len(nths) - 1) // (POINTS - 1)] for step in range(POINTS)}) for call, nths in below.items()}

    def fail(self, saved, publish, bundles, case):
        """One case, on a copy of the site."""
        (first, second), (call, failure, nth, is_followed) = bundles, case
        publisher = Publisher()
        root = publisher.data / "site"
        shutil.copytree(saved, root)
        strace = ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={call}", "-e", f"inject={call}:{failure}:when={nth}"]
        process = publisher.start(*publish(root), before=strace)
        _, err = process.communicate(timeout=120)
        said = f"{call} {failure} {nth}: {err}"
        share = os.listdir(root / "s")[0]
        self.assertIn(whole(self.get(root), share), [first, second], said)
        if failure != "signal=KILL" and process.returncode != 0:
            self.assertRegex(err, "error:|error while loading shared libraries", said)
        if is_followed:
            # Each kind of failure leaves something from which the next one goes on.
            publisher.ok(*publish(root))
            self.assertEqual(whole(self.get(root), share), second, said)
            self.assertEqual([name for name in names_below(root) if ".readalong-partial" in name], [], said)
        shutil.rmtree(root)

    def test_a_failing_disk_leaves_the_version_before(self):
        publisher = Publisher()
        saved = publisher.data / "saved"
        share = publisher.publish(chat(publisher.data / "chat.jsonl", 40), saved)["share"]
        out, _ = publisher.ok("export", chat(publisher.data / "other.jsonl", 40, changed=3), "-o", publisher.data / "exports", "--json")
        publish = lambda root: ["publish", json.loads(out)["path"], "--to", root, "--as", share, "--json"]  # noqa: E731
        root, log = publisher.data / "site", publisher.data / "calls"
        shutil.copytree(saved, root)
        process = publisher.start(*publish(root), before=["strace", "-f", "-y", "-qq", "-o", str(log), "-e", f"trace={CALLS}"])
        process.communicate(timeout=120)
        bundles = [whole(self.get(folder), share) for folder in [saved, root]]
        self.assertNotEqual(*bundles)
        points = self.points(log, root)
        self.assertLessEqual({"openat", "write", "fsync", "rename", "unlink"}, set(points))
        kinds = ["error=EIO", "error=ENOSPC", "signal=KILL"]
        cases = [(call, kind, nth, nth == nths[len(nths) // 2]) for call, nths in points.items() for kind in kinds for nth in nths]
        # Most of the time each waits for those who may be reading the version before.
        with concurrent.futures.ThreadPoolExecutor(24) as pool:
            for tried in [pool.submit(self.fail, saved, publish, bundles, case) for case in cases]:
                tried.result()
        print(f"failed calls: { {call: len(nths) * len(kinds) for call, nths in points.items()} }", file=sys.stderr)


    def test_what_cannot_be_read_is_not_taken_for_empty(self):
        publisher = Publisher()
        root = publisher.data / "site"
        for n in [4, 6]:
            publisher.publish(chat(publisher.data / f"{n}.jsonl", n), root)
        log = publisher.data / "calls"
        for command in [["verify", root], ["published", "--to", root]]:
            right, failed = publisher.ok(*command)[0], 0
            # Each thread counts for itself.
            for nth in range(1, 9):
                strace = ["strace", "-f", "-qq", "-o", log, "-e", "trace=getdents64", "-e", f"inject=getdents64:error=EIO:when={nth}"]
                process = publisher.start(*command, before=map(str, strace))
                out, err = process.communicate(timeout=60)
                failed += "INJECTED" in log.read_text()
                self.assertTrue(process.returncode != 0 or out == right, f"{command} {nth}: {out}{err}")
            self.assertTrue(failed > 1, str(command))


class ObjectsTest(Place, unittest.TestCase):
    target = "s3://chats/of/all"
    setUpClass = classmethod(lambda cls: start_moto(cls, "chats"))
    tearDownClass = classmethod(stop_moto)

    def get(self, path):
        return http_get(self.port, f"/chats/of/all/{path}")[0]

    def names(self):
        found = []
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket="chats", Prefix="of/all/"):
            found += [entry["Key"].removeprefix("of/all/") for entry in page.get("Contents", [])]
        return sorted(found)

    def damage(self, path, change):
        key = {"Bucket": "chats", "Key": f"of/all/{path}"}
        there = self.client.get_object(**key)
        said = {name: there[name] for name in ["ContentType", "ContentEncoding", "CacheControl"] if name in there}
        self.client.put_object(**key, **said, Body=change(there["Body"].read()))

    def test_objects_say_what_they_are(self):
        publisher = self.publisher()
        published = publisher.publish(chat(publisher.data / "chat.jsonl", 40), self.target)
        base = f"/chats/of/all/s/{published['share']}"
        _, head = http_get(self.port, f"{base}/index.html")
        self.assertEqual((head["Content-Type"], head["Cache-Control"]), ("text/html; charset=utf-8", "no-cache"))
        _, page = http_get(self.port, f"{base}/{published['bundle'][:16]}/index.html")
        self.assertEqual((page["Content-Type"], page["Content-Encoding"]), ("text/html; charset=utf-8", "gzip"))
        self.assertIn("max-age=3600", page["Cache-Control"])

    def test_a_text_that_is_sent_in_pieces_is_packed_as_well(self):
        publisher = self.publisher()
        log = "".join(f"line {n} of a long log\n" for n in range(800_000)).encode()
        data = f"data:text/plain;base64,{base64.b64encode(log).decode()}"
        content = [{"type": "text", "text": "Here is the log."}, {"type": "file", "file": {"filename": "long.log", "file_data": data}}]
        file = publisher.data / "chat.json"
        file.write_text(json.dumps([{"role": "user", "content": content}, {"role": "assistant", "content": "I see."}]))
        share = publisher.publish(file, self.target)["share"]
        name = next(name for name in self.names() if f"{share}/" in name and "/files/" in name)
        body, head = http_get(self.port, f"/chats/of/all/{name}")
        self.assertEqual(head["Content-Encoding"], "gzip")
        self.assertLess(int(head["Content-Length"]), len(log) // 4)
        self.assertEqual(body, log)

    def test_a_bucket_that_is_not_there_is_named(self):
        publisher = self.publisher()
        code, _, err = publisher.run("publish", chat(publisher.data / "chat.jsonl", 4), "--to", "s3://nobody-has-made-it/x")
        self.assertEqual(code, 2)
        self.assertIn("s3://nobody-has-made-it/x is not there: no such bucket", err)

    def test_that_there_are_no_credentials_is_said(self):
        publisher = Publisher(AWS_METADATA_ENDPOINT="http://127.0.0.1:1", **self.env)
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]:
            del publisher.env[name]
        code, _, err = publisher.run("publish", chat(publisher.data / "chat.jsonl", 4), "--to", self.target)
        self.assertEqual(code, 2)
        self.assertIn(f"{self.target} does not let us in: no credentials were found in the environment", err)
        self.assertIn("AWS_ACCESS_KEY_ID", err)

    def test_requests_do_not_grow_with_the_site(self):
        publisher = self.publisher()
        file = chat(publisher.data / "chat.jsonl", 40)
        target = "s3://chats/large"

        def requests():
            return self.log.read_text().count('HTTP/1.1"')

        share = publisher.publish(file, target)["share"]
        counts = []
        for shares in [0, 30]:
            for n in range(shares):
                key = f"large/s/{n:032x}/share.json"
                self.client.put_object(Bucket="chats", Key=key, Body=b"{}")
            before = requests()
            publisher.publish(chat(file, 40, changed=shares + 2), target, "--as", share)
            counts.append(requests() - before)
        self.assertLessEqual(abs(counts[1] - counts[0]), 1)


class FaultTest(unittest.TestCase):
    """An S3 server that is full or refuses, and a network that goes away in the middle."""

    setUpClass = classmethod(lambda cls: start_moto(cls, "faults"))
    tearDownClass = classmethod(stop_moto)

    def get(self, folder):
        return lambda path: http_get(self.port, f"/faults/{folder}/{path}")[0]

    def test_a_full_or_refusing_server_or_lost_network_leaves_the_version_before(self):
        # How much an update is on the wire.
        proxy, publisher, _, file, _ = self.begun("rehearsal")
        before = proxy.sent
        publisher.publish(chat(file, 120, changed=100), "s3://faults/rehearsal")
        size = proxy.sent - before
        proxy.close()
        # Each fault in a case of its own, all at once, since the program tries for a while before it gives up.
        cut = lambda share: lambda proxy: setattr(proxy, "bytes_left", int(size * share))  # noqa: E731
        says = lambda status: lambda proxy: setattr(proxy, "answer", status)  # noqa: E731
        cases = {f"cut-{share}": (cut(share), "connection (closed|error)|[Cc]onnection reset|Broken pipe|timed out") for share in [0, 0.2, 0.5, 0.8, 0.95]}
        cases["full"] = (says("507 Insufficient Storage"), "s3://faults/full is full\nhelp: make room there")
        cases["refusing"] = (says("503 Service Unavailable"), "503 Service Unavailable\nhelp: check the network")
        cases["denied"] = (says("403 Forbidden"), "does not let us in: .*403 Forbidden\nhelp: give credentials")
        with concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:
            for tried in [pool.submit(self.fail_once, name, *case) for name, case in cases.items()]:
                tried.result()

    def begun(self, name):
        """A first version, published through a network that works."""
        proxy = Proxy(self.port)
        publisher = Publisher(AWS_ENDPOINT=f"http://127.0.0.1:{proxy.port}")
        file = chat(publisher.data / "chat.jsonl", 120)
        return proxy, publisher, self.get(name), file, publisher.publish(file, f"s3://faults/{name}")

    def fail_once(self, name, fault, says):
        proxy, publisher, get, file, first = self.begun(name)
        target, share = f"s3://faults/{name}", first["share"]
        chat(file, 120, changed=100)
        fault(proxy)
        code, out, err = publisher.run("publish", file, "--to", target)
        self.assertEqual(code, 2, f"{name}: {out}{err}")
        self.assertIn(target, err)
        self.assertRegex(err, says)
        self.assertRegex(err, "(?m)^help: .+")
        self.assertLess(len(err), 600, err)
        seen = whole(get, share)
        proxy.heal()
        second = publisher.publish(file, target)
        self.assertEqual(second["share"], share)
        self.assertNotEqual(second["bundle"], first["bundle"])
        # What is removed at the end is no part of the version before any more.
        self.assertIn(seen, [first["bundle"], second["bundle"]] if name == "cut-0.95" else [first["bundle"]], name)
        self.assertEqual(whole(get, share), second["bundle"], name)
        self.assertEqual({key.split("/")[3] for key in self.keys(name) if key.count("/") > 3}, {second["bundle"][:16]}, name)
        proxy.close()

    def keys(self, folder):
        found = self.client.get_paginator("list_objects_v2").paginate(Bucket="faults", Prefix=f"{folder}/s/")
        return [entry["Key"] for page in found for entry in page.get("Contents", [])]

    def test_a_first_publication_that_fails_goes_on_under_the_same_link(self):
        proxy = Proxy(self.port)
        publisher = Publisher(AWS_ENDPOINT=f"http://127.0.0.1:{proxy.port}")
        file = chat(publisher.data / "chat.jsonl", 120)
        proxy.bytes_left = 30_000
        code, _, err = publisher.run("publish", file, "--to", "s3://faults/first", "--encrypt")
        self.assertEqual(code, 2, err)
        self.assertEqual(publisher.ok("published")[0], "", "what was never sent whole is not published")
        link = json.loads((publisher.home / "published.json").read_text())[0]["link"]
        proxy.heal()
        published = publisher.publish(file, "s3://faults/first", "--encrypt")
        self.assertEqual(published["link"], link)
        self.assertEqual({key.split("/")[2] for key in self.keys("first")}, {published["share"]})
        proxy.close()

    def test_a_page_that_is_kept_in_step_goes_on_when_the_server_and_the_network_do(self):
        proxy = Proxy(self.port)
        publisher = Publisher(AWS_ENDPOINT=f"http://127.0.0.1:{proxy.port}")
        file = publisher.data / "chat.jsonl"
        Live.grow(file, 0, 4)
        process = publisher.start("publish", file, "--to", "s3://faults/live", "--live", "--json")
        said, logged = Live.steps(process), []
        threading.Thread(target=lambda: logged.extend(process.stderr), daemon=True).start()
        try:
            Live.until(self, lambda: said, 60)
            share = said[0]["link"].split("/")[1]
            get = self.get("live")

            def shown():
                record = json.loads(get(f"s/{share}/share.json"))
                at = lambda name: get(f"s/{share}/{record['folder']}/{name}")  # noqa: E731
                head = handed_over(at("data/live.js"))
                frames = [at(f"data/live-{n}.js") for n in range(head["first"], head["last"] + 1)]
                self.assertNotIn(None, [at(head["page"]), *frames], "the head names what is not there")
                return record["folder"], b"".join([at(head["page"]), *frames]).decode()

            folder, count = shown()[0], 4
            for fault, says in [
                (lambda: setattr(proxy, "answer", "507 Insufficient Storage"), "s3://faults/live is full"),
                (lambda: setattr(proxy, "answer", "503 Service Unavailable"), "503 Service Unavailable"),
                (lambda: setattr(proxy, "bytes_left", 1500), "s3://faults/live failed"),
            ]:
                fault()
                Live.grow(file, count, count + 1)
                count += 1
                # It says what is wrong and what it does now, and readers have what they had.
                Live.until(self, lambda: any(says in line for line in logged) and any("trying again in" in line for line in logged), 60)
                self.assertEqual(shown()[0], folder)
                self.assertIn(f"Message {count - 2}.", shown()[1])
                logged.clear()
                proxy.heal()
                Live.until(self, lambda: f"Message {count - 1}." in shown()[1], 60)
            # It went on where it was.
            self.assertEqual(shown()[0], folder)
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(60)
            proxy.close()
        self.assertEqual(code, 0, "what is left is sent before it ends")


class GitTest(Place, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.remote = pathlib.Path(tempfile.mkdtemp(dir=SCRATCH)) / "site.git"
        git("init", "--bare", "--quiet", str(cls.remote))
        cls.target = f"git+file://{cls.remote}#pages"

    def get(self, path):
        shown = subprocess.run(["git", "-C", str(self.remote), "cat-file", "blob", f"{self.version}:{path}"], capture_output=True)
        return shown.stdout if shown.returncode == 0 else None

    @contextlib.contextmanager
    def one_version(self):
        # A push that had begun may end while we read.
        self.frozen = git("-C", str(self.remote), "rev-parse", "refs/heads/pages").strip()
        yield
        self.frozen = None

    @property
    def version(self):
        # Hosts serve a checkout of one commit: all that a reader loads at once is of one.
        frozen = getattr(self, "frozen", None)
        return frozen or "refs/heads/pages"

    def names(self):
        listed = subprocess.run(["git", "-C", str(self.remote), "ls-tree", "-r", "--name-only", "refs/heads/pages"], capture_output=True, text=True)
        return listed.stdout.split()

    def test_readers_never_see_a_mixture(self):
        publisher = Publisher()
        file = chat(publisher.data / "chat.jsonl", 40)
        share = publisher.publish(file, self.target)["share"]
        before = git("-C", str(self.remote), "rev-parse", "pages").strip()
        publisher.publish(chat(file, 40, changed=3), self.target)
        commits = git("-C", str(self.remote), "rev-list", f"{before}..pages").split()
        self.assertEqual(len(commits), 1)
        for self.frozen in [before, commits[0]]:
            self.assertIsNotNone(whole(self.get, share))

    def test_an_update_sends_no_file_that_is_there(self):
        publisher = Publisher()
        remote = publisher.home / "packs.git"
        git("init", "--bare", "--quiet", str(remote))
        # Each push stays a pack of its own, and contents are left out of what is fetched, as at hosts.
        git("-C", str(remote), "config", "receive.unpackLimit", "1")
        git("-C", str(remote), "config", "uploadpack.allowFilter", "true")

        def objects():
            packs = sorted((remote / "objects/pack").glob("*.idx"))
            return {pack.name: set(re.findall(r"(?m)^\S+ (\S+)", subprocess.run(["git", "show-index"], stdin=pack.open(), capture_output=True, text=True).stdout)) for pack in packs}

        target = f"git+file://{remote}"
        publisher.publish(chat(publisher.data / "chat.jsonl", 120), target)
        before = objects()
        publisher.publish(chat(publisher.data / "chat.jsonl", 120, changed=100), target)
        added = {name: of for name, of in objects().items() if name not in before}
        self.assertEqual(len(added), 1)
        sent, there = next(iter(added.values())), set.union(*before.values())
        self.assertGreater(len(sent - there), 5)
        # The host adds what the differences in the pack are to.
        self.assertLessEqual(len(sent & there), 3)

    def test_a_branch_that_cannot_be_made_is_not_said_to_have_moved(self):
        publisher = Publisher()
        file = chat(publisher.data / "chat.jsonl", 4)
        publisher.publish(file, self.target)
        code, _, err = publisher.run("publish", file, "--to", f"{self.target}/more")
        self.assertEqual(code, 2)
        self.assertIn("'refs/heads/pages' exists", err)
        self.assertNotIn("moved on", err)

    def test_a_repository_is_found_from_where_one_stands(self):
        publisher = Publisher()
        file = chat(publisher.data / "chat.jsonl", 4)
        near = os.path.relpath(self.remote)
        first = publisher.publish(file, f"{near}#pages")
        again = publisher.publish(file, f"git+{self.remote}#pages")
        self.assertEqual((again["share"], again["files_sent"]), (first["share"], 0))
        self.assertEqual(len(publisher.ok("published")[0].splitlines()), 1)
        self.assertIn(first["share"], "".join(self.names()))

    def commit(self, path, change):
        """What somebody else does on the branch."""
        with tempfile.TemporaryDirectory(dir=SCRATCH) as work:
            git("clone", "--quiet", "--branch", "pages", str(self.remote), work)
            file = pathlib.Path(work) / path
            file.write_bytes(change(file.read_bytes() if file.exists() else b""))
            git("-C", work, "add", path)
            git("-C", work, "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "--quiet", "-m", "Change a file")
            git("-C", work, "push", "--quiet")

    damage = commit

    def test_a_branch_that_moved_on_is_kept(self):
        publisher = Publisher()
        publisher.publish(chat(publisher.data / "chat.jsonl", 4), self.target)
        self.commit("CNAME", lambda _: b"chats.example\n")
        publisher.publish(chat(publisher.data / "chat.jsonl", 6), self.target)
        self.assertEqual(self.get("CNAME"), b"chats.example\n")
        self.assertIn(".nojekyll", self.names())


class RsyncTest(Place, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(dir=SCRATCH))
        cls.port = free_port()
        config = SCRATCH / "rsyncd.conf"
        owner = "uid = root\ngid = root\n" if os.getuid() == 0 else ""
        config.write_text(f"use chroot = no\nlog file = {SCRATCH}/rsyncd.log\n{owner}[site]\npath = {cls.root}\nread only = no\n")
        cls.server = subprocess.Popen(["rsync", "--daemon", "--no-detach", "--address=127.0.0.1", f"--port={cls.port}", f"--config={config}"])
        wait_for(cls.port, cls.server)
        cls.target = f"rsync://127.0.0.1:{cls.port}/site/below"

    @classmethod
    def tearDownClass(cls):
        cls.server.terminate()
        cls.server.wait()

    def get(self, path):
        path = self.root / "below" / path
        return path.read_bytes() if path.is_file() else None

    def names(self):
        return names_below(self.root / "below")

    def damage(self, path, change):
        path = self.root / "below" / path
        path.write_bytes(change(path.read_bytes()))

    def test_a_module_that_is_not_there_is_named(self):
        publisher = Publisher()
        code, _, err = publisher.run("publish", chat(publisher.data / "chat.jsonl", 4), "--to", f"rsync://127.0.0.1:{self.port}/other")
        self.assertEqual(code, 2)
        self.assertIn("Unknown module", err)


class Api:
    """The server that runs on a publisher's data folder, asked by a command on its machine, or by somebody with a token."""

    def __init__(self, publisher, token=None):
        server = json.loads((publisher.home / "server.json").read_text())
        self.port = int(server["addr"].rsplit(":", 1)[1])
        self.token = token or server["token"]

    def __call__(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        is_json = not isinstance(body, bytes)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json" if is_json else "application/octet-stream"}
        connection.request(method, path, json.dumps(body) if body is not None and is_json else body, headers)
        answer = connection.getresponse()
        read = answer.read()
        assert answer.status < 300, f"{method} {path}: {answer.status} {read}"
        return json.loads(read) if read else None


class LiveTest(Live, unittest.TestCase):
    """A static page that is kept in step: what is sent, and what is there after each kind of end."""

    def test_a_message_costs_the_same_in_a_short_and_a_long_chat(self):
        costs = {before: self.cost_of_a_message(before) for before in [20, 2000]}
        for before, (sent, rendered) in costs.items():
            print(f"live among files, after {before} messages: {sent:.0f} bytes sent a message, {rendered:.0f} rendered", file=sys.stderr)
            self.assertLess(sent, 3 * rendered + 2048)
        self.assertLess(costs[2000][0], 1.25 * costs[20][0])

    def goes_on_after_a_kill(self, *more):
        publisher = Publisher()
        root = pathlib.Path(tempfile.mkdtemp(dir=SCRATCH))
        file = publisher.data / "chat.jsonl"
        self.grow(file, 0, 4)
        folders, links, ciphers = set(), set(), {}
        count = 4
        for turn in range(4):
            process = publisher.start("publish", file, "--to", root, "--live", "--json", *more)
            said = self.steps(process)
            for _ in range(3):
                self.grow(file, count, count + 1)
                count += 1
                time.sleep(0.4 + turn / 5)
            self.until(lambda: said)
            link = said[0]["link"]
            share, key = os.listdir(root / "s")[0], link.partition("#k=")[2] or None
            self.until(lambda: f"Message {count - 1}." in self.shown(root, share, key))
            links.add(link)
            folders.add(self.files(root, share, key)[1])
            # Under one tag, from which its key is made, nothing else was ever encrypted.
            for name in names_below(root):
                for tag, sealed in re.findall(rb'sealed\("(\w+)","([^"]*)"', (root / name).read_bytes()):
                    self.assertEqual(ciphers.setdefault(tag, sealed), sealed, name)
            process.send_signal(signal.SIGKILL)
            process.wait()
            if turn > 0:
                self.assertTrue(all(step["files_sent"] < 12 for step in said), f"more than what is new was sent: {said}")
            self.grow(file, count, count + 1)
            count += 1
        self.assertEqual(len(links), 1)
        # It went on in the same version: nobody's page was taken away.
        self.assertEqual(len(folders), 1)
        html = self.shown(root, share, key)
        for n in range(count - 1):
            self.assertIn(f"Message {n}.", html)
        # Nothing new: the link is said, and nothing is sent.
        process = publisher.start("publish", file, "--to", root, "--live", "--json", *more)
        said = self.steps(process)
        self.until(lambda: f"Message {count - 1}." in self.shown(root, share, key))
        process.send_signal(signal.SIGINT)
        process.wait(60)
        before = names_below(root)
        process = publisher.start("publish", file, "--to", root, "--live", "--json", *more)
        said = self.steps(process)
        self.until(lambda: said)
        process.send_signal(signal.SIGINT)
        process.wait(60)
        self.assertEqual([(step["files_sent"], step["link"]) for step in said], [(0, link)])
        self.assertEqual(names_below(root), before)

    def test_it_goes_on_after_a_kill(self):
        self.goes_on_after_a_kill()

    def has_what_its_pages_name(self, files):
        """Every script, style and artifact that a page names is at the place."""
        for page in [name for name in files if name.endswith(".html")]:
            html = files[page].decode()
            named = re.findall(r'(?:href|src)="((?:assets|files)/[^"#]+|(?:branch|thread)-[^"#]+)', html)
            for scripts in re.findall(r'data-scripts="([^"]*)"', html):
                named += scripts.split()
            self.assertTrue(any(name.endswith(".js") for name in named))
            self.assertEqual(set(named) - set(files), set(), page)

    def test_what_its_pages_name_is_there(self):
        for more in [[], ["--encrypt"]]:
            publisher = Publisher()
            root = publisher.data / "site"
            file = publisher.data / "chat.jsonl"
            self.grow(file, 0, 4)
            process = publisher.start("publish", file, "--to", root, "--live", "--json", *more)
            said = self.steps(process)
            self.until(lambda: said)
            share, key = os.listdir(root / "s")[0], said[0]["link"].partition("#k=")[2] or None
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(60), 0)
            self.has_what_its_pages_name(self.files(root, share, key)[0])

    def test_other_versions_and_long_threads_are_there_and_follow(self):
        for more in [[], ["--encrypt"]]:
            publisher = Publisher()
            root = publisher.data / "site"
            file = publisher.data / "chat.jsonl"

            def add(role, said, id, parent, **record):
                content = said if isinstance(said, list) else [{"type": "text", "text": said}]
                message = {"role": role, "content": content}
                record = {"type": role, "uuid": id, "parentUuid": parent, "sessionId": "s1", "timestamp": "2026-11-27T10:00:00.000Z", "message": message, **record}
                with open(file, "a") as out:
                    out.write(json.dumps(record) + "\n")

            add("user", "First prompt", "a", None)
            add("assistant", "First answer", "b", "a")
            add("user", "Old prompt", "c1", "b")
            add("assistant", "Old answer", "d1", "c1")
            add("user", "New prompt", "c2", "b")
            add("assistant", [{"type": "tool_use", "id": "t1", "name": "Task", "input": {"prompt": "Look around"}}], "d2", "c2")
            for n in range(300):
                add("assistant" if n % 2 else "user", f"Step {n} aside. " + "Many words are said here. " * 20, f"s{n}", f"s{n - 1}" if n else None, isSidechain=True)
            process = publisher.start("publish", file, "--to", root, "--live", "--json", *more)
            said = self.steps(process)
            self.until(lambda: said)
            share, key = os.listdir(root / "s")[0], said[0]["link"].partition("#k=")[2] or None
            files = lambda: self.files(root, share, key)[0]  # noqa: E731
            sides = lambda: b"".join(body for name, body in files().items() if name.startswith(("branch-", "thread-"))).decode()  # noqa: E731
            for says in ["Old answer", "Step 0 aside", "Step 299 aside"]:
                self.until(lambda: says in sides())  # noqa: B023 (it is called at once)
            self.has_what_its_pages_name(files())
            # Another version comes while it is kept in step.
            add("user", [{"type": "tool_result", "tool_use_id": "t1", "content": "done"}], "e2", "d2")
            add("assistant", "Second answer", "f2", "e2")
            add("user", "Third prompt", "g1", "f2")
            add("user", "Third prompt anew", "g2", "f2")
            self.until(lambda: "Third prompt" in sides().replace("Third prompt anew", ""))
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(60), 0)
            self.has_what_its_pages_name(files())
            # What goes on later looks at them, too.
            before = files()
            process = publisher.start("publish", file, "--to", root, "--live", "--json", *more)
            again = self.steps(process)
            self.until(lambda: again)
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(60), 0)
            self.assertEqual((again[0]["files_sent"], files()), (0, before))

    def test_what_was_listed_is_not_listed_any_more(self):
        publisher = Publisher()
        root = publisher.data / "site"
        file = publisher.data / "chat.jsonl"
        self.grow(file, 0, 4)
        publisher.publish(file, root, "--listed", "--title", "xyzzy-title")
        self.assertIn("xyzzy-title", (root / "catalogue.json").read_text())
        process = publisher.start("publish", file, "--to", root, "--live", "--encrypt", "--json")
        said = self.steps(process)
        self.until(lambda: said)
        process.send_signal(signal.SIGINT)
        process.wait(60)
        self.assertEqual([name for name in names_below(root) if b"xyzzy-title" in (root / name).read_bytes()], [])

    def test_what_is_encrypted_is_nobodys_to_read_here(self):
        publisher = Publisher()
        root = publisher.data / "site"
        file = publisher.data / "chat.jsonl"
        self.grow(file, 0, 4)
        process = publisher.start("publish", file, "--to", root, "--live", "--encrypt", "--json")
        said = self.steps(process)
        try:
            self.until(lambda: said)
            local = share_of_server(publisher)
            server = json.loads((publisher.home / "server.json").read_text())
            connection = http.client.HTTPConnection("127.0.0.1", int(server["addr"].rsplit(":", 1)[1]), timeout=30)
            connection.request("GET", f"/s/{local}/")
            answer = connection.getresponse()
            self.assertNotEqual(answer.status, 200)
            self.assertNotIn("Message 1", answer.read().decode())
        finally:
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(60), 0)
        files, _ = self.files(root, os.listdir(root / "s")[0], said[0]["link"].partition("#k=")[2])
        self.assertIn("Message 3.", files["index.html"].decode())
        self.assertIn('"private"', publisher.ok("list", "--json")[0].replace(" ", ""))

    def test_an_encrypted_one_goes_on_after_a_kill(self):
        self.goes_on_after_a_kill("--encrypt")

    def test_it_ends_with_copies_of_the_whole_chat(self):
        publisher = Publisher()
        root = pathlib.Path(tempfile.mkdtemp(dir=SCRATCH))
        file = publisher.data / "chat.jsonl"
        self.grow(file, 0, 4)
        process = publisher.start("publish", file, "--to", root, "--live", "--json")
        said = self.steps(process)
        self.until(lambda: said)
        share = os.listdir(root / "s")[0]
        self.grow(file, 4, 8)
        self.until(lambda: "Message 7." in self.shown(root, share))
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(60), 0)
        files, _ = self.files(root, share)
        for name in ["chat.json", "chat.md"]:
            self.assertIn("Message 7.", files[name].decode())

    def test_it_ends_with_all_of_the_chat_also_when_ctrl_c_ends_the_program_that_sends(self):
        publisher = Publisher()
        remote, file = publisher.data / "site.git", publisher.data / "chat.jsonl"
        git("init", "--bare", "--quiet", str(remote))
        pushed, hook = publisher.data / "pushed", remote / "hooks" / "pre-receive"
        hook.write_text(f"#!/bin/sh\necho >> {pushed}\nsleep 2\n")
        hook.chmod(0o755)
        self.grow(file, 0, 4)
        # As in a terminal: all of a group hear of it.
        process = publisher.start("publish", file, "--to", f"git+file://{remote}#p", "--live", "--json", before=["setsid"])
        said = self.steps(process)
        self.until(lambda: said)
        before = pushed.read_text()
        self.grow(file, 4, 5)
        self.until(lambda: pushed.read_text() != before)
        os.killpg(process.pid, signal.SIGINT)
        err = process.stderr.read()
        self.assertEqual(process.wait(60), 0, err)
        for name in ["*.html", "*chat.json"]:
            self.assertIn("Message 4.", git("-C", str(remote), "grep", "-h", "-F", "Message 4.", "p", "--", name))

    def test_the_link_freezes_when_it_is_published_without_live(self):
        publisher = Publisher()
        root = pathlib.Path(tempfile.mkdtemp(dir=SCRATCH))
        file = publisher.data / "chat.jsonl"
        self.grow(file, 0, 4)
        process = publisher.start("publish", file, "--to", root, "--live", "--json")
        said = self.steps(process)
        self.until(lambda: said)
        process.send_signal(signal.SIGINT)
        process.wait(60)
        share = os.listdir(root / "s")[0]
        published = publisher.publish(file, root)
        self.assertEqual(published["share"], share)
        self.assertEqual(whole(lambda path: (root / path).read_bytes(), share), published["bundle"])
        publisher.ok("unpublish", file, "--to", root)


class TakenBackTest(Live, unittest.TestCase):
    """What the owner changes or removes in a page that is kept in step: the old text is nowhere any more."""

    def is_nowhere(self, word, root, share, key):
        """True where no file that is there, whether anything names it or not, has the word."""
        files, folder = self.files(root, share, key)
        if key is None:
            return not any(word.encode() in (root / name).read_bytes() for name in names_below(root))
        named = {tag for _, _, tags in Sealed(key).entries(folder) for tag in tags}
        # What no index names could hold it, too.
        return {path.stem for path in folder.glob("files/*.js")} == named and not any(word.encode() in content for content in files.values())

    def taken_back(self, *more):
        publisher = Publisher()
        root = pathlib.Path(tempfile.mkdtemp(dir=SCRATCH))
        file = publisher.data / "chat.jsonl"
        self.grow(file, 0, 6)
        says = lambda n, text: json.dumps({"id": f"m{n}", "role": "user" if n % 4 == 0 else "assistant", "content": text}) + "\n"  # noqa: E731
        process = publisher.start("publish", file, "--to", root, "--live", "--json", *more)
        said = self.steps(process)
        self.until(lambda: said)
        share, key = os.listdir(root / "s")[0], said[0]["link"].partition("#k=")[2] or None
        api = Api(publisher)
        chat = api("GET", "/api/v1/chats")[0]["id"]
        message = lambda n: f"/api/v1/chats/{chat}/messages/m{n}"  # noqa: E731
        try:
            folder = self.files(root, share, key)[1]
            # In a frame, and not in the page yet.
            with open(file, "a") as out:
                out.write(says(6, "the word xyzzy-one") + says(7, "more"))
            self.until(lambda: "xyzzy-one" in self.shown(root, share, key))
            api("PATCH", message(6), {"text": "the word is gone"})
            self.until(lambda: "the word is gone" in self.shown(root, share, key))
            self.until(lambda: self.is_nowhere("xyzzy-one", root, share, key), 5)
            # In the page itself.
            api("PATCH", message(6), {"text": "the word xyzzy-two"})
            self.until(lambda: "xyzzy-two" in self.shown(root, share, key))
            api("PATCH", message(6), {"text": "that one is gone, too"})
            self.until(lambda: self.is_nowhere("xyzzy-two", root, share, key), 5)
            self.assertIn("that one is gone, too", self.shown(root, share, key))
            # Nobody's page was taken away for it.
            self.assertEqual(self.files(root, share, key)[1], folder)
            # Removed.
            with open(file, "a") as out:
                out.write(says(8, "the word xyzzy-three") + says(9, "the end"))
            self.until(lambda: "xyzzy-three" in self.shown(root, share, key))
            api("DELETE", message(8))
            self.until(lambda: self.is_nowhere("xyzzy-three", root, share, key), 5)
            self.until(lambda: "the end" in self.shown(root, share, key))
            # While nobody published.
            with open(file, "a") as out:
                out.write(says(10, "the word xyzzy-four") + says(11, "the end of it"))
            self.until(lambda: "xyzzy-four" in self.shown(root, share, key))
            process.send_signal(signal.SIGKILL)
            process.wait()
            file.write_text(file.read_text().replace("xyzzy-four", "plugh"))
            process = publisher.start("publish", file, "--to", root, "--live", "--json", *more)
            self.steps(process)
            self.until(lambda: "plugh" in self.shown(root, share, key))
            self.until(lambda: self.is_nowhere("xyzzy-four", root, share, key), 5)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)

    def test_the_old_text_is_nowhere(self):
        self.taken_back()

    def test_the_old_text_is_nowhere_in_an_encrypted_one(self):
        self.taken_back("--encrypt")

    def test_what_is_deleted_or_made_private_here_is_taken_back_there(self):
        for change, says in [(["rm", "--yes"], "was deleted"), (["update", "--private"], "was made private")]:
            publisher = Publisher()
            root = publisher.data / "site"
            file = publisher.data / "chat.jsonl"
            self.grow(file, 0, 4)
            process = publisher.start("publish", file, "--to", root, "--live", "--json")
            said = self.steps(process)
            self.until(lambda: said)
            publisher.ok(change[0], share_of_server(publisher), *change[1:])
            try:
                err = process.stderr.read()
                self.assertEqual(process.wait(60), 2, err)
            finally:
                process.kill()
            self.assertIn(f"{says}; nothing of it is at {root} any more", err)
            self.assertEqual([name for name in names_below(root) if name.startswith("s/")], [f"s/{os.listdir(root / 's')[0]}/index.html"])
            self.assertEqual(publisher.ok("published")[0], "")

    def test_what_is_deleted_here_while_its_place_is_away_goes_when_it_is_back(self):
        for is_waited_for in [True, False]:
            publisher = Publisher()
            root, away = publisher.data / "site", publisher.data / "away"
            file = publisher.data / "chat.jsonl"
            self.grow(file, 0, 4)
            process = publisher.start("publish", file, "--to", root, "--live", "--json")
            said = self.steps(process)
            self.until(lambda: said)
            share = os.listdir(root / "s")[0]
            try:
                root.rename(away)
                publisher.ok("rm", share_of_server(publisher), "--yes")
                for line in process.stderr:
                    if "trying again in" in line:
                        break
                if is_waited_for:
                    away.rename(root)
                else:
                    process.send_signal(signal.SIGINT)
                err = process.stderr.read()
                self.assertEqual(process.wait(60), 2, err)
            finally:
                process.kill()
            if is_waited_for:
                self.assertIn(f"nothing of it is at {root} any more", err)
                self.assertEqual([name for name in names_below(root) if name.startswith("s/")], [f"s/{share}/index.html"])
            else:
                self.assertIn(f"`readalong unpublish {share} --to {root}` takes it back", err)
                self.assertNotIn("help:", err)

    def test_a_title_that_was_changed_is_nowhere(self):
        publisher = Publisher()
        root = publisher.data / "site"
        file = publisher.data / "chat.jsonl"
        file.write_text(json.dumps({"id": "m0", "role": "user", "content": "xyzzy-title"}) + "\n")
        server = publisher.start("serve", "--addr", "127.0.0.1:0")
        self.until(lambda: (publisher.home / "server.json").exists())
        process = publisher.start("publish", file, "--to", root, "--live", "--json")
        try:
            said = self.steps(process)
            self.until(lambda: said)
            share = os.listdir(root / "s")[0]
            head = lambda: (root / "s" / share / "index.html").read_text()  # noqa: E731
            self.assertIn("xyzzy-title", head())
            publisher.ok("rescan", "--texts-stdin", input="xyzzy-title\n")
            self.until(lambda: self.is_nowhere("xyzzy-title", root, share, None))
            self.assertNotIn("xyzzy-title", (publisher.home / "published.json").read_text())
            publisher.ok("update", share_of_server(publisher), "--name", "Called otherwise")
            self.until(lambda: "<title>Called otherwise" in head())
        finally:
            for one in [process, server]:
                one.send_signal(signal.SIGINT)
                one.wait(60)

    def test_of_two_who_keep_a_page_in_step_the_first_is_told(self):
        publisher, other = Publisher(), Publisher()
        root = pathlib.Path(tempfile.mkdtemp(dir=SCRATCH))
        file, copy = publisher.data / "chat.jsonl", other.data / "chat.jsonl"
        for path in [file, copy]:
            self.grow(path, 0, 4)
        # With data of its own; and on the same server, where it goes on with the same version.
        for second, path in [(other, copy), (publisher, file)]:
            process = publisher.start("publish", file, "--to", root, "--live", "--json")
            said = self.steps(process)
            self.until(lambda: said)
            share = os.listdir(root / "s")[0]
            taking_over = second.start("publish", path, "--to", root, "--live", "--json", "--as", share)
            heard = self.steps(taking_over)
            try:
                self.until(lambda: heard)
                for path in {file, path}:
                    self.grow(path, 4, 6)
                self.until(lambda: "Message 5." in self.shown(root, share))
                first, _ = self.until_one_ends(process, taking_over)
                self.assertIn(f"share {share} was taken back from {root}, or somebody else publishes it there", first.stderr.read())
                self.assertIn("Message 5.", self.shown(root, share))
            finally:
                for one in [process, taking_over]:
                    one.send_signal(signal.SIGINT)
                    one.wait(60)

    def until_one_ends(self, *processes):
        self.until(lambda: any(one.poll() is not None for one in processes))
        return sorted(processes, key=lambda one: one.poll() is None)

    def test_a_page_is_kept_in_step_when_its_place_is_back(self):
        publisher = Publisher()
        root = publisher.data / "site"
        file = publisher.data / "chat.jsonl"
        self.grow(file, 0, 4)
        process = publisher.start("publish", file, "--to", root, "--live", "--json")
        said = self.steps(process)
        self.until(lambda: said)
        share = os.listdir(root / "s")[0]
        root.rename(publisher.data / "away")
        root.mkdir()
        self.grow(file, 4, 6)
        for line in process.stderr:
            if "there is no site at" in line:
                break
        self.assertEqual(names_below(root), [])
        root.rmdir()
        (publisher.data / "away").rename(root)
        self.until(lambda: "Message 5." in self.shown(root, share))
        process.send_signal(signal.SIGINT)
        process.stderr.read()
        self.assertEqual(process.wait(60), 0)

    def test_a_page_that_is_taken_back_is_not_kept_in_step_any_more(self):
        publisher = Publisher()
        root = pathlib.Path(tempfile.mkdtemp(dir=SCRATCH))
        file = publisher.data / "chat.jsonl"
        self.grow(file, 0, 4)
        process = publisher.start("publish", file, "--to", root, "--live", "--json")
        said = self.steps(process)
        self.until(lambda: said)
        share = os.listdir(root / "s")[0]
        publisher.ok("unpublish", file, "--to", root)
        self.grow(file, 4, 5)
        try:
            _, err = process.communicate(timeout=30)
        finally:
            process.kill()
        self.assertEqual(process.returncode, 2)
        self.assertIn(f"share {share} was taken back from {root}, or somebody else publishes it there", err)
        self.assertIn("help: publish it with --live again", err)
        self.assertEqual([name for name in names_below(root) if name.startswith("s/")], [f"s/{share}/index.html"])
        self.assertIn("taken back", (root / "s" / share / "index.html").read_text())

    def test_a_version_that_could_not_be_removed_goes_when_it_is_gone_on_with(self):
        publisher = Publisher()
        root = publisher.data / "site"
        file = publisher.data / "chat.jsonl"
        says = lambda word: file.write_text("".join(json.dumps({"id": f"m{n}", "role": role, "content": word}) + "\n" for n, role in enumerate(["user", "assistant"])))  # noqa: E731
        says("the word xyzzy-old")
        share = publisher.publish(file, root)["share"]
        says("another word")
        # It dies when it is about to remove the version before.
        before = [name for name in os.listdir(root / "s" / share) if len(name) == 16][0]
        pages = sorted((root / "s" / share / before).glob("*.html"))
        strace = ["strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=unlink", "-e", "inject=unlink:signal=KILL", "-P", pages[0]]
        process = publisher.start("publish", file, "--to", root, "--live", "--json", before=map(str, strace))
        process.communicate(timeout=60)
        self.assertIn("another word", self.shown(root, share))
        self.assertFalse(self.is_nowhere("xyzzy-old", root, share, None))
        process = publisher.start("publish", file, "--to", root, "--live", "--json")
        try:
            self.until(lambda: self.is_nowhere("xyzzy-old", root, share, None))
            self.assertIn("another word", self.shown(root, share))
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)


class SyncTest(unittest.TestCase):
    """A server whose disk fails to sync once."""

    def test_what_the_disk_did_not_take_is_not_acknowledged_until_it_has_it(self):
        publisher = Publisher()
        # Only the log of the database is synced by this call: a few times while the server begins, then for each message.
        strace = ["strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=8"]
        server = publisher.start("serve", "--addr", "127.0.0.1:0", before=strace)
        logged = []
        reader = threading.Thread(target=lambda: logged.extend(server.stderr), daemon=True)
        reader.start()
        Live.until(self, lambda: (publisher.home / "server.json").exists())
        try:
            api = Api(publisher)
            chat = api("POST", "/api/v1/chats", {"title": "A chat"})["id"]
            failed = []
            for n in range(12):
                message = {"id": f"m{n}", "role": "user", "text": "Said once."}
                try:
                    api("POST", f"/api/v1/chats/{chat}/messages", message)
                except AssertionError as error:
                    failed.append(str(error))
                    # It is there, and not acknowledged before the disk has it.
                    said = api("POST", f"/api/v1/chats/{chat}/messages", message)
                    self.assertEqual(said["messages"], n + 1)
            self.assertEqual(len(failed), 1, failed)
            self.assertIn(": 500 ", failed[0])
        finally:
            os.kill(json.loads((publisher.home / "server.json").read_text())["pid"], signal.SIGINT)
            server.wait(60)
            reader.join(10)
        self.assertRegex("".join(logged), "syncing `[^`]+readalong.db-wal` failed")


class MirrorTest(unittest.TestCase):
    """A server that keeps its frozen shares at a place by itself."""

    until = Live.until

    @contextlib.contextmanager
    def server(self, publisher, root=None, **settings):
        """The server, with a mirror; gives the site and what it logs."""
        root = root or pathlib.Path(tempfile.mkdtemp(dir=SCRATCH))
        config = publisher.data / "config.toml"
        lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
        config.write_text(f'mirror = "there"\n{lines}[[target]]\nname = "there"\nto = "{root}"\n')
        publisher.env["READALONG_CONFIG"] = str(config)
        server = publisher.start("serve", "--addr", "127.0.0.1:0")
        logged = []
        reader = threading.Thread(target=lambda: logged.extend(server.stderr), daemon=True)
        reader.start()
        try:
            self.until(lambda: (publisher.home / "server.json").exists())
            yield root, logged
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(60)
            reader.join(10)
        self.assertEqual(server.returncode, 0, "".join(logged))

    def get(self, root):
        return lambda path: (root / path).read_bytes() if (root / path).is_file() else None

    def is_there(self, root, share):
        get = self.get(root)
        return get(f"s/{share}/index.html") is not None and whole(get, share)

    def is_taken_back(self, root, share):
        return names_below(root / "s" / share) == ["index.html"] and b"taken back" in self.get(root)(f"s/{share}/index.html")

    def somebody(self, publisher, name):
        """Another owner."""
        admin = Api(publisher)
        user = admin("POST", "/api/v1/users", {"name": name, "role": "owner"})["id"]
        return Api(publisher, admin("POST", "/api/v1/tokens", {"name": "of the test", "user": user})["token"])

    def test_what_is_made_changed_and_deleted_here_is_so_there(self):
        publisher = Publisher()
        file = chat(publisher.data / "chat.jsonl", 6)
        before = json.loads(publisher.ok("share", file, "--json")[0])["id"]
        with self.server(publisher) as (root, _):
            get = self.get(root)
            self.until(lambda: self.is_there(root, before))
            after = json.loads(publisher.ok("share", file, "--json", "--name", "Made later")[0])["id"]
            private = json.loads(publisher.ok("share", file, "--json", "--private")[0])["id"]
            self.until(lambda: self.is_there(root, after))
            self.assertIsNone(get(f"s/{private}/index.html"))
            first = whole(get, after)
            publisher.ok("update", after, "--name", "Called otherwise")
            self.until(lambda: self.is_there(root, after) not in (None, False, first))
            # Whoever is just loading a page of the version before can go on.
            versions = lambda: sorted(name for name in os.listdir(root / "s" / after) if len(name) == 16)  # noqa: E731
            self.assertEqual(len(versions()), 2)
            self.until(lambda: len(versions()) == 1)
            publisher.ok("update", after, "--private")
            self.until(lambda: self.is_taken_back(root, after))
            publisher.ok("rm", before, "--yes")
            self.until(lambda: self.is_taken_back(root, before))
            left = sorted(f"s/{share}/index.html" for share in [before, after])
            self.until(lambda: [name for name in names_below(root) if name.startswith("s/")] == left)

    def test_a_place_that_was_emptied_gets_its_shares_again(self):
        publisher = Publisher()
        file = chat(publisher.data / "chat.jsonl", 6)
        one = json.loads(publisher.ok("share", file, "--json", "--name", "One")[0])["id"]
        with self.server(publisher) as (root, logged):
            self.until(lambda: self.is_there(root, one))
            shutil.rmtree(root)
            root.mkdir()
            two = json.loads(publisher.ok("share", file, "--json", "--name", "Two")[0])["id"]
            self.until(lambda: any("there is no site at" in line and f"`readalong publish SHARE --to {root}`" in line for line in logged))
            publisher.publish(file, root)
            # All shares are looked at every minute.
            self.until(lambda: self.is_there(root, two) and self.is_there(root, one), 90)
        shutil.rmtree(root / "s" / one)
        with self.server(publisher, root) as (root, _):
            self.until(lambda: self.is_there(root, one))

    def test_what_is_deleted_while_the_place_is_away_goes_when_it_is_back(self):
        publisher = Publisher()
        file = chat(publisher.data / "chat.jsonl", 6)
        one, two = (json.loads(publisher.ok("share", file, "--json", "--name", name)[0])["id"] for name in ["One", "Two"])
        with self.server(publisher) as (root, logged):
            self.until(lambda: self.is_there(root, one) and self.is_there(root, two))
            away = root.with_name(root.name + "-away")
            root.rename(away)
            publisher.ok("rm", one, "--yes")
            self.until(lambda: any("there is no site at" in line for line in logged))
            # An empty folder, as a mount leaves it, is no place for what comes meanwhile.
            root.mkdir()
            three = json.loads(publisher.ok("share", file, "--json", "--name", "Three")[0])["id"]
            publisher.ok("rm", two, "--yes")
            self.until(lambda: sum("there is no site at" in line for line in logged) >= 3)
            self.assertEqual(names_below(root), [])
            root.rmdir()
            away.rename(root)
            # All shares are looked at every minute.
            self.until(lambda: self.is_taken_back(root, one) and self.is_taken_back(root, two), 90)
            self.until(lambda: self.is_there(root, three))

    def test_what_the_server_would_send_again_is_not_taken_back_by_hand(self):
        publisher = Publisher()
        file = chat(publisher.data / "chat.jsonl", 6)
        share = json.loads(publisher.ok("share", file, "--json")[0])["id"]
        with self.server(publisher) as (root, _):
            self.until(lambda: self.is_there(root, share))
            other = publisher.publish(file, root)["share"]
            code, _, err = publisher.run("unpublish", share, "--to", root)
            self.assertEqual(code, 2)
            self.assertIn(f"share {share} is kept at {root} by the server", err)
            self.assertTrue(self.is_there(root, share))
            # What was published by hand is taken back by hand.
            publisher.ok("unpublish", other, "--to", root)
            publisher.ok("rm", share, "--yes")
            self.until(lambda: self.is_taken_back(root, share))

    def test_the_shares_of_all_owners_are_there_and_go_with_their_chats(self):
        publisher = Publisher()
        with self.server(publisher) as (root, logged):
            bob = self.somebody(publisher, "bob")
            of_bob = bob("POST", "/api/v1/import?name=chat.jsonl", chat(publisher.data / "chat.jsonl", 6).read_bytes())["id"]
            share = lambda visibility: bob("POST", "/api/v1/shares", {"chat": of_bob, "updates": "frozen", "visibility": visibility})["id"]  # noqa: E731
            public, private = share("public"), share("private")
            self.until(lambda: self.is_there(root, public))
            self.until(lambda: any(f"share {private[:8]} is private and is not sent to {root}" in line and "mirror_encrypt" in line for line in logged))
            self.assertFalse((root / "s" / private).exists())
            first = whole(self.get(root), public)
            bob("PATCH", f"/api/v1/chats/{of_bob}/messages/m3", {"text": "bob wrote this anew"})
            self.until(lambda: self.is_there(root, public) not in (None, False, first))
            bob("DELETE", f"/api/v1/chats/{of_bob}")
            self.until(lambda: self.is_taken_back(root, public))

    def test_private_ones_are_encrypted_where_that_is_asked_for(self):
        publisher = Publisher()
        with self.server(publisher, mirror_encrypt=True) as (root, _):
            bob = self.somebody(publisher, "bob")
            of_bob = bob("POST", "/api/v1/import?name=chat.jsonl", chat(publisher.data / "chat.jsonl", 6).read_bytes())["id"]
            share = bob("POST", "/api/v1/shares", {"chat": of_bob, "updates": "frozen", "visibility": "private"})["id"]

            def link():
                lines = publisher.ok("published", "--json")[0].splitlines()
                return next((one["link"] for one in map(json.loads, lines) if one["share"] == share), "")

            def is_sealed():
                """True where it is there, and opens with the key of its link, and nothing of it is in clear."""
                record = self.get(root)(f"s/{share}/share.json")
                if record is None or "#k=" not in link():
                    return False
                folder = root / "s" / share / json.loads(record)["folder"]
                if not (folder / "index.js").exists():
                    return False
                files = Sealed(link().partition("#k=")[2]).files(folder)
                in_clear = any(b"Message 3" in (root / name).read_bytes() for name in names_below(root))
                return b"Message 3" in files["chat.md"] and not in_clear

            def is_clear():
                """True where its record and its head are those of a whole bundle; they change one after the other."""
                record = json.loads(self.get(root)(f"s/{share}/share.json"))
                head = (self.get(root)(f"s/{share}/index.html") or b"").decode()
                return "bundle" in record and f'"{record["folder"]}/' in head and self.is_there(root, share)

            self.until(is_sealed)
            first = link()
            bob("PATCH", f"/api/v1/shares/{share}", {"visibility": "public"})
            self.until(is_clear)
            bob("PATCH", f"/api/v1/shares/{share}", {"visibility": "private"})
            self.until(is_sealed)
            self.assertEqual(link(), first)
            bob("PATCH", f"/api/v1/shares/{share}", {"visibility": "public"})
            self.until(is_clear)
            # While public sharing is switched off, nothing is public.
            Api(publisher)("PATCH", "/api/v1/admin/settings", {"public_sharing": False})
            self.until(is_sealed)
            self.assertEqual(link(), first)
            bob("DELETE", f"/api/v1/shares/{share}")
            self.until(lambda: self.is_taken_back(root, share))


@contextlib.contextmanager
def lock_of(folder):
    """Holds a site as another publication does."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def share_of_server(publisher):
    """The id of the newest share of the server that runs on a publisher's data."""
    return json.loads(publisher.ok("list", "--json")[0].splitlines()[0])["id"]


def git(*arguments):
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True, env=env).stdout


def tests_in(suite):
    for test in suite:
        yield from tests_in(test) if isinstance(test, unittest.TestSuite) else [test]


def run(tests):
    """Runs the tests of a place, and says at the end how it went."""
    said = io.StringIO()
    result = unittest.TextTestRunner(said, verbosity=2, warnings="ignore").run(unittest.TestSuite(tests))
    print(said.getvalue(), file=sys.stderr, flush=True)
    return result


if __name__ == "__main__":
    names = sys.argv[1:] or [name for name, case in globals().items() if isinstance(case, type) and issubclass(case, unittest.TestCase)]
    places = {}
    for test in tests_in(unittest.defaultTestLoader.loadTestsFromNames(names, sys.modules[__name__])):
        places.setdefault(type(test), []).append(test)
    # At once, since they wait most of the time: a version that was replaced stays for some seconds.
    with concurrent.futures.ThreadPoolExecutor(len(places)) as pool:
        results = list(pool.map(run, places.values()))
    count = sum(result.testsRun for result in results)
    bad = sum(len(result.failures) + len(result.errors) for result in results)
    skipped = sum(len(result.skipped) for result in results)
    print(f"counted: {max(0, count - bad - skipped)} passed, {bad} failed, {skipped} skipped")
    scratch.cleanup()
    sys.exit(1 if bad else 0)
