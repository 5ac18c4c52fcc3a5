"""The application: routes from the table of operations, refusals as problems, and nothing that shows a trace."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, cast

import msgspec
import psycopg
from litestar import Litestar, Request, Response
from litestar.exceptions import ClientException, HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream
from litestar.types import ASGIApp, Receive, Scope, Send

from api import openapi, operating, problems
from api.access import for_outside, for_overseers
from api.asking import Answer, House, drained
from api.operating import Gauges
from api.operations import OPERATIONS, Operation, Run
from api.page import page
from api.problems import Broken, MethodUnfit, NotReady, TokenMissing, TokenUnfit, UnknownPage, as_problem
from api.writing import COLLECTIONS, command, institutional
from domain.refusals import Refusal, Unavailable

Opening = Callable[[], AbstractAsyncContextManager[House]]
"""How what is served is opened when a worker starts, and closed when it ends."""

QUERIES: dict[str, frozenset[str]] = {
    operation.name: frozenset(query.name for query in operation.queries) for operation in OPERATIONS
}
"""The query parameters of each operation; of commands, as they are counted, the same for all."""

_COMMANDING = "command"
"""How requests that give a command are counted: their own names are those of the domain, and many."""

QUERIES[_COMMANDING] = QUERIES["register"]


def application(opening: Opening, *, fresh: Callable[[], str]) -> Litestar:
    """Return the application. `fresh` gives a word that nobody used before, for an error to be found by."""
    gauges = Gauges()
    held: list[House] = []

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        async with opening() as house:
            held[:] = [house]
            try:
                yield
            finally:
                house.closing.set()
                held.clear()

    served = _Served(held, gauges, fresh)
    return Litestar(
        route_handlers=[*_routes(served), *_public(served)],
        lifespan=[lifespan],
        openapi_config=None,
        exception_handlers={HTTPException: served.elsewhere, Exception: served.elsewhere},
        request_max_body_size=None,  # each route has its own limit, and counts as it reads
        logging_config=None,
        debug=False,
    )


class _Served:
    """Runs one operation for one request, whatever comes of it."""

    def __init__(self, held: list[House], gauges: Gauges, fresh: Callable[[], str]) -> None:
        self.held = held
        self.gauges = gauges
        self.fresh = fresh

    def house(self) -> House:
        """Return what is served. Raises NotReady."""
        if not self.held:
            raise NotReady
        return self.held[0]

    def turn(self, request: Request[Any, Any, Any]) -> Mapping[str, str]:
        """Return what an answer of a sandbox says of itself, also where it refuses."""
        city = self.held[0].cities.get(str(request.path_params.get("city", ""))) if self.held else None
        return city.turn if city is not None else {}

    async def operation(
        self, request: Request[Any, Any, Any], run: Run, name: str, collection: str, *, by_code: bool, paced: bool
    ) -> ASGIApp:
        """Answer one request of an operation."""
        begun, role, code = time.perf_counter(), "", ""
        turn = self.turn(request)
        try:
            ask = self.house().visit(request) if by_code else await self.house().ask(request, collection)
            role, turn = str(ask.who.role), ask.city.turn
            for_outside(ask.who, name)
            for_overseers(ask.who, name)
            ask.only(QUERIES[name])
            answer = await run(ask._replace(pacing=paced) if paced else ask)
        except Exception as error:  # noqa: BLE001  whatever it is, the caller reads a problem, never a trace
            answer, code = self.refused(error)
            if turn and answer.status >= 500:  # it is being reset: what this worker has open is no more
                answer, code = self.refused(problems.SandboxResetting())
            await drained(request)
        answer = answer._replace(headers={**turn, **answer.headers}) if turn else answer
        return self.respond(request, answer, name, begun, role=role, code=code)

    def refused(self, error: Exception) -> tuple[Answer, str]:
        """Return an error as a problem, with its code."""
        instance = ""
        match error:
            case Refusal():
                refusal: Refusal = error
            case psycopg.Error():
                refusal = Unavailable()
            case ClientException():  # the body stopped in its middle
                refusal = problems.BodyCut()
            case _:
                refusal, instance = Broken(), f"urn:huiyin:error:{self.fresh()}"
                operating.note_error(error, instance)
        status = problems.status_of(refusal)
        headers = {}
        if wait := problems.retry_after(refusal):
            headers["Retry-After"] = wait
        if isinstance(refusal, TokenMissing | TokenUnfit):
            fault = ', error="invalid_token"' if isinstance(refusal, TokenUnfit) else ""
            headers["WWW-Authenticate"] = f'Bearer realm="huiyin"{fault}'
        body = as_problem(refusal, instance)
        return Answer(body, status, headers, problems.MEDIA_TYPE), refusal.code()

    def respond(
        self, request: Request[Any, Any, Any], answer: Answer, name: str, begun: float, *, role: str, code: str
    ) -> ASGIApp:
        """Return an answer as it goes over the wire, counted and noted."""
        self.note(request, answer, name, begun, role=role, code=code)
        headers = {**_ALWAYS, **answer.headers}
        if isinstance(answer.body, AsyncIterator):
            said = {"status_code": answer.status, "media_type": answer.media_type, "headers": headers}
            return cast(ASGIApp, Stream(answer.body, **said).to_asgi_response(app=None, request=request))
        return _Said(answer, headers)

    def note(
        self, request: Request[Any, Any, Any], answer: Answer, name: str, begun: float, *, role: str, code: str
    ) -> None:
        """Count and note an answer."""
        took = time.perf_counter() - begun
        self.gauges.count(name, answer.status, took, code)
        if operating.LOG.isEnabledFor(logging.INFO):
            trace = request.headers.get("traceparent", "")[3:35]
            trace = trace if re.fullmatch("[0-9a-f]{32}", trace) else ""
            operating.note(name, request.method, answer, took, trace=trace, role=role, code=code)

    def elsewhere(self, request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        """Answer what met no operation."""
        refusal: Exception = error
        status = error.status_code if isinstance(error, HTTPException) else 500
        if status == 404:
            refusal = UnknownPage()
        elif status == 405:
            refusal = MethodUnfit()
        elif status == 413:
            refusal = problems.BodyTooLarge()
        elif isinstance(error, HTTPException) and status < 500:
            refusal = problems.BodyUnfit()
        answer, code = self.refused(refusal)
        allowed = (error.headers or {}).get("allow") if isinstance(error, HTTPException) else None
        if allowed:
            answer = answer._replace(headers={**answer.headers, "Allow": allowed})
        self.note(request, answer, "elsewhere", time.perf_counter(), role="", code=code)
        headers = {**_ALWAYS, **answer.headers}
        return Response(_bytes(answer), status_code=answer.status, media_type=answer.media_type, headers=headers)


_ALWAYS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def _bytes(answer: Answer) -> bytes:
    return answer.body if isinstance(answer.body, bytes) else msgspec.json.encode(answer.body)


class _Said:
    """An answer as the server takes it: a tenth of a request goes by where a framework makes up its mind about one."""

    __slots__ = ("_body", "_start")

    def __init__(self, answer: Answer, headers: Mapping[str, str]) -> None:
        self._body = _bytes(answer)
        said = {"Content-Type": answer.media_type, "Content-Length": str(len(self._body)), **headers}
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in said.items()]
        self._start: Any = {"type": "http.response.start", "status": answer.status, "headers": raw}

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send(self._start)
        await send({"type": "http.response.body", "body": self._body, "more_body": False})


def _routes(served: _Served) -> Iterable[HTTPRouteHandler]:
    """Yield a route for each question, and one for the commands of each kind of record."""
    for operation in OPERATIONS:
        if operation.command is None:
            yield _route(
                served,
                operation.method,
                operation.path,
                operation.run,
                operation.name,
                _collection(operation),
                by_code=operation.by_code,
                paced=operation.paced,
            )
    register = next(operation for operation in OPERATIONS if operation.name == "register")
    yield _route(served, "POST", "/orders", register.run, "register", "orders")
    for collection, kind in COLLECTIONS.items():
        if kind == "institution":
            yield _route(served, "POST", "/institution/{command}", institutional, _COMMANDING, collection)
        else:
            yield _route(served, "POST", f"/{collection}/{{record}}/{{command}}", command, _COMMANDING, collection)


def _collection(operation: Operation) -> str:
    first = operation.path.strip("/").partition("/")[0]
    return first if first in COLLECTIONS else ""


def _route(
    served: _Served,
    method: str,
    path: str,
    run: Run,
    name: str,
    collection: str,
    *,
    by_code: bool = False,
    paced: bool = False,
) -> HTTPRouteHandler:
    async def handle(request: Request[Any, Any, Any]) -> ASGIApp:
        return await served.operation(request, run, name, collection, by_code=by_code, paced=paced)

    full = "/v1/{city:str}" + re.sub(r"\{(\w+)\}", _place, path)
    return HTTPRouteHandler(full, http_method=method, name=f"{method} {full}", status_code=200)(handle)  # type: ignore[arg-type]


def _place(name: re.Match[str]) -> str:
    """Return a part of a path as a route names it; one whose name says so may have slashes in it."""
    return f"{{{name[1]}:{'path' if name[1].endswith('_path') else 'str'}}}"


# --- what anybody may ask ----------------------------------------------------------------------------------------


def _public(served: _Served) -> Iterable[HTTPRouteHandler]:
    document = msgspec.json.encode(openapi.document())
    shown = page().encode()

    async def live() -> Answer:
        return Answer({"live": True})

    async def ready() -> Answer:
        fine, told = await operating.ready(served.house())
        return Answer({"ready": fine, "cities": told}, 200 if fine else 503)

    async def metrics() -> Answer:
        text = await served.gauges.text(served.house())
        return Answer(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def openapi_json() -> Answer:
        return Answer(document)

    async def docs() -> Answer:
        return Answer(shown, media_type="text/html; charset=utf-8")

    for path, run in (
        ("/health/live", live),
        ("/health/ready", ready),
        ("/metrics", metrics),
        ("/openapi.json", openapi_json),
        ("/docs", docs),
    ):
        yield _open_route(served, path, run)


def _open_route(served: _Served, path: str, run: Callable[[], Awaitable[Answer]]) -> HTTPRouteHandler:
    async def handle(request: Request[Any, Any, Any]) -> ASGIApp:
        begun, code = time.perf_counter(), ""
        try:
            answer = await run()
        except Exception as error:  # noqa: BLE001  as above
            answer, code = served.refused(error)
        return served.respond(request, answer, path.strip("/").replace("/", "_"), begun, role="", code=code)

    return HTTPRouteHandler(path, http_method="GET", name=path, status_code=200)(handle)
