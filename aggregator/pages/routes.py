"""Every page."""

from typing import Final

from aiohttp import web

from aggregator.api.application import add_routes
from aggregator.api.errors import ERROR_PAGE
from aggregator.pages import account, cloud, door, energy, job, node, nodes, status, storage, user, waste
from aggregator.pages.errors import error_page
from aggregator.pages.page import WebPage
from aggregator.pages.sign_in import SIGN_IN
from aggregator.pages.single_sign_on import SINGLE_SIGN_ON
from aggregator.pages.static import STATIC

PAGES: Final[tuple[WebPage, ...]] = (
    door.PAGE, job.PAGE, user.PAGE, account.PAGE, waste.PAGE, nodes.PAGE, node.PAGE, energy.PAGE,
    storage.ALL, storage.ONE, storage.GROUP, cloud.PAGE, status.PAGE,
)  # fmt: skip


def add_pages(app: web.Application) -> None:
    """Let an application answer for people too."""
    app[ERROR_PAGE] = error_page
    add_routes(app, [STATIC, *SIGN_IN, *SINGLE_SIGN_ON, *(page.route for page in PAGES)])
