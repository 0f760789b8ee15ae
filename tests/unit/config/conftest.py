from pathlib import Path

import pytest

PASSWORD = "hunter2"


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the folder of secrets and the environment that the files of testdata name."""
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    file.chmod(0o600)
    monkeypatch.setenv("SECRETS", str(tmp_path))
    monkeypatch.setenv("PASSWORD", PASSWORD)
    monkeypatch.delenv("NO_SUCH_VARIABLE", raising=False)
    return tmp_path
