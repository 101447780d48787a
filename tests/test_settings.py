"""The settings: precedence, and every mistake named."""

import tomllib
from pathlib import Path

import pytest

from triage import configuration, settings
from triage.core.anatomy import Evidence, find_part
from triage.core.studytype import StudyType
from triage.errors import ConfigurationError

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text):
        path = tmp_path / "site.toml"
        path.write_text(text, "utf-8")
        return path

    return write


def test_the_repositorys_file_has_every_key_with_its_default():
    shipped = tomllib.loads((REPOSITORY / "triage.toml").read_text())

    assert shipped == settings.Settings().model_dump(mode="json")


def test_every_key_of_the_repositorys_file_is_explained():
    lines = (REPOSITORY / "triage.toml").read_text().splitlines()

    explained = False
    for line in lines:
        if line.startswith("#"):
            explained = True
        elif line == "" or line.startswith("["):
            explained = False
        elif " = " in line and line.split(" = ")[0] != "port":  # port goes with host
            assert explained, f"{line} has no comment"


def test_the_environment_overrides_the_file(write, monkeypatch):
    path = write("[study]\nquiet = 3\nlimit = 30\n")
    monkeypatch.setenv("TRIAGE_STUDY__QUIET", "5")

    loaded = configuration.load(path)

    assert (loaded.study.quiet, loaded.study.limit) == (5, 30)


def test_the_sites_own_words_for_parts_are_read(write, monkeypatch):
    path = write("[study]\nparts = {RX112 = 'hand', 'schult*' = 'outside'}\n")
    evidence = [Evidence(attribute="SeriesDescription", text="RX112")]

    table = configuration.load(path).study.part_table

    assert find_part(evidence, table).study_type is StudyType.HAND

    monkeypatch.setenv("TRIAGE_STUDY__PARTS", '{"RX112": "wrist"}')
    table = configuration.load(path).study.part_table

    assert find_part(evidence, table).study_type is StudyType.WRIST


@pytest.mark.parametrize(
    ("written", "paths"),
    [
        ("''", ()),
        ("[]", ()),
        ("'a.safetensors'", ("a.safetensors",)),
        ("['a.safetensors', '/b c.safetensors']", ("a.safetensors", "/b c.safetensors")),
    ],
)
def test_one_model_or_several_are_named(write, monkeypatch, written, paths):
    path = write(f"[model]\npath = {written}\n")

    assert configuration.load(path).model.paths == paths

    in_environment = written.replace("'", '"') if written.startswith("[") else written.strip("'")
    monkeypatch.setenv("TRIAGE_MODEL__PATH", in_environment)
    loaded = configuration.load(write(""))
    assert loaded.model.paths == paths
    # As the daemon passes them to its scoring process.
    assert settings.Settings.model_validate(loaded.model_dump(mode="json")).model.paths == paths


@pytest.mark.parametrize(
    ("path", "sha256", "pins"),
    [
        ("''", "''", ()),
        ("''", f"'{'AB' * 32}'", ("ab" * 32,)),
        ("'a'", f"'{'0' * 64}'", ("0" * 64,)),
        ("['a', 'b']", f"['', '{'0' * 64}']", ("", "0" * 64)),
    ],
)
def test_a_hash_may_be_asked_of_each_checkpoint(write, path, sha256, pins):
    loaded = configuration.load(write(f"[model]\npath = {path}\nsha256 = {sha256}\n"))

    assert loaded.model.pins == pins
    assert settings.Settings.model_validate(loaded.model_dump(mode="json")).model.pins == pins
    assert loaded.model.naming(Path("c")).pins == ()


def test_who_raises_min_free_alone_gets_a_low_water_mark_above_it(write):
    assert configuration.load(write("[spool]\nmin_free = 5000000000\n")).spool.low_water == 10**10


def test_a_wrong_min_free_is_the_only_mistake_that_is_named(write):
    with pytest.raises(ConfigurationError) as caught:
        configuration.load(write("[spool]\nmin_free = 'much'\n"))

    assert len(str(caught.value).splitlines()) == 1


