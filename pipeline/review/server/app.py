"""The desk's app: the landing, the pages, what they ask for, and their scripts, all under one secret word."""

from __future__ import annotations

from functools import cache
from importlib import resources

from anyio import CapacityLimiter
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from pipeline.core.errors import PrepError
from pipeline.review.desk import Desk
from pipeline.review.pages.menu import PAGES
from pipeline.review.pages.page import Page
from pipeline.review.server.answers import Endpoint, failed
from pipeline.review.server.guard import App, Guard, cookie_name
from pipeline.review.server.secrets import Secrets, same
from pipeline.store.failures import CannotUse

PACKAGE = "pipeline.review"
DECODED_AT_ONCE = 4
"""Images whose pixels are in memory at the same time."""
KINDS = {".js": "text/javascript", ".css": "text/css"}


def create_app(desk: Desk, secrets: Secrets, port: int) -> App:
    """The whole app, guarded."""
    routes: list[BaseRoute] = [
        Route("/", _landing(secrets, port)),
        Mount(f"/{secrets.prefix}", routes=_inside(secrets)),
    ]
    handlers = {HTTPException: _http_problem, PrepError: _failed, CannotUse: _failed, Exception: _failed}
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.state.desk = desk
    app.state.decoding = CapacityLimiter(DECODED_AT_ONCE)
    return Guard(app, secrets, port)


def _inside(secrets: Secrets) -> list[BaseRoute]:
    found: list[BaseRoute] = [Route("/assets/{name}", _asset, methods=["GET"])]
    for page in PAGES:
        found.append(Route(f"/{page.name}", _page(page, secrets), methods=["GET"]))
        found += page.routes
    return found


def _landing(secrets: Secrets, port: int) -> Endpoint:
    """The first visit: a right token gets the cookie, and a page that goes on from here.

    It is no redirect, as a browser sends no strict cookie along a redirect that another program's page began.
    """

    async def landing(request: Request) -> Response:
        if not same(request.query_params.get("token", ""), secrets.token):
            return HTMLResponse(_template("landing.html").render(to=""), 403)
        answer = HTMLResponse(_template("landing.html").render(to=f"/{secrets.prefix}/{PAGES[0].name}"))
        answer.set_cookie(cookie_name(port), secrets.session, httponly=True, samesite="strict", path="/")
        return answer

    return landing


def _page(page: Page, secrets: Secrets) -> Endpoint:
    async def shown(request: Request) -> Response:
        desk: Desk = request.app.state.desk
        text = _template(f"{page.name}.html").render(
            base=f"/{secrets.prefix}",
            secret=secrets.writing,
            set_name=desk.root.absolute().name,
            root=str(desk.root.absolute()),
            page=page.name,
            title=page.words,
            pages=[(each.name, each.words) for each in PAGES],
            **page.given(desk),
        )
        return HTMLResponse(text.encode("utf-8", "backslashreplace"))

    return shown


async def _asset(request: Request) -> Response:
    found = _assets().get(request.path_params["name"])
    if found is None:
        raise HTTPException(404)
    content, kind = found
    return Response(content, media_type=kind, headers={"Cache-Control": "private, no-cache"})


@cache
def _assets() -> dict[str, tuple[bytes, str]]:
    """Scripts and styles by name: a closed list, read once."""
    files = [each for each in resources.files(PACKAGE).joinpath("assets").iterdir() if each.is_file()]
    return {each.name: (each.read_bytes(), KINDS[suffix]) for each in files if (suffix := _suffix(each.name)) in KINDS}


def _suffix(name: str) -> str:
    return "." + name.rpartition(".")[2]


def _template(name: str) -> Template:
    return _environment().get_template(name)


@cache
def _environment() -> Environment:
    """Everything is escaped on its way in, and an unknown name is an error."""
    return Environment(
        loader=PackageLoader(PACKAGE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


async def _http_problem(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return JSONResponse(
        {"error": "there is nothing here" if status == 404 else "this is not done here", "hint": ""}, status
    )


async def _failed(request: Request, error: Exception) -> Response:
    return failed(request.app.state.desk.root, error)
