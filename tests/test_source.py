"""What the package's source never does, so that no file and no peer can make it run something."""

import ast
from pathlib import Path

import pytest

import triage

PACKAGE = Path(triage.__file__).parent
MODULES = {str(path.relative_to(PACKAGE)): path for path in sorted(PACKAGE.rglob("*.py"))}
# Run what they are given, or what a file holds.
RUNS_CODE = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "runpy.run_path"),
    *("pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.loads", "shelve.open"),
    *("yaml.load", "joblib.load", "pandas.read_pickle", "subprocess.getoutput"),
}
STARTS = {"subprocess.Popen", "subprocess.run", "subprocess.check_output", "subprocess.call"}


def calls(path):
    """Give each call in a module, with the name of what is called."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def options(call):
    return {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}


def test_the_package_is_looked_through():
    assert len(MODULES) > 100
    assert "subprocess.Popen" in {name for name, _ in calls(MODULES["pipeline/decoder.py"])}


@pytest.mark.parametrize("module", MODULES)
def test_nothing_is_run_that_a_file_or_a_peer_brings(module):
    for name, call in calls(MODULES[module]):
        assert name not in RUNS_CODE, name
        given = options(call)
        assert given.get("shell", "False") == "False"
        assert given.get("allow_pickle", "False") == "False"
        if name == "torch.load":
            assert given["weights_only"] == "True"
        if name in STARTS:  # our own interpreter with words of our own, and no shell between
            command = call.args[0]
            assert isinstance(command, ast.List)
            assert ast.unparse(command.elts[0]) == "sys.executable"


def test_weights_are_unpickled_by_import_and_training_alone():
    found = {name for name, path in MODULES.items() if "torch.load" in dict(calls(path))}

    assert found == {"model/conversion.py", "research/resume.py"}
