"""The pictures of the documentation are those that `make screenshots` makes, small, and shown."""

import re
import struct

from tests.contract.named_tests import ROOT
from tests.pictures.album import ALBUM, FOLDER, MOST_BYTES, WIDTH, file_of

SHOWN = {
    page: set(re.findall(r"!\[[^\]]+\]\((?:docs/)?pictures/([\w-]+)\.png\)", (ROOT / page).read_text()))
    for page in ("README.md", "docs/tutorial.md")
}


def test_every_picture_is_made_and_shown_and_no_other_is() -> None:
    assert {file.name for file in FOLDER.iterdir()} == {file_of(name).name for name in ALBUM}
    assert set.union(*SHOWN.values()) == ALBUM.keys()
    assert {"job", "waste"} <= SHOWN["README.md"], "a job's page, and one that is like a board"


def test_each_is_small_and_has_the_size_that_the_album_says() -> None:
    for name, (_, height) in ALBUM.items():
        content = file_of(name).read_bytes()
        assert len(content) <= MOST_BYTES
        assert struct.unpack(">II", content[16:24]) == (WIDTH, height)
