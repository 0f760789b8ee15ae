"""GET /: where things are and how fresh they are, on one page that loads nothing."""

import base64
import hashlib
from html import escape
from string import Template
from typing import Final

from aiohttp import web

from aggregator.api.freshness import age, is_stale
from aggregator.api.keys import CLOCK, SETTINGS, STORE
from aggregator.model.view import SourceStatus

# Relative, so that they hold behind a proxy that serves the page under a path of its own.
LINKS: Final = (
    ("metrics", "Metrics", "for Prometheus"),
    ("docs", "The API", "every path, parameter and field"),
    ("api/v1/status", "Status", "every source in detail"),
    ("api/v1/clusters", "Clusters", "totals and jobs"),
    ("api/v1/storage", "Storage", "file systems and their groups"),
    ("api/v1/cloud/projects", "Cloud", "projects and their instances"),
    ("-/ready", "Ready", "for load balancers"),
)
_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #60646c; --line: #e0e3e8; --paper: #fcfcfd;
  --good: #18794e; --bad: #cd2b31; --link: #0b68cb }
@media (prefers-color-scheme: dark) { :root { --ink: #edeef0; --soft: #a0a4ab; --line: #2e3238; --paper: #14161a;
  --good: #4cc38a; --bad: #ff6369; --link: #6cb6ff } }
body { margin: 12vh auto 4rem; max-width: 40rem; padding: 0 1.5rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.6 system-ui, sans-serif }
h1 { margin: 0; font-size: 1.5rem; font-weight: 600; letter-spacing: -.01em }
h1 small, .soft { color: var(--soft); font-size: .875rem; font-weight: 400; letter-spacing: 0 }
ul { list-style: none; margin: 2rem 0; padding: 0 }
a { color: var(--link); text-decoration: none } a:hover, a:focus-visible { text-decoration: underline }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .5rem 0; border-bottom: 1px solid var(--line); text-align: left; font-weight: 400 }
th { color: var(--soft); font-size: .875rem } th:last-child, td:last-child { text-align: right }
.good { color: var(--good) } .bad { color: var(--bad) }
"""
_PAGE: Final = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>hpc-aggregator</title>
<style>$style</style>
<main>
<h1>hpc-aggregator <small>$version</small></h1>
<p class="soft">What jobs hold, what they use, and who stores what.</p>
<ul>$links</ul>
<table>
<thead><tr><th scope="col">Source</th><th scope="col">Of</th><th scope="col">Data</th></tr></thead>
<tbody>$sources</tbody>
</table>
</main>
</html>
""")
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


async def get_landing(request: web.Request) -> web.Response:
    """Answer with the page."""
    settings, now = request.app[SETTINGS], request.app[CLOCK]()
    sources = request.app[STORE].current.sources
    text = _PAGE.substitute(
        style=_STYLE,
        version=escape(settings.version),
        links="".join(f'<li><a href="{path}">{name}</a> <span class="soft">{use}</span>' for path, name, use in LINKS),
        sources="".join(_row(sources[key], now, settings.stale_after) for key in sorted(sources)) or _NO_SOURCES,
    )
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"}
    return web.Response(text=text, content_type="text/html", headers=headers)


_NO_SOURCES: Final = '<tr><td colspan="3" class="soft">Nothing has been read yet.</td></tr>'


def _row(status: SourceStatus, now: float, stale_after: float) -> str:
    """Show one source without its error: the page is open to all, and errors may name hosts."""
    seconds = age(status, now)
    text = "none yet" if seconds is None else f"{seconds:.0f} s old"
    look = "good" if status.up and not is_stale(status, now, stale_after) else "bad"
    return f'<tr><td>{escape(status.source)}</td><td>{escape(status.scope)}</td><td class="{look}">{text}</td></tr>'