def test_a_file_in_the_working_directory_is_found(write):
    write("").with_name("triage.toml").write_text("[study]\nquiet = 7\n")

    assert configuration.load().study.quiet == 7


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[study]\nquite = 3\n", ["site.toml: study.quite", "no such key"]),
        ("[studie]\nquiet = 3\n", ["site.toml: studie", "no such key"]),
        ("[spool]\nkeep = 0\n", ["spool.keep", "greater than 0"]),
        ("[spool]\nmin_free = 9\nlow_water = 8\n", ["spool.low_water", "spool.min_free (9)", "8"]),
        ("[study]\nquiet = 'soon'\n", ["study.quiet", "'soon'", "number"]),
        ("[study]\nquiet = 0\n", ["study.quiet", "greater than 0"]),
        ("[study]\nquiet = nan\n", ["study.quiet"]),
        ("[study]\nlimit = inf\n", ["study.limit", "finite"]),
        ("[worklist]\nmax_wait = 1e12\n", ["worklist.max_wait", "315360000"]),
        ("[study]\nunknown_part = 'guess'\n", ["study.unknown_part", "'skip' or 'score'"]),
        ("[database]\nurl = 'mysql://x'\n", ["database.url", "sqlite:///", "mysql"]),
        ("[database]\nurl = 'postgresql://x/y'\n", ["database.url", "+psycopg"]),
        ("[database]\nurl = 'sqlite:///:memory:'\n", ["database.url", "needs a file"]),
        ("[dicom]\nport = 70000\n", ["dicom.port", "65535"]),
        ("[dicom]\nae_title = 'A TITLE FAR TOO LONG'\n", ["dicom.ae_title", "1 to 16"]),
        ("[dicom]\nallow = [{address = '10.0.0'}]\n", ["dicom.allow.0.address", "10.0.0"]),
        ("[dicom]\nallow = [{address = 'pacs'}]\n", ["dicom.allow.0.address", "'pacs'", "192.0.2"]),
        ("[dicom]\nallow = [{address = '10.0.0.1/8'}]\n", ["dicom.allow.0.address", "host bits"]),
        ("[dicom]\nallow = [{ae_title = ' '}]\n", ["dicom.allow.0.ae_title", "1 to 16"]),
        ("[dicom]\nallow = [{}]\n", ["dicom.allow.0", "an ae_title, an address or both"]),
        ("[dicom]\nmax_associations = 501\n", ["dicom.max_associations", "500"]),
        ("[dicom]\nmax_object_size = 1\n", ["dicom.max_object_size", "1048576"]),
        (
            "[dicom]\ntls_certificate = 'a.pem'\n",
            ["dicom.tls_key: name the file of the key", "tls_certificate=a.pem", "without TLS"],
        ),
        (
            "[dicom]\ntls_key = 'a.pem'\n",
            ["dicom.tls_key: dicom.tls_certificate is empty", "or empty dicom.tls_key", "'a.pem'"],
        ),
        (
            "[dicom]\ntls_client_ca = 'a.pem'\n",
            ["dicom.tls_client_ca: dicom.tls_certificate is empty", "without TLS"],
        ),
        ("[web]\nhost = ''\n", ["web.host", "every address"]),
        ("[web]\nsession = 5\n", ["web.session", "60"]),
        ("[web]\ntls_key = 'a.pem'\n", ["web.tls_key", "go together", "without TLS"]),
        ("[web]\ntls_certificate = 'a.pem'\n", ["web.tls_key", "go together", "without TLS"]),
        ("[web]\nproxy_header = 'X-User'\n", ["web.proxy_header", "web.proxy_addresses"]),
        ("[web]\nproxy_addresses = ['proxy']\n", ["web.proxy_addresses.0", "192.0.2.10"]),
        (
            "[web]\nproxy_addresses = ['::1']\nproxy_header = 'X User:'\n",
            ["web.proxy_header", "X-Remote-User"],
        ),
        ("[web]\nproxy_administrators = ['a']\n", ["proxy_administrators", "web.proxy_header"]),
        ("[web]\nmonitors = ['10.0.0.1/8']\n", ["web.monitors.0", "host bits"]),
        ("[study]\nparts = {MAO = 'hnad'}\n", ["study.parts.MAO", "'hnad'", "elbow, finger,"]),
        ("[study]\nparts = {MAO = 3}\n", ["study.parts.MAO", "string"]),
        ("[study]\nparts = {'' = 'hand'}\n", ["study.parts", "letter or a digit"]),
        ("[study]\nparts = {'a*b' = 'hand'}\n", ["study.parts.a*b", "end of a single word"]),
        ("[study]\nparts = {'Mão' = 'hand', MAO = 'wrist'}\n", ["study.parts", "contradict"]),
        ("[model]\npath = ['a', '']\n", ["model.path", "name of a file for each"]),
        ("[model]\npath = ['a', 'b', 'a']\n", ["model.path", "twice"]),
        ("[model]\npath = 7\n", ["model.path", "string"]),
        ("[model]\nsha256 = 'abc'\n", ["model.sha256", "64 hexadecimal", "'abc'"]),
        (f"[model]\npath = 'a'\nsha256 = ['{'0' * 64}', '{'1' * 64}']\n", ["2 hashes", "1 check"]),
        (f"[model]\npath = ['a', 'b']\nsha256 = '{'0' * 64}'\n", ["1 hashes", "2 checkpoints"]),
        (
            "[report]\nnormal = {wrist = '{{ veiws }}'}\n",
            ["site.toml: report.normal.wrist", "no veiws", "a template is given study_type"],
        ),
        ('[report.normal]\nany = "{% if x"\n', ["report.normal.any", "line 1"]),
        ("[report.normal]\nknee = 'x'\n", ["report.normal.knee", "elbow, finger,", "or any"]),
        ("[report.normal]\nany = 3\n", ["report.normal.any", "string"]),
        ("[study\n", ["site.toml", "TOML"]),
    ],
)
def test_a_mistake_in_the_file_is_named(write, text, named):
    path = write(text)

    with pytest.raises(ConfigurationError) as caught:
        configuration.load(path)

    assert all(part in str(caught.value) for part in named), caught.value


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("TRIAGE_STUDY__QUITE", "5", ["TRIAGE_STUDY__QUITE", "quiet, limit"]),
        ("TRIAGE_STUDIE__QUIET", "5", ["TRIAGE_STUDIE__QUIET", "study"]),
        ("TRIAGE_STUDY__QUIET", "soon", ["TRIAGE_STUDY__QUIET", "soon"]),
        ("TRIAGE_DICOM__ALLOW", "[{", ["TRIAGE_DICOM__ALLOW", "JSON"]),
        ("TRIAGE_MODEL__PATH", "['a', 'b']", ["TRIAGE_MODEL__PATH", '["a.safetensors", "b']),
        ("TRIAGE_DICOM__TLS_KEY", "a.pem", ["TRIAGE_DICOM__TLS_KEY", "dicom.tls_certificate"]),
        ("TRIAGE_STUDY__PARTS", '{"MAO": "hnad"}', ["TRIAGE_STUDY__PARTS.MAO", "'hnad'", "hand"]),
    ],
)
def test_a_mistake_in_the_environment_is_named(write, monkeypatch, name, value, named):
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError) as caught:
        configuration.load(write(""))

    assert all(part in str(caught.value) for part in named), caught.value


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nowhere.toml: there is no such file"):
        configuration.load(tmp_path / "nowhere.toml")
