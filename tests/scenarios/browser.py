"""A real Chromium that looks at pages: what it complains of, what it asks for, and what axe finds."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, Page, sync_playwright

from tests.lab.packages import ensure_packages, program

AXE = Path(__file__).parents[1] / "data" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
Look = Literal["light", "dark", "phone"]


@dataclass
class Seen:
    """A page as a browser has it: its status, what it complained of, and addresses of others that it asked."""

    page: Page
    status: int = 0
    complaints: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    def axe(self) -> list[str]:
        """Give what axe finds, with the first place of each."""
        self.page.evaluate(AXE.read_text())
        found = self.page.evaluate("tags => axe.run({runOnly: {type: 'tag', values: tags}})", TAGS)
        return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found["violations"]]

    def overflow(self) -> int:
        """Give the pixels by which the page is wider than the window."""
        wide: int = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return wide


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the machine's Chromium."""
    ensure_packages(("chromium",))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, base: str, path: str, look: Look = "light", **context: Any) -> Iterator[Seen]:
    """Open a page; a status that is an error is no complaint of the page's."""
    size = {"width": 390 if look == "phone" else 1240, "height": 900}
    made = browser.new_context(viewport=size, color_scheme="dark" if look == "dark" else "light", **context)  # type: ignore[arg-type]
    seen = Seen(made.new_page())
    seen.page.on("console", lambda said: seen.complaints.append(said.text))
    seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    seen.page.on("request", lambda asked: None if asked.url.startswith(base) else seen.outside.append(asked.url))
    try:
        response = seen.page.goto(base + path, wait_until="load")
        assert response is not None
        seen.status = response.status
        if seen.status >= 400:
            seen.complaints = [each for each in seen.complaints if "Failed to load resource" not in each]
        yield seen
    finally:
        made.close()
