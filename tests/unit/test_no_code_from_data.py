"""Nothing in a file of data or of weights is ever run: no pickle, no code of the hub, no shell that splits words."""

import ast
from pathlib import Path

import pytest

import gta

LIBRARY = Path(gta.__file__).parent
MODULES = sorted(LIBRARY.rglob("*.py"))
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "joblib", "cloudpickle", "shelve", "marshal"}
FORBIDDEN_CALLS = {"eval", "exec", "os.system", "os.popen", "torch.hub.load", "pd.read_pickle", "yaml.load", "yaml.unsafe_load"}


def faults(source: str) -> list[str]:
    """What in a module could run something from a file."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in FORBIDDEN_MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in FORBIDDEN_MODULES:
            found.append(str(node.module))
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            options = {word.arg: ast.unparse(word.value) for word in node.keywords}
            if name in FORBIDDEN_CALLS:
                found.append(name)
            if name == "torch.load" and options.get("weights_only") != "True":
                found.append("torch.load")
            found += [key for key in ("allow_pickle", "trust_remote_code", "shell") if options.get(key, "False") != "False"]
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(LIBRARY)))
def test_module_runs_nothing_from_a_file(module: Path) -> None:
    assert faults(module.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=flag)",
        "subprocess.run(text, shell=True)",
        "eval(text)",
    ],
)
def test_faults_are_found(source: str) -> None:
    assert len(faults(source)) == 1


def test_safe_forms_are_allowed() -> None:
    assert faults("np.load(path, allow_pickle=False); torch.load(path, weights_only=True); subprocess.run(words)") == []
