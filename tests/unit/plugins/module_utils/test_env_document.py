# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils.env_document import (
    MASK,
    Document,
    EnvError,
    plan,
    read_value,
    spell,
)

BOTH = pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("", ""),
        ("plain-word_1.2:3/4,5", "plain-word_1.2:3/4,5"),
        ("word # comment", "word"),
        ("'two words'", "two words"),
        ("'two words' # comment", "two words"),
        ('"two words"', "two words"),
        ("'${SUBJECT} \\n'", "${SUBJECT} \\n"),
        ("{a,b}*?!", "{a,b}*?!"),
    ],
)


@BOTH
def test_what_both_readers_understand(raw, value):
    assert read_value(raw) == value


@BOTH
def test_bash_understands_it_too(raw, value, sourced):
    assert sourced("KEY=%s\n" % raw) == value


@pytest.mark.parametrize(
    "raw",
    [
        "two words",
        "a$b",
        "`id`",
        "a;b",
        "a'b'c",
        '"$x"',
        "'it",
        '"a\\nb"',
        "~",
        "a\\b",
        "a\r",
        " a",
        " # why",
    ],
)
def test_a_value_that_is_not_read_alike_is_refused(raw):
    with pytest.raises(ValueError, match=r"bash|Compose|quote"):
        read_value(raw)


@pytest.mark.parametrize(
    ("value", "quote", "problem"),
    [
        ("two words", False, "a blank"),
        ("a$b", False, r"\$"),
        ("x#y", False, "#"),
        ("`id`", False, "`"),
        ("a;b", False, ";"),
        ("it's", True, "single quote"),
        ("a\nb", True, "line break"),
        ("ends with \\", True, "backslash"),
    ],
)
def test_spelling_refuses(value, quote, problem):
    with pytest.raises(ValueError, match=problem):
        spell(value, quote)


def test_a_quoted_value_may_go_over_lines():
    document = Document("A='one\ntwo'\nB=1\n")
    assert document.keys() == ["A", "B"]
    assert document.get("A") == "one\ntwo"


FILE = """\
# comment
A=1
#B=old
C=3   # why

C=4
export D=5
unknown line
"""


def text_after(*args, **kwargs):
    return plan(*args, **kwargs).after.text


def test_nothing_to_do_changes_nothing():
    result = plan(FILE.replace("C=3   # why\n", ""), {"A": "1", "C": "4"}, absent=["X"])
    assert not result.changed
    assert result.changes == {}


def test_a_value_is_changed_in_its_line_and_the_rest_stays():
    result = plan("# x\nA=1\nexport D=5\n", {"A": "2", "D": "6"})
    assert result.after.text == "# x\nA=2\nexport D=6\n"
    assert result.changes == {"A": "changed", "D": "changed"}


def test_a_comment_is_activated_in_its_place():
    assert text_after("#B=x\n#B=y\nZ=1\n", {"B": "2"}) == "#B=x\nB=2\nZ=1\n"


def test_prose_is_no_commented_key():
    text = "# B=1 is only an example\nZ=1\n"
    assert text_after(text, {"B": "2"}) == text + "B=2\n"


def test_a_new_key_goes_to_the_end_even_without_a_newline_there():
    assert text_after("A=1", {"B": "2"}) == "A=1\nB=2\n"


def test_of_duplicates_the_last_one_stays():
    result = plan(FILE, {"C": "4"})
    assert result.changes == {"C": "deduplicated"}
    assert "C=3" not in result.after.text
    assert "C=4" in result.after.text


def test_defaults_leave_what_is_set():
    assert text_after("A=1\nB=\n", {}, defaults={"A": "9", "B": "9", "C": "9"}) == "A=1\nB=\nC=9\n"


def test_a_secret_is_made_once():
    make = {"P": lambda: "made12345"}
    first = text_after("P=\n", {}, generate=make)
    assert first == "P=made12345\n"
    assert text_after(first, {}, generate={"P": lambda: "other"}) == first


