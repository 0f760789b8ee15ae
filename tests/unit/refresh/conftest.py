import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fakes import Outcomes


@pytest.fixture
def outcomes() -> Outcomes:
    return Outcomes()
