#!/usr/bin/env python3
"""核验归档信息包. Checks a packet of filed cases with nothing but Python 3.8 or later: no network, no other software.

用法 use:  python3 verify_standalone.py 信息包文件夹 PACKET --policy 信任策略 POLICY [--json]

退出码 exit code: 0 全部相符 all of it holds; 1 有不符 something does not; 2 用法有误 used wrongly.

信任策略 the policy is a text file that comes from elsewhere, never from the packet:
    log NAME+ID+KEY          账本的公钥 the public key of the ledger
    witness NAME+ID+KEY      见证人的公钥 that of a witness (any number of lines)
    quorum N                 须有几位见证人签名 how many of them have to have signed

所查 what is checked, each file and each case:
 1 外层 (RFC 8493): bagit.txt, both manifests, every SHA-256, nothing missing, nothing added, the total of bytes
 2 目录: every case has its line, in .xml and .csv alike
 3 封装包 (DA/T 48): the files of a case by name, size and digest; each 业务实体 against its event
 4 事件: every salted commitment, the chain of versions, the leaf H(0x00 ‖ header), with SHA-256 or SM3
 5 存在证明 (RFC 9162): the path from the last leaf to the root; the signatures of log and witnesses (Ed25519) on the head
 6 卷宗与附件: the digest of the dossier as an event recorded it, those of the files as events name them; the 档号 as it was given
"""

import argparse
import base64
import binascii
import csv
import datetime
import hashlib
import io
import json
import os
import re
import struct
import sys
from xml.etree import ElementTree

BAGIT = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
MANIFEST, TAGS, INFO = "manifest-sha256.txt", "tagmanifest-sha256.txt", "bag-info.txt"
TAG_FILES = (INFO, "bagit.txt", MANIFEST)
COLUMNS = ["序号", "档号", "文号", "责任者", "题名", "日期", "密级", "页数", "备注"]
NAMESPACE = "{http://www.saac.gov.cn/standards/ERM/encapsulation}"
PROOF = "ledger.tlog-proof"
DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>'
BLOCK = 1 << 20


class Unfit(Exception):
    """Something does not hold; the message says what was expected and what was found."""


# --- Ed25519 (RFC 8032), verifying only ----------------------------------------------------------------------------

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def point_from(said):
    """Return the point that 32 bytes say, in extended coordinates; None where they say none."""
    number = int.from_bytes(said, "little")
    sign, y = number >> 255, number & ((1 << 255) - 1)
    if len(said) != 32 or y >= P:
        return None
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P != u:
        x = x * ROOT % P
    if v * x * x % P != u or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return (x, y, 1, x * y % P)


