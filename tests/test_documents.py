"""What the documents say is there."""

import re
from pathlib import Path

from typer.main import get_command

from triage.cli import app

REPOSITORY = Path(__file__).parents[1]
DOCUMENTS = [REPOSITORY / "README.md", *sorted((REPOSITORY / "deploy").glob("*.md"))]


def commands():
    """Return every command and sub-command as the user types it."""
    found = set()
    for name, command in get_command(app).commands.items():
        found.add(name)
        found |= {f"{name} {sub}" for sub in getattr(command, "commands", {})}
    return found


def test_the_readme_lists_every_command():
    text = (REPOSITORY / "README.md").read_text()
    table = text[text.index("| command |") : text.index("STUDY is")]

    for name in commands():
        for word in name.split():
            assert f"{word}`" in table or f"{word} " in table, name


def test_every_command_in_the_documents_exists():
    known = commands()
    # In code, as a word of its own: not the user of `sudo -u triage`.
    used = re.compile(r"(?:^|[`/ ])(?<!-u )(?<!-g )triage (?:--config \S+ )?([a-z]+)(?: ([a-z]+))?")
    for document in DOCUMENTS:
        for code in re.findall(r"```\w*\n(.*?)```|(`[^`\n]+`)", document.read_text(), re.DOTALL):
            for name, sub in used.findall(code[0] or code[1]):
                assert name in known, (document.name, name)
                if any(command.startswith(f"{name} ") for command in known) and sub:
                    assert f"{name} {sub}" in known, (document.name, name, sub)


def test_every_file_that_a_document_links_to_exists():
    for document in DOCUMENTS:
        for link in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            if "://" not in link:
                assert (document.parent / link).exists(), (document.name, link)


def test_only_what_is_agreed_lies_at_the_top():
    agreed = {"triage", "migrations", "deploy", "tests", "pyproject.toml", "triage.toml"}
    agreed |= {"README.md", "LICENSE", "CHANGELOG.md", "triage.egg-info"}
    ignored = {"spool", "build", "dist"}

    there = {path.name for path in REPOSITORY.iterdir() if not path.name.startswith(".")}

    assert agreed - {"triage.egg-info"} <= there
    assert there <= agreed | ignored
