"""The five share methods and the eight showcase methods of the stock h2ogpte client, sync and async, against a real readalong server.

Starts the program in READALONG on a data folder of its own. Ends with a line of totals, as every step of tests/run does.
"""

import asyncio
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request
import warnings
from datetime import datetime

import h2ogpte
from h2ogpte import errors
from h2ogpte.types_showcase import ReorderShowcaseChatEntry

NEVER = "0123456789abcdef0123456789abcdef"
STARTS_WITHIN_S = 30
ENDS_WITHIN_S = 15
PICTURE = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010806000000" "1f15c489")


class Server:
    """The program, on a data folder of its own."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="readalong-h2ogpte-")
        self.data = pathlib.Path(self.folder.name) / "data"
        self.log = open(pathlib.Path(self.folder.name) / "log", "w+")
        self.start()
        self.ada = self.user("ada", "--owner")
        self.bob = self.user("bob", "--owner")
        self.eve = self.user("eve")
        self.kay = self.user("kay", "--admin")

    def start(self):
        command = [os.environ["READALONG"], "serve", "--data", str(self.data), "--addr", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + STARTS_WITHIN_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                self.address = json.loads((self.data / "server.json").read_text())["url"]
                self.request("GET", "/health")
                return
            except (OSError, ValueError, KeyError):
                time.sleep(0.05)
        self.log.seek(0)
        sys.exit("the server did not start:\n" + self.log.read())

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def run(self, *arguments, given=""):
        command = [os.environ["READALONG"], *arguments, "--data", str(self.data)]
        return subprocess.run(command, input=given, capture_output=True, text=True, check=True).stdout.strip()

    def user(self, name, *more):
        self.run("user", "add", name, "--password-stdin", *more, given=f"password of {name}\n")
        return self.run("token", "new", "test", "--user", name)

    def request(self, method, path, token=None, body=None, media_type="application/json"):
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data=body, method=method)
        request.add_header("Content-Type", media_type)
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=30) as answer:
            answered = answer.read()
        return json.loads(answered) if answered.startswith((b"{", b"[")) else answered

    def chat(self, title, token=None):
        token = token or self.ada
        chat = self.request("POST", "/api/v1/chats", token, {"title": title})["id"]
        self.say(chat, "q", "user", "Where is the kite?", token)
        self.say(chat, "a", "assistant", "In the *tree*.", token)
        return chat

    def say(self, chat, message, role, text, token=None):
        body = {"id": message, "role": role, "text": text}
        self.request("POST", f"/api/v1/chats/{chat}/messages", token or self.ada, body)

    def showcase(self, mode):
        self.request("PATCH", "/api/v1/admin/settings", self.kay, {"showcase": mode})

    def show_picture(self, chat):
        digest = hashlib.sha256(PICTURE).hexdigest()
        path = f"/api/v1/chats/{chat}"
        self.request("PUT", f"{path}/artifacts/{digest}", self.ada, PICTURE, "application/octet-stream")
        content = {"present": {"sha256": digest, "size_bytes": len(PICTURE)}}
        artifact = {"name": "kite.png", "media_type": "image/png", "role": "uploaded", "content": content}
        message = {"id": "p", "role": "user", "parent": "a", "parts": [{"image": {"artifact": 0}}]}
        changes = {"artifacts": [[0, artifact]], "messages": [[2, message]]}
        self.request("POST", f"{path}/changes", self.ada, changes)
        return digest

    def status(self, path, token=None):
        try:
            self.request("GET", path, token)
            return 200
        except urllib.error.HTTPError as error:
            return error.code


class Sync:
    """The sync client."""

    forbidden = errors.ForbiddenError
    conflict = errors.HTTPError

    def __init__(self, token, **options):
        self.client = h2ogpte.H2OGPTE(address=SERVER.address, api_key=token, **options)

    @classmethod
    def of_provider(cls, token):
        class Provider:
            def token(self):
                return token

        return cls(None, token_provider=Provider())

    def call(self, method, *arguments, **options):
        return getattr(self.client, method)(*arguments, **options)


class Async:
    """The async client; each call in a loop and with a client of its own."""

    forbidden = errors.UnauthorizedError
    conflict = errors.FailedError

    def __init__(self, token, **options):
        self.options = dict(address=SERVER.address, api_key=token, **options)

    @classmethod
    def of_provider(cls, token):
        class Provider:
            async def token(self):
                return token

        return cls(None, token_provider=Provider())

    def call(self, method, *arguments, **options):
        async def run():
            async with h2ogpte.H2OGPTEAsync(**self.options) as client:
                return await getattr(client, method)(*arguments, **options)

        return asyncio.run(run())


class Contract:
    """All tests; the classes below run them with one client each."""

    Client = None

    def setUp(self):
        self.ada = self.Client(SERVER.ada)
        self.bob = self.Client(SERVER.bob)
        self.eve = self.Client(SERVER.eve)
        self.kay = self.Client(SERVER.kay)
        self.title = f"Kites {self.id()}"
        self.chat = SERVER.chat(self.title)

    def share(self, **options):
        """Shares the chat; the id is the last piece of the path."""
        shared = self.ada.call("share_chat_session", self.chat, **options)
        self.assertTrue(shared.url.startswith(SERVER.address), shared.url)
        self.assertTrue(shared.url.endswith(shared.relative_path), shared.url)
        return shared.relative_path.rsplit("/", 1)[1]

    def listed(self, client=None, **options):
        shares = (client or self.ada).call("list_shared_chats", filter_text=self.title, **options)
        return {share.id: share for share in shares}

    def contents(self, share, client=None):
        detail = (client or self.ada).call("get_shared_chat", share)
        return [message["content"] for message in detail.messages]

    def assert_raises(self, error, method, *arguments, client=None, code=None, **options):
        with self.assertRaises(error) as raised:
            (client or self.ada).call(method, *arguments, **options)
        # The very class: each status has its own.
        self.assertIs(type(raised.exception), error)
        self.assertTrue(raised.exception.message)
        if code and isinstance(raised.exception, errors.HTTPError):
            self.assertEqual(raised.exception.status_code, code)
        return raised.exception

    # share_chat_session

    def test_share_has_the_defaults_of_the_contract(self):
        share = self.share()
        info = self.listed()[share]
        self.assertEqual((info.is_private, info.is_frozen, info.includes_artifacts), (False, True, False))
        self.assertEqual((info.name, info.chat_session_id), (self.title, self.chat))
        self.assertIsNone(info.showcase_id)
        self.assertIsInstance(info.created_at, (str, datetime))
        self.assertEqual(SERVER.status(f"/s/{share}/"), 200)

    def test_share_takes_every_option(self):
        for is_private in (False, True):
            for is_frozen in (False, True):
                for includes_artifacts in (False, True):
                    options = dict(is_private=is_private, is_frozen=is_frozen, includes_artifacts=includes_artifacts)
                    with self.subTest(**options):
                        share = self.share(**options)
                        for told in (self.listed()[share], self.ada.call("get_shared_chat", share)):
                            self.assertEqual({key: getattr(told, key) for key in options}, options)

    def test_share_of_what_is_no_id_is_an_invalid_argument(self):
        for wrong in ("", "x", "../x", "A" * 32):
            self.assert_raises(errors.InvalidArgumentError, "share_chat_session", wrong)

    def test_share_of_a_chat_that_is_not_ones_own_is_forbidden(self):
        unknown = self.assert_raises(self.Client.forbidden, "share_chat_session", NEVER)
        foreign = self.assert_raises(self.Client.forbidden, "share_chat_session", self.chat, client=self.bob)
        self.assertEqual(str(unknown), str(foreign))

    def test_share_by_a_viewer_is_forbidden(self):
        self.assert_raises(self.Client.forbidden, "share_chat_session", self.chat, client=self.eve)

    # list_shared_chats

    def test_list_filters_by_kind(self):
        shares = {
            (is_private, is_frozen): self.share(is_private=is_private, is_frozen=is_frozen)
            for is_private in (False, True)
            for is_frozen in (False, True)
        }
        wanted = {
            "all": lambda kind: True,
            "private": lambda kind: kind[0],
            "public": lambda kind: not kind[0],
            "frozen": lambda kind: kind[1],
            "active": lambda kind: not kind[1],
        }
        for filter_type, is_wanted in wanted.items():
            expected = {share for kind, share in shares.items() if is_wanted(kind)}
            self.assertEqual(set(self.listed(filter_type=filter_type)), expected, filter_type)

    def test_list_filters_by_text_in_capitals_or_not(self):
        share = self.share()
        for text in (self.title.upper(), self.title[6:]):
            found = self.ada.call("list_shared_chats", filter_text=text)
            self.assertEqual([info.id for info in found], [share])
        self.assertEqual(self.ada.call("list_shared_chats", filter_text="no such title"), [])

    def test_list_filters_by_showcase(self):
        share = self.share()
        self.assertEqual(set(self.listed(showcase_filter="all")), {share})
        self.assertEqual(set(self.listed(showcase_filter="not_featured")), {share})
        self.assertEqual(self.listed(showcase_filter="featured"), {})

    def test_list_pages(self):
        shares = [self.share(is_frozen=False) for _ in range(5)]
        pages = [list(self.listed(offset=offset, limit=2)) for offset in (0, 2, 4, 6)]
        self.assertEqual([len(page) for page in pages], [2, 2, 1, 0])
        self.assertEqual({share for page in pages for share in page}, set(shares))

    def test_list_has_ones_own_only(self):
        share = self.share()
        self.assertNotIn(share, self.listed(self.bob))
        self.assertEqual(self.eve.call("list_shared_chats"), [])

    def test_list_refuses_unknown_filters_and_too_large_pages(self):
        for wrong in ({"filter_type": "odd"}, {"showcase_filter": "odd"}, {"limit": 1_000_000}, {"offset": -1}):
            with self.assertRaises((errors.InvalidArgumentError, ValueError)):
                self.ada.call("list_shared_chats", **wrong)

    # get_shared_chat

    def test_get_has_all_that_the_share_shows(self):
        detail = self.ada.call("get_shared_chat", self.share())
        self.assertEqual((detail.name, detail.shared_by), (self.title, "ada"))
        self.assertTrue(detail.shared_at)
        question, answer = detail.messages
        self.assertEqual((question["content"], answer["content"]), ("Where is the kite?", "In the *tree*."))
        self.assertEqual((question["reply_to"], answer["reply_to"]), (None, question["id"]))
        for key in ("id", "content", "votes", "created_at", "has_references", "total_references"):
            self.assertIn(key, question)

    def test_get_shows_later_messages_of_active_ones_only(self):
        frozen, active = self.share(), self.share(is_frozen=False)
        SERVER.say(self.chat, "later", "user", "Which tree?")
        self.assertEqual(len(self.contents(frozen)), 2)
        self.assertEqual(self.contents(active)[2], "Which tree?")

    def test_get_shows_artifacts_where_they_are_included(self):
        digest = SERVER.show_picture(self.chat)
        bare, full = self.share(), self.share(includes_artifacts=True)
        kinds = lambda share: [
            piece["message_type"]
            for message in self.ada.call("get_shared_chat", share).messages
            for piece in message["type_list"]
        ]
        self.assertIn("image", kinds(full))
        self.assertNotIn("image", kinds(bare))
        self.assertEqual(SERVER.status(f"/s/{full}/files/{digest}.png"), 200)
        self.assertEqual(SERVER.status(f"/s/{bare}/files/{digest}.png"), 404)

    def test_get_of_a_private_one_needs_somebody_who_is_signed_in(self):
        private = self.share(is_private=True)
        for client in (self.ada, self.bob, self.eve):
            self.assertEqual(len(self.contents(private, client)), 2)
        self.assertEqual(SERVER.status(f"/api/v1/shared_chats/{private}"), 401)
        self.assertEqual(SERVER.status(f"/api/v1/shared_chats/{self.share()}"), 200)

    def test_get_of_what_is_not_there_is_not_found(self):
        deleted = self.share()
        self.ada.call("delete_shared_chats", [deleted])
        texts = {str(self.assert_raises(errors.ObjectNotFoundError, "get_shared_chat", share)) for share in (NEVER, deleted, "x", "a/b")}
        self.assertEqual(len(texts), 1, texts)

    def test_get_of_a_share_whose_chat_is_deleted_is_not_found(self):
        share = self.share()
        SERVER.request("DELETE", f"/api/v1/chats/{self.chat}", SERVER.ada)
        self.assert_raises(errors.ObjectNotFoundError, "get_shared_chat", share)

    # The showcase

    def feature(self, share=None, **options):
        """Features a share, as an admin."""
        options = {"title": "Kites", "description": "Where they are.", **options}
        return self.kay.call("add_showcase_chat", share or self.share(), **options).id

    def featured(self, client=None):
        """Entries of this test, in their order."""
        entries = (client or self.eve).call("list_showcase_chats")
        return [entry for entry in entries if entry.chat_name == self.title]

    def test_showcase_has_all_that_an_entry_says(self):
        SERVER.showcase("authenticated")
        share = self.share()
        made = self.feature(share, category="Toys")
        (entry,) = self.featured()
        self.assertEqual((entry.id, entry.shared_chat_id, entry.chat_name), (made, share, self.title))
        self.assertEqual((entry.title, entry.description, entry.category), ("Kites", "Where they are.", "Toys"))
        self.assertEqual((entry.is_private, entry.is_frozen, entry.includes_artifacts), (False, True, False))
        self.assertEqual((entry.shared_by_username, entry.featured_by_username), ("ada", "kay"))
        self.assertIsNone(entry.thumbnail_path)
        self.assertIsInstance(entry.sort_order, int)
        self.assertEqual(self.listed()[share].showcase_id, made)
        self.assertEqual(set(self.listed(showcase_filter="featured")), {share})
        self.assertEqual(self.listed(showcase_filter="not_featured"), {})
        self.assertIn("Toys", self.eve.call("list_showcase_categories"))

    def test_showcase_entries_change_and_go(self):
        SERVER.showcase("authenticated")
        share = self.share()
        made = self.feature(share, category="Toys")
        self.kay.call("update_showcase_chat", made, title="Strings")
        (entry,) = self.featured()
        self.assertEqual((entry.title, entry.description, entry.category), ("Strings", "Where they are.", "Toys"))
        self.kay.call("update_showcase_chat", made, description="How.", category="")
        (entry,) = self.featured()
        self.assertEqual((entry.description, entry.category), ("How.", None))
        self.kay.call("remove_showcase_chat", made)
        self.assertEqual(self.featured(), [])
        self.assertIn(share, self.listed())
        self.assert_raises(errors.ObjectNotFoundError, "remove_showcase_chat", made, client=self.kay)
        self.assert_raises(errors.ObjectNotFoundError, "update_showcase_chat", made, title="x", client=self.kay)

    def test_showcase_entries_are_put_in_order(self):
        SERVER.showcase("authenticated")
        made = [self.feature() for _ in range(3)]
        self.assertEqual([entry.id for entry in self.featured()], made)
        orders = [ReorderShowcaseChatEntry(id=entry, sort_order=-place) for place, entry in enumerate(made)]
        self.kay.call("reorder_showcase_chats", orders)
        self.assertEqual([entry.id for entry in self.featured()], made[::-1])
        wrong = [ReorderShowcaseChatEntry(id=entry, sort_order=9) for entry in (made[0], "none")]
        self.assert_raises(errors.InvalidArgumentError, "reorder_showcase_chats", wrong, client=self.kay)
        self.assertEqual([entry.id for entry in self.featured()], made[::-1])

    def test_showcase_pictures_come_and_go(self):
        SERVER.showcase("public")
        made = self.feature()
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "kite.png"
            file.write_bytes(PICTURE)
            path = self.kay.call("upload_showcase_thumbnail", made, str(file)).thumbnail_path
            self.assertEqual(SERVER.request("GET", path), PICTURE)
            self.assertEqual(self.featured()[0].thumbnail_path, path)
            file.write_bytes(b"<svg/>")
            self.assert_raises(errors.InvalidArgumentError, "upload_showcase_thumbnail", made, str(file), client=self.kay)
            file.write_bytes(PICTURE + bytes(20 << 20))
            self.assert_raises(errors.HTTPError, "upload_showcase_thumbnail", made, str(file), client=self.kay)
        self.kay.call("delete_showcase_thumbnail", made)
        self.assertIsNone(self.featured()[0].thumbnail_path)
        self.assertEqual(SERVER.status(path), 404)

    def test_showcase_is_managed_by_admins(self):
        SERVER.showcase("authenticated")
        share = self.share()
        for client in (self.ada, self.eve):
            options = dict(title="x", description="x", client=client)
            self.assert_raises(self.Client.forbidden, "add_showcase_chat", share, **options)
        made = self.feature(share)
        self.assert_raises(self.Client.forbidden, "remove_showcase_chat", made, client=self.ada)
        self.assert_raises(self.Client.conflict, "add_showcase_chat", share, title="x", description="x", client=self.kay, code=409)
        self.assert_raises(errors.ObjectNotFoundError, "add_showcase_chat", NEVER, title="x", description="x", client=self.kay)

    def test_showcase_that_is_off_is_not_there(self):
        SERVER.showcase("disabled")
        self.feature()
        for client in (self.eve, self.kay):
            self.assert_raises(errors.ObjectNotFoundError, "list_showcase_chats", client=client)

    # update_shared_chat

    def test_update_changes_what_is_given(self):
        for is_frozen in (True, False):
            share = self.share(is_frozen=is_frozen)
            flags = lambda: (self.listed()[share].is_private, self.listed()[share].includes_artifacts)
            self.assertIsNone(self.ada.call("update_shared_chat", share))
            self.assertEqual(flags(), (False, False))
            self.ada.call("update_shared_chat", share, is_private=True)
            self.assertEqual(flags(), (True, False))
            self.assertEqual(SERVER.status(f"/api/v1/shared_chats/{share}"), 401)
            self.ada.call("update_shared_chat", share, includes_artifacts=True)
            self.assertEqual(flags(), (True, True))
            self.ada.call("update_shared_chat", share, is_private=False, includes_artifacts=False)
            self.assertEqual(flags(), (False, False))
            self.assertEqual(SERVER.status(f"/s/{share}/"), 200)

    def test_update_of_what_is_not_ones_own_is_forbidden(self):
        share = self.share()
        foreign = self.assert_raises(self.Client.forbidden, "update_shared_chat", share, is_private=True, client=self.bob)
        unknown = self.assert_raises(self.Client.forbidden, "update_shared_chat", NEVER, is_private=True, client=self.bob)
        self.assertEqual(str(foreign), str(unknown))
        self.assert_raises(self.Client.forbidden, "update_shared_chat", share, is_private=True, client=self.eve)
        self.assertFalse(self.listed()[share].is_private)

    def test_update_of_what_is_no_id_is_an_invalid_argument(self):
        self.assert_raises(errors.InvalidArgumentError, "update_shared_chat", "x", is_private=True)

    # delete_shared_chats

    def test_delete_takes_links_away_and_leaves_the_chat(self):
        one, two, left = self.share(), self.share(is_frozen=False), self.share()
        self.assertIsNone(self.ada.call("delete_shared_chats", [one, two]))
        self.assertEqual(set(self.listed()), {left})
        self.assertEqual(SERVER.status(f"/s/{one}/"), 404)
        self.assertEqual(SERVER.status(f"/api/v1/chats/{self.chat}", SERVER.ada), 200)
        self.assertIsNone(self.ada.call("delete_shared_chats", []))

    def test_delete_takes_all_or_none(self):
        share = self.share()
        self.assert_raises(self.Client.forbidden, "delete_shared_chats", [share, NEVER])
        self.assert_raises(self.Client.forbidden, "delete_shared_chats", [share], client=self.bob)
        self.assert_raises(self.Client.forbidden, "delete_shared_chats", [share], client=self.eve)
        self.assert_raises(errors.InvalidArgumentError, "delete_shared_chats", [share, "x"])
        self.assert_raises(errors.InvalidArgumentError, "delete_shared_chats", [share] * 1001)
        self.assertEqual(set(self.listed()), {share})

    def test_a_body_that_is_too_large_is_an_error_with_its_status(self):
        error = self.assert_raises(errors.HTTPError, "delete_shared_chats", [NEVER] * 50_000, code=413)
        self.assertEqual(error.status_code, 413)

    # Legacy links

    def test_legacy_links_can_be_read_and_nothing_else(self):
        path = f"/old/{self.chat}"
        csv = f"path,chat,expires_at\n{path},{self.chat},2999-01-01T00:00:00Z\n"
        SERVER.request("POST", "/api/v1/legacy_links", SERVER.ada, csv.encode(), "text/csv")
        for name in (path, path[1:]):
            self.assertEqual(len(self.contents(name)), 2)
            for method, arguments, options in (
                ("update_shared_chat", [name], {"is_private": True}),
                ("delete_shared_chats", [[name]], {}),
            ):
                error = self.assert_raises(self.Client.conflict, method, *arguments, code=409, **options)
                self.assertIn("legacy link", error.message)
        self.assertEqual(self.listed(), {})

    # Tokens and versions

    def test_a_wrong_token_is_unauthorized_everywhere(self):
        share = self.share()
        # The sync client asks for `/rpc/meta` as it is made: it gets a good token first.
        good = SERVER.request("POST", "/api/v1/tokens", SERVER.ada, {"name": f"soon gone {self.id()}"})
        client = self.Client(good["token"])
        SERVER.request("DELETE", f"/api/v1/tokens/{good['id']}", SERVER.ada)
        for method, arguments in (
            ("share_chat_session", [self.chat]),
            ("list_shared_chats", []),
            ("get_shared_chat", [share]),
            ("update_shared_chat", [share]),
            ("delete_shared_chats", [[share]]),
        ):
            self.assert_raises(errors.UnauthorizedError, method, *arguments, client=client)

    def test_a_client_with_a_wrong_token_says_so_at_once(self):
        with self.assertRaises(errors.UnauthorizedError):
            self.Client("readalong_wrong").call("list_shared_chats")

    def test_the_version_check_is_content(self):
        client = self.Client(SERVER.ada, strict_version_check=True)
        self.assertIsInstance(client.call("list_shared_chats"), list)

    def test_a_token_provider_works_as_well(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            client = self.Client.of_provider(SERVER.ada)
            self.assertIsInstance(client.call("list_shared_chats"), list)

    def test_methods_that_are_not_there_are_errors_that_the_client_reads(self):
        with self.assertRaises(errors.H2OGPTEError):
            self.ada.call("list_showcase_chats")

    # Chats of the same client

    def test_chats_can_be_counted_and_renamed(self):
        before = self.ada.call("count_chat_sessions")
        self.assertGreater(before, 0)
        self.ada.call("rename_chat_session", self.chat, f"renamed {self.title}")
        chat = SERVER.request("GET", f"/api/v1/chats/{self.chat}", SERVER.ada)
        self.assertEqual(chat["title"], f"renamed {self.title}")


class SyncTest(Contract, unittest.TestCase):
    Client = Sync


class AsyncTest(Contract, unittest.TestCase):
    Client = Async

    def test_calls_at_once_are_all_answered(self):
        async def run():
            async with h2ogpte.H2OGPTEAsync(address=SERVER.address, api_key=SERVER.ada) as client:
                return await asyncio.gather(*(client.share_chat_session(self.chat) for _ in range(20)))

        paths = {shared.relative_path for shared in asyncio.run(run())}
        self.assertEqual(len(paths), 20)
        self.assertEqual(len(self.listed()), 20)


def main():
    global SERVER
    SERVER = Server()
    try:
        suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
        result = unittest.TextTestRunner(verbosity=2).run(suite)
    finally:
        SERVER.stop()
    failed = len(result.failures) + len(result.errors)
    if failed:
        SERVER.log.seek(0)
        print("what the server said:\n" + SERVER.log.read())
    skipped = len(result.skipped)
    print(f"counted: {result.testsRun - failed - skipped} passed, {failed} failed, {skipped} skipped", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