def point_sum(one, other):
    """Return the sum of two points."""
    a = (one[1] - one[0]) * (other[1] - other[0]) % P
    b = (one[1] + one[0]) * (other[1] + other[0]) % P
    c = 2 * one[3] * other[3] * D % P
    d = 2 * one[2] * other[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def point_times(number, point):
    """Return a point so many times."""
    found = (0, 1, 1, 0)
    while number:
        if number & 1:
            found = point_sum(found, point)
        point = point_sum(point, point)
        number >>= 1
    return found


def point_said(point):
    """Return a point as 32 bytes."""
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE = point_from((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def ed25519_holds(public, signature, message):
    """Tell whether a signature of 64 bytes on a message is by a public key."""
    key = point_from(public)
    if key is None or len(signature) != 64:
        return False
    s = int.from_bytes(signature[32:], "little")
    if s >= ORDER:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    negative = (P - key[0], key[1], key[2], P - key[3])
    return point_said(point_sum(point_times(s, BASE), point_times(h, negative))) == signature[:32]


# --- SM3 (GB/T 32905), where OpenSSL has none ----------------------------------------------------------------------

WORD = 0xFFFFFFFF


def turned(x, n):
    """Return a word turned left."""
    n %= 32
    return (x << n | x >> (32 - n)) & WORD


def sm3_block(v, block):
    """Return the state of SM3 after one more block."""
    w = list(struct.unpack(">16I", block))
    for j in range(16, 68):
        x = w[j - 16] ^ w[j - 9] ^ turned(w[j - 3], 15)
        w.append(x ^ turned(x, 15) ^ turned(x, 23) ^ turned(w[j - 13], 7) ^ w[j - 6])
    a, b, c, d, e, f, g, h = v
    for j in range(64):
        first = j < 16
        ss1 = turned((turned(a, 12) + e + turned(0x79CC4519 if first else 0x7A879D8A, j)) & WORD, 7)
        ff = a ^ b ^ c if first else a & b | a & c | b & c
        gg = e ^ f ^ g if first else e & f | ~e & WORD & g
        tt1 = (ff + d + (ss1 ^ turned(a, 12)) + (w[j] ^ w[j + 4])) & WORD
        tt2 = (gg + h + ss1 + w[j]) & WORD
        a, b, c, d = tt1, a, turned(b, 9), c
        e, f, g, h = tt2 ^ turned(tt2, 9) ^ turned(tt2, 17), e, turned(f, 19), g
    return [x ^ y for x, y in zip(v, (a, b, c, d, e, f, g, h))]


def sm3(data):
    """Return the 32 bytes of SM3."""
    v = [0x7380166F, 0x4914B2B9, 0x172442D7, 0xDA8A0600, 0xA96F30BC, 0x163138AA, 0xE38DEE4D, 0xB0FB0E4E]
    padded = data + b"\x80" + bytes(-(len(data) + 9) % 64) + struct.pack(">Q", 8 * len(data))
    for at in range(0, len(padded), 64):
        v = sm3_block(v, padded[at : at + 64])
    return struct.pack(">8I", *v)


def hashed(name, data):
    """Return the 32 bytes of a ledger's hash over data."""
    if name == "sha256":
        return hashlib.sha256(data).digest()
    if "sm3" in hashlib.algorithms_available:
        return hashlib.new("sm3", data).digest()
    return sm3(data)


# --- notes, keys, proofs (C2SP) ------------------------------------------------------------------------------------


def from_base64(said, what):
    """Return the bytes that Base 64 says, written as everywhere. Raises Unfit."""
    try:
        found = base64.b64decode(said, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unfit("%s: Base 64" % what) from error
    if base64.b64encode(found).decode("ascii") != said:
        raise Unfit("%s: Base 64" % what)
    return found


def key_from(line):
    """Return name, kind, public key and id that a line tells of. Raises Unfit."""
    name, plus, rest = line.strip().partition("+")
    said, also, public = rest.partition("+")
    body = from_base64(public, "公钥 a public key")
    if not plus or not also or not name or len(body) != 33 or body[0] not in (1, 4):
        raise Unfit("公钥写作 a key is written name+id+key: %s" % line[:60])
    ident = hashlib.sha256(name.encode("utf-8") + b"\n" + body).digest()[:4]
    if ident.hex() != said.lower():
        raise Unfit("公钥与其编号不符 the id does not belong to the key: %s" % name)
    return name, body[0], body[1:], ident


def policy_from(text):
    """Return whose heads are believed: the log's key, the witnesses', how many of them. Raises Unfit."""
    log, witnesses, quorum = None, [], 0
    for line in text.splitlines():
        word, _, rest = line.partition("#")[0].strip().partition(" ")
        if word == "log" and log is None:
            log = key_from(rest)
        elif word == "witness":
            witnesses.append(key_from(rest))
        elif word == "quorum" and re.match(r"[0-9]{1,9}\Z", rest.strip()):
            quorum = int(rest)
        elif word:
            raise Unfit("信任策略只有 a policy has log KEY (once), witness KEY, quorum N: %s" % line[:60])
    if log is None or log[1] != 1 or any(one[1] != 4 for one in witnesses):
        raise Unfit("信任策略须有账本公钥 a policy names the key of one log, and those of witnesses")
    if quorum > len(witnesses):
        raise Unfit("quorum %d > %d" % (quorum, len(witnesses)))
    return log, witnesses, quorum


def note_from(said):
    """Return text and signatures (name, id, bytes) of a signed note. Raises Unfit."""
    body, gap, lines = said.rpartition("\n\n")
    if not gap or not body or not lines.endswith("\n"):
        raise Unfit("签名树头缺空行 a note has a text, an empty line, and a line for each signature")
    signatures = []
    for line in lines[:-1].split("\n"):
        name, _, coded = line[2:].partition(" ")
        if not line.startswith("— ") or not name or "+" in name:
            raise Unfit("签名行不合格式 the line of a signature: %s" % line[:60])
        blob = from_base64(coded, "签名 a signature")
        if len(blob) < 5:
            raise Unfit("签名过短 a signature is too short: %s" % name)
        signatures.append((name, blob[:4], blob[4:]))
    return body + "\n", signatures


def number_from(said):
    """Return a number as it is written everywhere. Raises Unfit."""
    if not re.match(r"[0-9]{1,20}\Z", said) or str(int(said)) != said:
        raise Unfit("一个数 a number: %s" % said[:20])
    return int(said)


def head_of(text):
    """Return origin, size and root of a checkpoint. Raises Unfit."""
    lines = text.split("\n")
    if len(lines) < 4 or not all(lines[:-1]):
        raise Unfit("树头须有来源、条数、根 a checkpoint has an origin, a size and a root")
    root = from_base64(lines[2], "根 the root")
    if len(root) != 32:
        raise Unfit("根须 32 字节 a root has 32 bytes")
    return lines[0], number_from(lines[1]), root


def proof_from(said):
    """Return the leaf's index, the path, the note of a proof. Raises Unfit."""
    if len(said) > BLOCK:
        raise Unfit("存在证明过长 a proof is too long")
    if any(c < " " and c != "\n" for c in said):
        raise Unfit("控制字符 a control character")
    head, gap, rest = said.partition("\n\n")
    lines = head.split("\n")
    if not gap or lines[0] != "c2sp.org/tlog-proof@v1":
        raise Unfit("存在证明的首行 a proof begins with c2sp.org/tlog-proof@v1")
    lines = lines[2:] if len(lines) > 1 and lines[1].startswith("extra ") else lines[1:]
    word, _, index = lines[0].partition(" ") if lines else ("", "", "")
    if word != "index":
        raise Unfit("存在证明须写明叶序 a proof says the index of its leaf")
    path = [from_base64(line, "路径 a hash of the path") for line in lines[1:]]
    if any(len(one) != 32 for one in path) or len(path) > 63:
        raise Unfit("路径 the path: at most 63 hashes of 32 bytes")
    return number_from(index), path, note_from(rest)


def signed_by(note, key):
    """Return when a key signed a note (0 for a log's), None where it did not. Raises Unfit for a wrong signature."""
    text, signatures = note
    name, kind, public, ident = key
    found = None
    for who, by, blob in signatures:
        if (who, by) != (name, ident):
            continue
        said = blob
        if found is not None:
            raise Unfit("同一钥匙签了两次 two signatures of one key: %s" % name)
        at, message = 0, text.encode("utf-8")
        if kind == 4:
            if len(said) != 72:
                raise Unfit("见证签名须 72 字节 a cosignature has 72 bytes: %s" % name)
            at, said = struct.unpack(">Q", said[:8])[0], said[8:]
            message = ("cosignature/v1\ntime %d\n%s" % (at, text)).encode("utf-8")
        if not ed25519_holds(public, said, message):
            raise Unfit("签名不是此钥匙所签 the signature is not by this key: %s" % name)
        found = at
    return found


def believed(note, policy):
    """Return which witnesses signed a head of the policy's log, and when. Raises Unfit."""
    log, witnesses, quorum = policy
    origin = head_of(note[0])[0]
    if origin != log[0]:
        raise Unfit("另一账本的树头 the head of another log: %s" % origin)
    if signed_by(note, log) is None:
        raise Unfit("账本未签名 not signed by the log: %s" % log[0])
    found = {}
    for one in witnesses:
        at = signed_by(note, one)
        if at is not None:
            found[one[0]] = at
    if len(found) < quorum:
        raise Unfit(
            "见证人签名 %d 个，须 %d 个 signed by %d witnesses of %d" % (len(found), quorum, len(found), quorum)
        )
    return found


def root_over(name, leaf, index, size, path):
    """Return the root that a path leads to (RFC 9162, 2.1.3.2); None where it is none for this leaf of such a tree."""
    if not 0 <= index < size:
        return None
    found, node, last = leaf, index, size - 1
    for one in path:
        if last == 0:
            return None
        if node & 1 or node == last:
            found = hashed(name, b"\x01" + one + found)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = hashed(name, b"\x01" + found + one)
        node, last = node >> 1, last >> 1
    return found if last == 0 else None


# --- the history of a case -----------------------------------------------------------------------------------------

WHOLE = ("form", "ledger", "hash", "stream", "events", "proof")
ONE = ("position", "version", "topic", "recorded_at", "occurred_at", "record", "state")


def told(value, kind, where):
    """Return a value that is of a kind; a text only if it can be written. Raises Unfit."""
    if not isinstance(value, kind) or isinstance(value, bool):
        raise Unfit("%s: %s" % (where, kind.__name__))
    if kind is str and any("\ud800" <= c <= "\udfff" for c in value):
        raise Unfit("%s: UTF-8" % where)
    return value


def evidence_from(said):
    """Return the evidence that bytes hold. Raises Unfit."""
    try:
        found = json.loads(said.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Unfit("JSON: %s" % error) from error
    if not isinstance(found, dict) or sorted(found) != sorted(WHOLE) or found["form"] != "huiyin/evidence/1":
        raise Unfit("huiyin/evidence/1")
    if found["hash"] not in ("sha256", "sm3") or not isinstance(found["events"], list) or not found["events"]:
        raise Unfit("huiyin/evidence/1: hash, events")
    for event in found["events"]:
        if not isinstance(event, dict) or sorted(event) != sorted(ONE):
            raise Unfit("huiyin/evidence/1: events")
        for name in ("position", "version"):
            told(event[name], int, name)
        for name in ("topic", "recorded_at", "occurred_at"):
            told(event[name], str, name)
        for name in ("record", "state"):
            said = told(event[name], dict, name)
            if sorted(one for one in said if one != "digest" or said[one] != "") != ["salt", "text"]:
                raise Unfit("位置 position %s: 须为全文 in full: %s" % (event["position"], name))
            told(event[name]["salt"], str, name)
            told(event[name]["text"], str, name)
    for name in ("ledger", "stream", "proof"):
        told(found[name], str, name)
    return found


def instant(said, where):
    """Return an instant as a header writes it. Raises Unfit."""
    if not re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z", said, re.ASCII):
        raise Unfit("位置 position %s: 时间 an instant: %s" % (where, said[:30]))
    try:
        return datetime.datetime.strptime(said, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc)
    except ValueError as error:
        raise Unfit("位置 position %s: 时间 an instant: %s" % (where, said)) from error


def salted(name, one, where):
    """Return H(salt ‖ text). Raises Unfit."""
    if not re.match(r"(?:[0-9a-f]{2})+\Z", one["salt"]):
        raise Unfit("位置 position %s: salt" % where)
    return hashed(name, bytes.fromhex(one["salt"]) + one["text"].encode("utf-8"))


def leaves_of(found):
    """Return the leaf of each event, computed one on the other. Raises Unfit where they are not one history."""
    made, leaf, before = [], bytes(32), 0
    for number, event in enumerate(found["events"], 1):
        at = event["position"]
        if event["version"] != number or at <= before:
            raise Unfit("位置 position %s: 版本或次序 version or order" % at)
        instant(event["recorded_at"], at)
        if event["occurred_at"] != "-":
            instant(event["occurred_at"], at)
        try:
            commit = json.loads(event["record"]["text"])
            first, count = told(commit["first_position"], int, "first_position"), told(commit["n"], int, "n")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Unfit("位置 position %s: 提交记录 a commit record" % at) from error
        if not first <= at < first + count or commit.get("recorded_at") != event["recorded_at"]:
            raise Unfit("位置 position %s: 不属其提交 its commit does not cover it" % at)
        lines = ("huiyin/1", found["ledger"], found["stream"], str(number), event["topic"], event["recorded_at"],
                 event["occurred_at"], leaf.hex(), salted(found["hash"], event["record"], at).hex(),
                 salted(found["hash"], event["state"], at).hex())  # fmt: skip
        leaf, before = hashed(found["hash"], b"\x00" + "".join(one + "\n" for one in lines).encode("utf-8")), at
        made.append(leaf)
    return made


def held(found, leaf, policy):
    """Return head, root and witnesses of evidence whose last leaf was computed. Raises Unfit."""
    index, path, note = proof_from(found["proof"])
    origin, size, root = head_of(note[0])
    key = (found["proof"].partition("\n\n")[2], id(policy))
    if key not in SEEN:
        SEEN.clear()
        SEEN[key] = believed(note, policy)
    if origin != "huiyin/" + found["ledger"] + ("" if found["hash"] == "sha256" else "/" + found["hash"]):
        raise Unfit("树头属另一账本 a head of another ledger: %s" % origin)
    if index != found["events"][-1]["position"] - 1:
        raise Unfit("存在证明属另一位置 the proof of another position: %d" % (index + 1))
    if root_over(found["hash"], leaf, index, size, path) != root:
        raise Unfit("路径到不了所签的根 the path does not lead to the root that was signed")
    return size, root, SEEN[key]


SEEN = {}


# --- the bag -------------------------------------------------------------------------------------------------------


def digest_of(path):
    """Return the SHA-256 of a file in hexadecimal, and its size."""
    found, size = hashlib.sha256(), 0
    with open(path, "rb") as file:
        for part in iter(lambda: file.read(BLOCK), b""):
            found.update(part)
            size += len(part)
    return found.hexdigest(), size


def content_of(*parts):
    """Return what a file holds."""
    with open(os.path.join(*parts), "rb") as file:
        return file.read()


def is_folder(path):
    """Tell whether a path is a folder, and no link to one elsewhere."""
    return os.path.isdir(path) and not os.path.islink(path)


def manifest_lines(said):
    """Yield digest and path of each line of a manifest; None for a line that is none."""
    lines = said.split(b"\n")
    if lines[-1] != b"":
        yield None
    for line in lines[:-1]:
        found = re.match(rb"([0-9a-f]{64})  ([^\r\0]+)\Z", line)
        digest = path = ""
        try:
            digest, path = [part.decode("utf-8") for part in found.groups()] if found else ("", "")
        except UnicodeDecodeError:
            path = ""
        if not path or path.startswith("/") or any(part in ("", ".", "..") for part in path.split("/")):
            yield None
        else:
            yield digest, path


class Check:
    """The check of one packet: what does not hold, and where."""

    def __init__(self, root, policy):
        self.root, self.policy = root, policy
        self.findings = []
        self.items = self.files = self.bytes = self.events = 0
        self.heads, self.witnesses, self.remarks, self.described, self.named = {}, {}, [], {}, {}
        self.streams = {}

    def found(self, what, path, said, by=""):
        """Keep something that does not hold."""
        self.findings.append({"what": what, "path": path, "by": by, "said": said})

    def run(self):
        """Check all of it."""
        if self.bag():
            names = sorted(name for name in os.listdir(os.path.join(self.root, "data"))
                           if is_folder(os.path.join(self.root, "data", name)))  # fmt: skip
            spoilt = {one["path"].split("/")[1] for one in self.findings if one["path"].count("/") >= 2}
            for name in names:
                self.items += 1
                if name not in spoilt:
                    self.case(name)
            self.catalogue(names)
        if not self.items:
            self.found("bag", "data", "包内没有一件档案 there is no case in the packet")
        return self

    # 1 外层

    def bag(self):
        """Check manifests and digests; tell whether there is anything to look into."""
        there = sorted(os.listdir(self.root))
        for name in there:
            if name not in (*TAG_FILES, TAGS, "data"):
                self.found("unlisted", name, "清单以外的文件 a file that no manifest names")
        for name in (*TAG_FILES, TAGS, "data"):
            if name not in there:
                self.found("missing", name, "缺失 it is missing")
        for name in (*TAG_FILES, TAGS, "data"):
            path = os.path.join(self.root, name)
            kind = os.path.isdir if name == "data" else os.path.isfile
            if name in there and (os.path.islink(path) or not kind(path)):
                self.found("unlisted", name, "不是文件 it is no file")
        if any(one["path"] in (*TAG_FILES, TAGS, "data") for one in self.findings):
            return False
        self.tags()
        said = dict(self.manifest(MANIFEST))
        actual = set(self.walked())
        for path in sorted(set(said) - actual):
            self.found("missing", path, "缺失 it is missing", MANIFEST)
        for path in sorted(actual - set(said)):
            self.found("unlisted", path, "清单以外的文件 a file that no manifest names", MANIFEST)
        for path in sorted(actual & set(said)):
            digest, size = digest_of(os.path.join(self.root, path))
            self.files, self.bytes = self.files + 1, self.bytes + size
            if digest != said[path]:
                self.found("changed", path, "与清单摘要不符 not of the digest that the manifest says", MANIFEST)
        return True

    def tags(self):
        """Check the files about the bag."""
        said = dict(self.manifest(TAGS))
        for name in sorted(set(said) ^ set(TAG_FILES)):
            self.found("bag", TAGS, "应列 it names %s: %s" % (", ".join(TAG_FILES), name), TAGS)
        for name in sorted(set(said) & set(TAG_FILES)):
            if digest_of(os.path.join(self.root, name))[0] != said[name]:
                self.found("changed", name, "与清单摘要不符 not of the digest that the manifest says", TAGS)
        if content_of(self.root, "bagit.txt") != BAGIT:
            self.found("bag", "bagit.txt", "BagIt-Version: 1.0, UTF-8")

    def manifest(self, name):
        """Yield path and digest of each line of a manifest; what is no line is found."""
        seen = set()
        for line in manifest_lines(content_of(self.root, name)):
            if line is None or line[1] in seen or (name == MANIFEST and not line[1].startswith("data/")):
                self.found("bag", name, "一行不合格式或重复 a line that is none, or comes twice", name)
                continue
            seen.add(line[1])
            yield line[1], line[0]

    def walked(self):
        """Yield the path of every file of the payload."""
        for folder, folders, names in os.walk(os.path.join(self.root, "data")):
            folders.sort()
            for name in [*names, *(one for one in folders if os.path.islink(os.path.join(folder, one)))]:
                whole = os.path.join(folder, name)
                path = os.path.relpath(whole, self.root).replace(os.sep, "/")
                if os.path.islink(whole) or not os.path.isfile(whole):
                    self.found("unlisted", path, "不是文件 it is no file")
                else:
                    yield path

    # 2 目录

    def catalogue(self, names):
        """Hold both catalogues against the folders, and the total against what was read."""
        total = re.search(rb"^Payload-Oxum: ([0-9]{1,20})\.([0-9]{1,20})$", content_of(self.root, INFO), re.MULTILINE)
        if total is None or (int(total.group(1)), int(total.group(2))) != (self.bytes, self.files):
            self.found("size", INFO, "应为 it should be %d.%d" % (self.bytes, self.files))
        rows = None
        for ending, read in ((".xml", rows_of_xml), (".csv", rows_of_csv)):
            path = "data/归档文件目录" + ending
            try:
                said = read(content_of(self.root, path) if os.path.isfile(os.path.join(self.root, path)) else b"")
            except (OSError, ValueError, ElementTree.ParseError, csv.Error) as error:
                self.found("catalogue", path, "读不出 it cannot be read: %s" % type(error).__name__)
                continue
            if sorted(row[1] for row in said) != names or [row[0] for row in said] != [
                str(n) for n in range(1, len(said) + 1)
            ]:
                self.found("catalogue", path, "与文件夹不符 not the folders that there are")
            elif rows is not None and said != rows:
                self.found("catalogue", path, "与 .xml 不同 not as in .xml")
            elif any(self.described.get(row[1], row[2:8]) != row[2:8] for row in said):
                self.found("catalogue", path, "与封装包不同 not as the wrappers say")
            rows = rows or said

    # 3 … 6 一件

    def case(self, name):
        """Check one case."""
        folder = "data/" + name
        files = {}
        for path in (p for p in self.walked_in(folder)):
            files[path[len(folder) + 1 :]] = digest_of(os.path.join(self.root, path))
        needed = (name + ".pdf", name + ".eep.xml", name + ".evidence.json", PROOF)
        lacking = [one for one in needed if one not in files]
        for one in lacking:
            self.found("missing", folder + "/" + one, "缺失 it is missing")
        if lacking:
            return
        where = "%s/%s.evidence.json" % (folder, name)
        try:
            found = evidence_from(content_of(self.root, where))
            leaves = leaves_of(found)
        except Unfit as error:
            self.found("evidence", where, str(error))
            return
        self.events += len(leaves)
        first = self.streams.setdefault(found["stream"], name)
        if first != name:
            self.found("number", folder, "同一案件已在包内 the same case is in the packet as %s" % first)
        if content_of(self.root, folder, PROOF) != found["proof"].encode("utf-8"):
            self.found("proof", folder + "/" + PROOF, "与 evidence.json 所载不同 not as in evidence.json")
        try:
            size, root, witnesses = held(found, leaves[-1], self.policy)
            self.heads[size] = root.hex()
            self.witnesses.update(witnesses)
        except Unfit as error:
            self.found("head", folder + "/" + PROOF, str(error))
        self.recorded(folder, name, found, files)
        self.wrapped(folder, name, found, leaves, files)

    def walked_in(self, folder):
        """Yield the path of every file of a case."""
        for place, _, names in os.walk(os.path.join(self.root, folder)):
            for name in names:
                yield os.path.relpath(os.path.join(place, name), self.root).replace(os.sep, "/")

    def recorded(self, folder, name, found, files):
        """Hold dossier, files and number against what events say of them."""
        states = [(one["topic"], json_of(one["state"]["text"]), json_of(one["record"]["text"]))
                  for one in found["events"]]  # fmt: skip
        number = number_of(states)
        if re.sub(r"\A.*?[·.](\d{4})-(Y|D30|D10)-[0-9A-Za-z]+-(\d{4,})\Z", r"\1-\2-\3", name) != number:
            self.found("number", folder, "账本所给档号 the ledger gave %s" % (number or "—"))
        expected = copies_of(states, name)
        for one, digest in sorted(expected.items()):
            if one not in files:
                self.found("missing", folder + "/" + one, "缺失 it is missing")
            elif "sha256:" + files[one][0] != digest:
                self.found("dossier", folder + "/" + one, "入账的卷宗摘要 the digest that was recorded: %s" % digest)
        if not expected:
            self.found("dossier", "%s/%s.pdf" % (folder, name), "账本未载卷宗摘要 no dossier was recorded")
        named = {}
        for _, state, _ in states:
            named.update(named_in(state))
        for one in sorted(files):
            if one.startswith("附件/") and named.get("sha256:" + files[one][0]) != files[one][1]:
                self.found("attachment", folder + "/" + one, "账本未载此附件 no event names this file")
        present = {"sha256:" + digest for digest, _ in files.values()}
        self.named = {digest: size for digest, size in named.items() if digest not in present}

    def wrapped(self, folder, name, found, leaves, files):
        """Hold the wrapper against the files and the events."""
        path = "%s/%s.eep.xml" % (folder, name)
        try:
            documents, acts, number, stream, row = wrapper_from(content_of(self.root, path))
        except (Unfit, ValueError, ElementTree.ParseError) as error:
            self.found("wrapper", path, "读不出 it cannot be read: %s" % error)
            return
        self.described[name] = [plain(cell) for cell in row]
        if (number, stream) != (name, found["stream"]):
            self.found("wrapper", path, "档号或电子文件号不符 of another number or record")
        inside = {one[0]: one[1:] for one in documents if one[0]}
        actual = {one: said for one, said in files.items() if one != name + ".eep.xml"}
        absent = {"sha256:" + one[1]: one[2] for one in documents if not one[0]}
        if inside != actual or len(inside) + len(absent) != len(documents) or absent != self.named:
            for one in sorted(set(inside) ^ set(actual) | {n for n in set(inside) & set(actual)
                                                          if inside[n] != actual[n]}):  # fmt: skip
                self.found("wrapper", folder + "/" + one, "与封装包所载不符 not as the wrapper says", path)
            for one in sorted(set(absent) ^ set(self.named)):
                self.found("attachment", folder, "附件缺失或未说明 a file is missing and not explained: %s" % one, path)
        wanted = []
        for event, leaf in zip(found["events"], leaves):
            at = event["recorded_at"] if event["occurred_at"] == "-" else event["occurred_at"]
            said = "%s; 版本 %d; 账本位置 %d; 叶 %s:%s" % (
                event["topic"], event["version"], event["position"], found["hash"], leaf.hex())  # fmt: skip
            wanted.append(("业务%d" % event["version"], local(instant(at, event["position"])), said))
        if acts != wanted:
            self.found("wrapper", path, "业务实体与事件不符 what happened is not as the events say")
        if self.named:
            self.remarks.append("%s: %d 个附件未随包 files are not in the packet" % (name, len(self.named)))


def json_of(text):
    """Return what a text says; an empty record where it says none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def number_of(states):
    """Return the number that the ledger gave: year of closure, period, running number."""
    found = ""
    for topic, state, commit in states:
        if topic != "order.order_archived":
            continue
        found = state.get("file_number") or ""
        for journal, given in (commit.get("numbers") or {}).items() if not found else ():
            period, _, year = journal.partition("/")[2].rpartition("-")
            if journal.startswith("file/") and given:
                found = "%s-%s-%04d" % (year, period, given[0])
    return found


def copies_of(states, name):
    """Return the digests of the record copy and of what came after the sealing, volume by volume, by their files' names."""
    recorded, volumes, kept, part = [], {}, "", ""
    for topic, state, _ in states:
        if topic == "order.dossier_rendered" and state.get("edition") == "sealed":
            part = state.get("digest")
        if topic == "order.dossier_rendered" and state.get("edition") == "full":
            if state.get("digest") not in recorded:
                recorded.append(state.get("digest"))
            more = state.get("further")
            volumes[state.get("digest")] = [
                one.get("digest") for one in (more if isinstance(more, list) else []) if isinstance(one, dict)
            ]
        if topic == "order.archive_package_sealed":
            kept = state.get("dossier") or ""
    if not recorded:
        return {}
    first = recorded.index(kept) if kept in recorded else len(recorded) - 1
    found = {}
    for n, digest in enumerate(recorded[first:] if kept else recorded[first : first + 1]):
        stem = "%s-补%d" % (name, n) if n else name
        found[stem + ".pdf"] = digest
        for no, one in enumerate(volumes[digest], 2):
            found["%s-卷%d.pdf" % (stem, no)] = one
    if part:
        found[name + "-密封件.pdf"] = part
    return found


def named_in(value):
    """Yield digest and size of every file that an event names."""
    if isinstance(value, dict):
        if {"digest", "size", "media_type"} <= set(value):
            yield value["digest"], value["size"]
        for one in value.values():
            yield from named_in(one)
    elif isinstance(value, list):
        for one in value:
            yield from named_in(one)


def local(at):
    """Return an instant as wrappers write it, in Beijing's time."""
    there = at.astimezone(datetime.timezone(datetime.timedelta(hours=8)))
    return there.isoformat(timespec="milliseconds")


def tree_of(said):
    """Return XML as a tree. Raises Unfit where it brings definitions of its own, or is not written in UTF-8."""
    if b"<!" in said:
        raise Unfit("DOCTYPE")
    try:
        said.decode("utf-8")
        if not said.startswith(DECLARATION):
            raise Unfit("UTF-8")
    except UnicodeDecodeError as error:
        raise Unfit("UTF-8") from error
    return ElementTree.fromstring(said)


def wrapper_from(said):
    """Return files (name, digest, size), acts, number, record and catalogue cells that a wrapper says. Raises Unfit."""
    tree = tree_of(said)
    tag = lambda *names: "/".join(NAMESPACE + name for name in names)  # noqa: E731
    content = tree.find(tag("被签名对象", "封装内容"))
    if tree.tag != NAMESPACE + "电子文件封装包" or content is None:
        raise Unfit("电子文件封装包")
    text = lambda node, *names: node.findtext(tag(*names)) or ""  # noqa: E731
    one = content.find(tag("文件实体块", "文件实体"))
    if one is None:
        raise Unfit("文件实体")
    documents = []
    for document in one.findall(tag("文件数据", "文档")):
        if text(document, "编码", "反编码关键字") != "sha256-base64Binary":
            raise Unfit("反编码关键字")
        digest = from_base64(text(document, "编码", "编码数据"), "编码数据").hex()
        attributes = ("编码", "电子属性")
        size = number_from(text(document, *attributes, "计算机文件大小"))
        documents.append((text(document, *attributes, "计算机文件名"), digest, size))
    acts = [(text(act, "业务标识符"), text(act, "行为时间"), text(act, "行为描述"))
            for act in content.findall(tag("业务实体块", "业务实体"))]  # fmt: skip
    row = [text(one, "内容描述", name) for name in ("文件编号", "责任者", "题名", "日期", "密级")]
    row.append(text(one, "形式特征", "页数"))
    return documents, acts, text(one, "档号", "完整档号"), text(one, "电子文件号"), row


def plain(cell):
    """Return a cell as tables have it: an apostrophe before what a spreadsheet would compute."""
    return "'" + cell if cell[:1] in tuple("=+-@\t\r") else cell


def rows_of_xml(said):
    """Return the rows of the catalogue. Raises ValueError."""
    found = []
    try:
        tree = tree_of(said)
    except Unfit as error:
        raise ValueError(str(error)) from error
    for row in tree:
        if [cell.tag for cell in row] != COLUMNS:
            raise ValueError("COLUMNS")
        found.append([cell.text or "" for cell in row])
    return [[plain(cell) for cell in row] for row in found]


def rows_of_csv(said):
    """Return the rows of the catalogue for spreadsheets. Raises ValueError."""
    if not said.startswith(b"\xef\xbb\xbf"):
        raise ValueError("BOM")
    rows = list(csv.reader(io.StringIO(said[3:].decode("utf-8"), newline=""), strict=True))
    if not rows or rows[0] != COLUMNS or any(len(row) != len(COLUMNS) for row in rows):
        raise ValueError("COLUMNS")
    return rows[1:]


# --- telling -------------------------------------------------------------------------------------------------------


def report(check):
    """Return what a check came to, in words."""
    lines = ["✗ %s: %s" % (one["path"], one["said"]) for one in check.findings]
    for size, root in sorted(check.heads.items()):
        lines.append("树头 head: %d 条 leaves, %s" % (size, root))
    for name, at in sorted(check.witnesses.items()):
        seen = datetime.datetime.fromtimestamp(at, datetime.timezone.utc).isoformat()
        lines.append("见证 witnessed by %s, %s" % (name, seen))
    lines += ["注 note: " + one for one in check.remarks]
    lines.append("%d 件 cases, %d 个文件 files, %d 字节 bytes, %d 个事件 events" % (
        check.items, check.files, check.bytes, check.events))  # fmt: skip
    if check.findings:
        lines.append("✗ 不符 %d 处：本包不可采信 %d things do not hold: do not rely on this packet" % (
            len(check.findings), len(check.findings)))  # fmt: skip
    else:
        lines.append(
            "✓ 全部相符：文件未经改动，事件完整，列入所签树头 all of it holds: unchanged, whole, under a signed head"
        )
        lines.append(
            "  不证明其后未再发生他事, 亦不证明所记属实 it does not prove that nothing came later, nor that what was recorded is true"
        )
    return "\n".join(lines) + "\n"


def main(words):
    """Check the packet that the command line names."""
    parser = argparse.ArgumentParser(description="核验归档信息包 check a packet of filed cases, offline")
    parser.add_argument("packet", help="信息包文件夹 the folder")
    parser.add_argument("--policy", required=True, help="信任策略 whose signatures are believed; never from the packet")
    parser.add_argument("--json", action="store_true", help="供程序读取 for programs")
    said = parser.parse_args(words)
    try:
        policy = policy_from(content_of(said.policy).decode("utf-8"))
    except (OSError, UnicodeDecodeError, Unfit) as error:
        sys.stderr.write("信任策略不合格 not a policy: %s: %s\n" % (said.policy, error))
        return 2
    if not os.path.isdir(said.packet):
        sys.stderr.write("不是文件夹 not a folder: %s\n" % said.packet)
        return 2
    check = Check(said.packet, policy).run()
    if said.json:
        told_of = {"holds": not check.findings, "items": check.items, "files": check.files, "events": check.events,
                   "findings": check.findings, "heads": check.heads, "remarks": check.remarks}  # fmt: skip
        sys.stdout.write(json.dumps(told_of, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(report(check))
    return 1 if check.findings else 0


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    sys.exit(main(sys.argv[1:]))
