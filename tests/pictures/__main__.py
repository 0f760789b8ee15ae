"""`make screenshots`: start the demo by a clock that stands still, and write a picture of each page of the album."""

import tempfile
from pathlib import Path

from tests.builders import NOW
from tests.pictures.album import ALBUM, FOLDER, MOST_BYTES, WIDTH, file_of
from tests.scenarios.browser import chromium
from tests.scenarios.demo import Demo


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        demo = Demo(Path(folder), "--jobs=300", at=NOW)
        try:
            demo.start()
            demo.wait_caught_up(NOW)
            _write(_addresses(demo))
        finally:
            demo.service.stop()


def _addresses(demo: Demo) -> dict[str, str]:
    """Read what the demo has said of each page: words, then an address."""
    lines = [
        line.strip().rpartition(" ") for line in demo.service.daemon.log.read_text().splitlines() if "http" in line
    ]
    return {words.strip(): address for words, _, address in lines}


def _write(addresses: dict[str, str]) -> None:
    FOLDER.mkdir(exist_ok=True)
    with chromium() as browser:
        for name, (words, height) in ALBUM.items():
            page = browser.new_page(viewport={"width": WIDTH, "height": height}, locale="en-GB", timezone_id="UTC")
            page.goto(addresses[words])
            page.screenshot(path=file_of(name), clip={"x": 0, "y": 0, "width": WIDTH, "height": height})
            page.close()
            if (size := file_of(name).stat().st_size) > MOST_BYTES:
                raise SystemExit(f"{file_of(name)} has {size} bytes, at most {MOST_BYTES} are allowed")


if __name__ == "__main__":
    main()
