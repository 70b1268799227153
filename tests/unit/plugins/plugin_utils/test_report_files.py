# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Markdown, the pages, and the directory they are in."""

from __future__ import annotations

import datetime
import fcntl
import html.parser
import json
import multiprocessing
import os
import re
import stat
import time

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils.file_write import FileWriteError
from ansible_collections.postmaster.mailhost.plugins.plugin_utils.report import (
    document,
    folder,
    markdown,
    page,
)

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(html.parser.HTMLParser):
    """Reads a page; fails on tags that do not match."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def text(self, tag=None):
        """Return what is to be read, of all the page or of one kind of tag."""
        found = [text for where, text in self.texts if (tag or where) == where != "style"]
        return " ".join(" ".join(found).split())

    def attributes(self, name):
        """Return the values of an attribute, wherever it stands."""
        return [attrs[name] for _tag, attrs in self.tags if name in attrs]


def self_contained(text):
    """Assert that a page loads nothing, and return it."""
    found = Page(text)
    names = {tag for tag, _attrs in found.tags}
    assert not names & {"script", "link", "img", "iframe", "object", "base", "form"}
    assert found.attributes("src") == []
    assert not [name for _tag, attrs in found.tags for name in attrs if name.startswith("on")]
    style = "".join(data for where, data in found.texts if where == "style")
    assert not re.search(r"url\(|@import|expression", style)
    assert text.startswith("<!DOCTYPE html>")
    assert ("html", {"lang": "en"}) in found.tags
    assert "{{" not in text and "{%" not in text and "{#" not in text
    return found


def test_the_page_of_a_host(build):
    found = self_contained(page.host(build(), "index.html"))
    assert found.text("title") == "mail1: NO GO"
    text = found.text()
    order = ["FAIL", "UNKNOWN", "WARN", "In order", "Public ports", "Not looked at", "dns.mx"]
    places = [text.index(word) for word in order]
    assert places == sorted(places)
    assert "1 failed 1 unknown 1 to watch 1 ok 1 skipped" in text
    assert "Stack mailcow, looked at 2026-01-02 03:04 UTC" in text
    assert "Fix Add some: swapon /swapfile . Look again." in text
    assert "swapon /swapfile" in found.text("code")
    assert found.attributes("href") == ["index.html", "https://example.org/a#b"]


def test_a_page_without_problems_and_without_an_index(build, finding):
    found = self_contained(page.host(build([finding("a.b", "ok")], stack="")))
    assert "Nothing: every check that applies is ok." in found.text()
    assert found.text("title") == "mail1: go"
    assert "Stack" not in found.text()
    assert found.attributes("href") == []


def test_no_text_becomes_markup(build, hostile):
    name = '<img src=x onerror="a">'
    found = self_contained(page.host(build(hostile, host=name, stack=name)))
    assert found.text().count("<script>alert('1')</script> \"q\" & `t` | *b* \\x1b[31m\\u202e") >= 4
    assert found.attributes("href") == ["https://example.org/?a=1&b=2|3"]
    found = self_contained(page.index([('"><b>.html', build(hostile, host=name, stack=name))]))
    assert found.text("a") == name
    assert found.attributes("href") == ["%22%3E%3Cb%3E.html"]


def test_the_index_is_worst_first_and_tells_old_reports(build, finding, mixed):
    warn, fail = finding("a.b", "warn"), finding("a.b", "fail")
    early = datetime.datetime(2025, 12, 24, tzinfo=datetime.UTC)
    found = self_contained(
        page.index(
            (report["host"] + ".html", report)
            for report in [
                build([], host="good"),
                build([warn], host="watch", at=early),
                build([fail], host="bad"),
                build([fail, fail], host="worse"),
                build([fail], host="another"),
                build([warn], host="strict", fail_on="warn"),
            ]
        )
    )
    hosts = ["worse", "another", "bad", "strict", "watch", "good"]
    assert found.attributes("href") == [name + ".html" for name in hosts]
    assert "6 in all, 4 no go" in found.text()
    assert found.text().count("(from an earlier run)") == 1
    row = found.text().partition("watch go")[2].partition("good")[0]
    assert "2025-12-24 00:00 UTC (from an earlier run)" in row


def test_an_index_of_nothing():
    assert "0 in all" in self_contained(page.index([])).text()


def test_markdown(build):
    assert markdown.render(build()).splitlines() == [
        "# mail1: NO GO",
        "",
        "1 failed, 1 unknown, 1 to watch, 1 ok, 1 skipped.",
        "",
        "Looked at 2026-01-02T03:04:05Z, stack mailcow, with postmaster.mailhost "
        + document.collection_version()
        + ".",
        "",
        "## To look at",
        "",
        "| Status | Check | Observed | Needed | Fix |",
        "| --- | --- | --- | --- | --- |",
        "| FAIL | [`egress.smtp`](<https://example.org/a#b>) | seen | wanted | Open it. |",
        "| UNKNOWN | `clock.offset` | seen | wanted | Look. |",
        "| WARN | `resources.swap` | seen | wanted | Add some: `swapon /swapfile`. Look again. |",
        "",
        "## In order",
        "",
        "### ports",
        "",
        "- `ports.public`: seen",
        "",
        "## Not looked at",
        "",
        "### dns",
        "",
        "- `dns.mx`: seen",
    ]


def test_markdown_without_problems(build, finding):
    text = markdown.render(build([finding("a.b", "ok")], stack=""))
    assert "To look at" not in text and "stack" not in text


def test_markdown_shows_texts_as_they_are(build, hostile):
    text = markdown.render(build(hostile))
    rows = [line for line in text.splitlines() if line.startswith(("| FAIL", "| WARN"))]
    assert len(rows) == 2
    for row in rows:
        assert len(re.findall(r"(?<!\\)\|", row)) == 6
    assert r"\<script\>alert('1')\</script\> " in text
    # Code is shown as it is anyway.
    prose = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", text.replace("\\`", ""))
    assert re.findall(r"(?<!\\)<[^>]*>", prose) == ["<https://example.org/?a=1&b=2%7C3>"]
    assert r"\`t\` \| \*b\* \\x1b\[31m\\u202e \[a\](b) next" in text


@pytest.mark.parametrize(
    ("value", "shown"),
    [("a b", "`a b`"), ("a`b", "`` a`b ``"), ("``", "``` `` ```"), ("a|b", "`a\\|b`")],
)
def test_code(value, shown):
    assert markdown.code(value) == shown


def test_the_directory(build, tmp_path):
    target = tmp_path / "new" / "report"
    previous = os.umask(0o077)
    try:
        files = folder.write(str(target), build(host="mail.example.org"))
    finally:
        os.umask(previous)
    assert files == {
        "json": str(target / "mail.example.org.json"),
        "markdown": str(target / "mail.example.org.md"),
        "html": str(target / "mail.example.org.html"),
        "index": str(target / "index.html"),
    }
    for name in files.values():
        assert stat.S_IMODE(os.stat(name).st_mode) == 0o644
    assert stat.S_IMODE(target.stat().st_mode) == 0o755
    with open(files["json"], encoding="utf-8") as stream:
        assert json.load(stream) == build(host="mail.example.org")
    # The page leads to the index and back.
    assert "index.html" in Page((target / "mail.example.org.html").read_text()).attributes("href")
    assert Page((target / "index.html").read_text()).attributes("href") == ["mail.example.org.html"]


def test_the_index_holds_earlier_hosts_and_no_other_files(build, tmp_path):
    folder.write(str(tmp_path), build(host="first", findings=[]))
    (tmp_path / "other.json").write_text("{}")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe")
    (tmp_path / "copy.json").write_text((tmp_path / "first.json").read_text())
    (tmp_path / "folder.json").mkdir()
    folder.write(str(tmp_path), build(host="second"))
    index = Page((tmp_path / "index.html").read_text())
    assert index.attributes("href") == ["second.html", "first.html"]
    folder.write(str(tmp_path), build(host="second", findings=[]))
    index = Page((tmp_path / "index.html").read_text())
    assert index.attributes("href") == ["first.html", "second.html"]


def test_a_relative_directory(build, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert folder.write("report", build())["index"] == str(tmp_path / "report" / "index.html")


def _write(path, number):
    folder.write(path, document.build([], f"host{number}"))


def test_hosts_that_report_at_the_same_time(tmp_path):
    context = multiprocessing.get_context("spawn")
    with context.Pool(4) as pool:
        pool.starmap(_write, [(str(tmp_path), number) for number in range(16)])
    links = Page((tmp_path / "index.html").read_text()).attributes("href")
    assert sorted(links) == sorted(f"host{number}.html" for number in range(16))


def test_one_host_at_a_time_makes_the_index(tmp_path):
    with open(tmp_path / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = multiprocessing.get_context("spawn").Process(
            target=_write, args=(str(tmp_path), 1)
        )
        process.start()
        page_of_host = tmp_path / "host1.html"
        end = time.monotonic() + 30
        while not page_of_host.exists() and time.monotonic() < end:
            time.sleep(0.05)
        process.join(0.5)
        assert page_of_host.exists()
        assert process.is_alive()
        assert not (tmp_path / "index.html").exists()
    process.join(30)
    assert process.exitcode == 0
    assert (tmp_path / "index.html").exists()


@pytest.mark.parametrize(
    ("host", "stem"),
    [
        ("mail1", r"mail1"),
        ("mail.example.org", r"mail\.example\.org"),
        ("192.0.2.1", r"192\.0\.2\.1"),
        ("2001:db8::1", r"2001_db8__1-[0-9a-f]{8}"),
        ("../../etc/passwd", r"_\.\._etc_passwd-[0-9a-f]{8}"),
        (".hidden", r"hidden-[0-9a-f]{8}"),
        ("index", r"index-[0-9a-f]{8}"),
        ("Index", r"Index-[0-9a-f]{8}"),
        ("", r"-[0-9a-f]{8}"),
        ("x" * 400, r"x{150}-[0-9a-f]{8}"),
        ("ü \udcff", r"___-[0-9a-f]{8}"),
    ],
)
def test_names_of_files(host, stem, build, tmp_path):
    assert re.fullmatch(stem, folder.file_stem(host))
    files = folder.write(str(tmp_path), build(host=host))
    assert {os.path.dirname(path) for path in files.values()} == {str(tmp_path)}


def test_no_two_hosts_share_a_file():
    names = ["a b", "a_b", "a/b", "a:b", "index", ".index", "x" * 200, "x" * 201]
    assert len({folder.file_stem(name) for name in names}) == len(names)


def test_a_directory_that_cannot_be(build, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileWriteError, match=r"file"):
        folder.write(str(tmp_path / "file" / "report"), build())
