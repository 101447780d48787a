"""The conformance statement says of the program what the program does."""

import re
from pathlib import Path

import pytest
from pydicom.uid import UID

from tests.support.certificates import Authority
from triage.dicom import codecs, connection, dimse, scp, sopclasses, tls
from triage.settings import DicomSettings

REPOSITORY = Path(__file__).parents[2]
STATEMENT = (REPOSITORY / "deploy/CONFORMANCE.md").read_text("utf-8")


def table(head):
    """Return the cells of the table with this head, a list a row."""
    assert STATEMENT.count(f"\n{head}\n|") == 1, head
    body = STATEMENT.split(f"\n{head}\n|", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in body.splitlines()[1:]]


def named(rows):
    return [(name, uid.strip("`")) for name, uid, *_ in rows]


def with_names(uids):
    return [(UID(uid).name, str(uid)) for uid in uids]


def test_the_sop_classes_are_those_that_are_offered():
    rows = table("| SOP class | SOP Class UID | what becomes of an instance |")
    offered = [uid for uid, _ in sopclasses.offer() if uid != sopclasses.VERIFICATION]

    assert named(rows) == with_names(offered)
    scored = [uid.strip("`") for _, uid, fate in rows if fate.startswith("scored")]
    assert scored == list(sopclasses.RADIOGRAPHS)


def test_the_transfer_syntaxes_are_those_that_are_offered_in_their_order():
    offered = dict(sopclasses.offer())
    of_images = table("| transfer syntax of images | UID |")
    of_others = table("| transfer syntax of other objects | UID |")

    assert not codecs.missing(), "this machine cannot decode everything"
    for uid in (*sopclasses.RADIOGRAPHS, *sopclasses.OTHER_IMAGES):
        assert named(of_images) == with_names(offered[uid])
    for uid in sopclasses.NOT_IMAGES:
        assert named(of_others) == with_names(offered[uid])
    assert [UID(uid).name for uid in offered[sopclasses.VERIFICATION]] == [
        "Implicit VR Little Endian",
        "Explicit VR Little Endian",
    ]


def test_the_status_codes_are_those_that_the_receiver_answers():
    source = "".join(Path(module.__file__).read_text("utf-8") for module in (scp, dimse))
    answered = {
        int(code, 16) for code in re.findall(r"^[A-Z_]+ = (0x[0-9A-F]{4})$", source, re.MULTILINE)
    }
    rows = table("| status | meaning | when | what the sender should do |")

    assert {scp.SUCCESS, scp.OUT_OF_RESOURCES} < answered
    assert {int(status, 16) for status, *_ in rows} == answered


def test_every_setting_of_the_port_is_there_with_its_default():
    written = {name.strip("`"): default.strip("`") for name, default, _ in settings_table()}
    settings = DicomSettings().model_dump(mode="json")

    assert written == {f"dicom.{key}": as_toml(value) for key, value in settings.items()}


def settings_table():
    return table("| setting | default | meaning |")


def as_toml(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return "(empty)" if value == "" else str(value)


def test_the_cipher_suites_are_those_that_openssl_is_given(tmp_path):
    pair = Authority(tmp_path, "ca").issue("server")
    files = tls.Files(certificate=pair.certificate, key=pair.key, client_ca=None)
    for context in tls.contexts(files):
        suites = {(s["protocol"], s["name"]) for s in context.get_ciphers()}

        for version, protocol in {"1.2": "TLSv1.2", "1.3": "TLSv1.3"}.items():
            (row,) = re.findall(
                rf"\| cipher suites of TLS {re.escape(version)} \| (.*) \|", STATEMENT
            )
            assert set(re.findall(r"`(.*?)`", row)) == {n for p, n in suites if p == protocol}


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("request_seconds", "association request {:g} s"),
        ("handshake_seconds", "TLS handshake {:g} s"),
        ("request_bytes", "before there is an association | {} bytes,"),
        ("request_bytes", "says that it is longer than {} bytes | the connection is closed"),
        ("data_bytes", "a longer PDU, up to {} bytes"),
        ("data_bytes", "a PDU says that it is longer than {} bytes, an object"),
    ],
)
def test_the_limits_that_a_site_cannot_set_are_stated(limit, words):
    assert words.format(getattr(connection.Limits(), limit)) in STATEMENT


def test_every_check_that_the_log_names_is_stated():
    source = "".join(
        (REPOSITORY / "triage/dicom" / name).read_text("utf-8")
        for name in ("access.py", "transport.py")
    )
    checks = set(re.findall(r'check="([^"]+)"', source))

    assert {"tls", "dicom.allow", "request", "sop_class"} <= checks
    assert sorted(check for check in checks if f"| `{check}` |" not in STATEMENT) == []


def test_every_check_of_a_request_is_stated():
    source = Path(dimse.__file__).read_text("utf-8")
    checks = set(re.findall(r'check="([^"]+)"', source))

    assert {"operation", "argument", "message", "presentation context", "Message ID"} == checks
    for check in checks:
        assert re.search(
            rf"\| `{check}`.* of `(request_refused|association_dropped)` \|", STATEMENT
        )
