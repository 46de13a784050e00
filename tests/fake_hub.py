"""A stand-in of the Hugging Face Hub: what its HTTP API answers to uploads and downloads of models.

Of a real client (``huggingface_hub`` with $HF_ENDPOINT, and $HF_HUB_DISABLE_XET=1, for Xet's
storage is not here): creating a repository, the modes of uploads, LFS objects, commits, branches,
trees and files. A commit is what the repository holds, by name.
"""

import base64
import contextlib
import hashlib
import http.server
import json
import re
import threading
import urllib.parse

TOKEN = "hf_test"
LARGE = (".safetensors", ".png")  # go to LFS


class Hub:
    """repos: by name; each has ``private``, ``commits`` (files by name, by id) and ``branches``
    (ids by name). objects: of LFS, by SHA-256. messages: of commits.
    """

    def __init__(self):
        self.repos: dict[str, dict] = {}
        self.objects: dict[str, bytes] = {}
        self.messages: list[str] = []
        self.endpoint = ""

    def files(self, name: str, revision: str = "main") -> dict[str, bytes] | None:
        """What a branch or commit holds; None for an unknown one."""
        repo = self.repos[name]
        return repo["commits"].get(repo["branches"].get(revision, revision))

    def commit(self, name: str, branch: str, files: dict[str, bytes]) -> str:
        """Puts files in the place of those of a branch; returns the commit's id."""
        repo = self.repos[name]
        content = json.dumps({k: hashlib.sha1(v).hexdigest() for k, v in sorted(files.items())})
        key = hashlib.sha1(f"{len(repo['commits'])} {content}".encode()).hexdigest()
        repo["commits"][key], repo["branches"][branch] = files, key
        return key


@contextlib.contextmanager
def serving():
    """A hub on a port of this machine."""
    hub = Hub()
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub})
    )
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status=200, body=b"", **headers):
        """JSON, or bytes as they are."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for key, value in {"Content-Length": len(data), **headers}.items():
            self.send_header(key.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def read(self) -> bytes:
        """The request's body."""
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def allowed(self) -> bool:
        """Whether the request has the account's token."""
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def repo(self, name: str) -> bool:
        """Whether the repository is there and may be seen; answers where it is not."""
        known = self.hub.repos.get(name)
        if known is None or (known["private"] and not self.allowed()):
            self.answer(401 if not self.allowed() else 404, X_Error_Code="RepoNotFound")
            return False
        return True

    def held(self, name: str, revision: str):
        """(id, files) of a revision, or None and an answer."""
        if not self.repo(name):
            return None
        files = self.hub.files(name, revision)
        if files is None:
            self.answer(404, X_Error_Code="RevisionNotFound")
            return None
        return self.hub.repos[name]["branches"].get(revision, revision), files

    def do_POST(self):
        """Everything that writes."""
        body, path = self.read(), urllib.parse.urlparse(self.path).path
        if path == "/api/validate-yaml":
            return self.answer(body={"errors": [], "warnings": []})
        if not self.allowed():
            return self.answer(401, {"error": "Invalid user token."})
        if path == "/api/repos/create":
            return self.create(json.loads(body))
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit|branch)/(.+)", path):
            name, what, revision = found.groups()
            return self.repo(name) and getattr(self, what)(name, revision, body)
        if re.fullmatch(r"/[^/]+/[^/]+\.git/info/lfs/objects/batch", path):
            return self.batch(json.loads(body))
        return self.answer(404)

    def create(self, asked: dict):
        """A repository with an empty commit, as the Hub makes it."""
        name = f"{asked['organization']}/{asked['name']}"
        there = name in self.hub.repos
        if not there:
            private = asked.get("visibility") == "private" or asked.get("private") is True
            self.hub.repos[name] = {"private": private, "commits": {}, "branches": {}}
            self.hub.commit(name, "main", {".gitattributes": b"*.safetensors filter=lfs\n"})
        self.answer(409 if there else 200, {"url": f"{self.hub.endpoint}/{name}"})

    def branch(self, name: str, branch: str, body: bytes):
        """A branch at what "main" is."""
        branches = self.hub.repos[name]["branches"]
        self.answer(409 if branch in branches else 200, {})
        branches.setdefault(branch, branches["main"])

    def preupload(self, name: str, revision: str, body: bytes):
        """Which files are to go to LFS."""
        asked = [f["path"] for f in json.loads(body)["files"]]
        modes = {p: "lfs" if p.endswith(LARGE) else "regular" for p in asked}
        files = [{"path": p, "uploadMode": m, "shouldIgnore": False} for p, m in modes.items()]
        self.answer(body={"files": files})

    def batch(self, asked: dict):
        """Where to put LFS objects; none for those that are there."""
        objects = []
        for one in asked["objects"]:
            href = f"{self.hub.endpoint}/lfs/{one['oid']}"
            new = {"actions": {"upload": {"href": href}}}
            objects.append({**one, **({} if one["oid"] in self.hub.objects else new)})
        self.answer(body={"objects": objects, "transfer": "basic"})

    def do_PUT(self):
        """An LFS object, whose name must be its digest."""
        body, key = self.read(), self.path.rpartition("/")[2]
        right = hashlib.sha256(body).hexdigest() == key
        if right:
            self.hub.objects[key] = body
        self.answer(200 if right else 400)

    def commit(self, name: str, revision: str, body: bytes):
        """A commit of JSON lines."""
        held = self.held(name, revision)
        if held is None:
            return
        files = dict(held[1])
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "header":
                self.hub.messages.append(value["summary"])
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        key = self.hub.commit(name, revision, files)
        url = f"{self.hub.endpoint}/{name}/commit/{key}"
        self.answer(body={"commitUrl": url, "commitOid": key})

    def do_GET(self):
        """A repository, its tree, a file."""
        path = urllib.parse.unquote(urllib.parse.urlparse(self.path).path)
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            if held := self.held(found[1], found[2] or "main"):
                siblings = [{"rfilename": name} for name in held[1]]
                body = {"id": found[1], "sha": held[0], "siblings": siblings, "tags": []}
                self.answer(body={**body, "private": self.hub.repos[found[1]]["private"]})
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", path):
            if held := self.held(*found.groups()):
                self.answer(body=[_entry(name, data) for name, data in held[1].items()])
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            if (held := self.held(found[1], found[2])) and found[3] in held[1]:
                data = held[1][found[3]]
                self.answer(body=data, ETag=f'"{_etag(found[3], data)}"', X_Repo_Commit=held[0])
            elif held:
                self.answer(404, X_Error_Code="EntryNotFound")
        else:
            self.answer(404)

    do_HEAD = do_GET


def _entry(name: str, data: bytes) -> dict:
    entry = {"type": "file", "path": name, "size": len(data), "oid": _blob(data)}
    if name.endswith(LARGE):
        entry["lfs"] = {"oid": _etag(name, data), "size": len(data), "pointerSize": 130}
    return entry


def _etag(name: str, data: bytes) -> str:
    return hashlib.sha256(data).hexdigest() if name.endswith(LARGE) else _blob(data)


def _blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