def test_absent_keys_go_with_all_their_lines():
    result = plan("A=1\nOLD=1\n#OLD=2\nOLD=3\n", {}, absent=["OLD", "NEVER"])
    assert result.after.text == "A=1\n#OLD=2\n"
    assert result.changes == {"OLD": "removed"}


def test_a_layout_is_filled_in():
    layout = "# names\nA=\n\n#B=\n"
    assert text_after(None, {"A": "1"}, layout=layout) == "# names\nA=1\n\n#B=\n"
    assert text_after(None, {"A": "1", "B": "2"}, layout=layout) == "# names\nA=1\n\nB=2\n"


def test_comments_that_are_there_stay_above_the_layout():
    assert text_after("# mine", {"A": "1"}, layout="A=\n") == "# mine\nA=1\n"
    assert text_after("", {"A": "1"}, layout="A=\n") == "A=1\n"
    assert text_after("B=2\n", {"A": "1"}, layout="A=\n#C=\n") == "B=2\nA=1\n"


REASON = {"P": "the database keeps it"}


@pytest.mark.parametrize("text", [None, "", "# nothing yet\n"])
def test_create_only_is_written_to_a_new_file(text):
    assert text_after(text, {"P": "1"}, create_only=REASON).endswith("P=1\n")


@pytest.mark.parametrize("text", ["A=1\nP=1\n", "A=1\n", "A=1\nP=$x\n"])
def test_create_only_is_refused_later(text):
    with pytest.raises(EnvError, match=r"P is not changed: .*the database keeps it"):
        plan(text, {"P": "2"}, create_only=REASON)


def test_create_only_with_the_same_value_is_no_change():
    assert not plan("P=2\n", {"P": "2"}, create_only=REASON).changed
    assert text_after("A=1\n", {"P": ""}, create_only=REASON) == "A=1\nP=\n"


def test_a_missing_create_only_secret_is_not_made_anew():
    with pytest.raises(EnvError, match="write down the one in use"):
        plan("A=1\n", {}, generate={"P": lambda: "new"}, create_only=REASON)


def test_refused_values_name_the_key_and_secrets_stay_hidden():
    with pytest.raises(EnvError, match=r"A: the value 'x y' is refused: a blank"):
        plan("", {"A": "x y"})
    with pytest.raises(EnvError) as error:
        plan("", {}, secrets={"S": "hunter 2"})
    assert "hunter" not in str(error.value)


@pytest.mark.parametrize("key", ["", "A-B", "1A", "A B", "A=B"])
def test_a_key_that_is_no_name_is_refused(key):
    with pytest.raises(EnvError, match="is not a name"):
        plan("", {key: "1"})


def test_an_unclear_line_that_is_not_ours_is_a_warning():
    result = plan("A=x y\n", {}, defaults={"A": "1"})
    assert not result.changed
    assert result.warnings == [
        "A is not read alike: bash runs what stands behind the blank as a command"
    ]


def test_an_unclear_line_of_ours_is_put_right():
    assert text_after('A="1"\nB="$x"\n', {"A": "1", "B": "2"}) == 'A="1"\nB=2\n'


def test_secrets_are_hidden_in_the_diff_and_a_new_one_is_seen():
    text = "A=1\nS=old-secret\nDBPASS=pass-in-use\n#API_KEY=commented-key\nMAILCOW_PASS_SCHEME=x\n"
    diff = plan(text, {"A": "2"}, secrets={"S": "new-secret"}).diff()
    assert diff["before"] == (
        "A=1\nS=%s\nDBPASS=%s\n#API_KEY=%s\nMAILCOW_PASS_SCHEME=x\n" % (MASK, MASK, MASK)
    )
    assert diff["after"] == diff["before"].replace("A=1", "A=2").replace(
        "\nS=%s" % MASK, "\nS=%s (new value)" % MASK
    )
