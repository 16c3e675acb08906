"""The HTTP server: Robyn, with our routes and nothing else of its own."""

import re
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any, Final

from harness.server.dispatch import Dispatcher
from harness.server.encoding import encode
from harness.server.http import METHODS, PARAMETER, Raw, Reply, Route, StreamReply

_OTHER_METHODS: Final = (*METHODS, "HEAD", "OPTIONS")

Hook = Callable[[], Awaitable[None]]


def listen(
    host: str,
    port: int,
    routes: Sequence[Route],
    *,
    dispatcher: Callable[[], Dispatcher],
    on_start: Hook,
    on_end: Hook,
) -> None:
    """Serve until a signal ends the process; does not return.

    Robyn ends the process by itself once `on_end` is done, with status 0.

    Args:
        host: Where to listen.
        port: On which port; it must be free.
        routes: What is served.
        dispatcher: Returns who answers, once `on_start` is done.
        on_start: Called on the server's event loop before the first request.
        on_end: Called there when it is told to end.
    """
    import robyn  # noqa: PLC0415 -- it reads what `prepare_robyn` has prepared

    app = robyn.Robyn(__file__)
    app.startup_handler(on_start)
    app.shutdown_handler(on_end)

    def endpoint(route: Route) -> Callable[[Any], Awaitable[Any]]:
        async def answer(request: robyn.Request) -> Any:
            return _response(robyn, await dispatcher().answer(route, _raw(request)))

        return answer

    for route in routes:
        for method in _methods_of(route):
            app.add_route(method, PARAMETER.sub(r":\1", route.path), endpoint(route))

    patterns = [(re.compile(PARAMETER.sub(r"[^/]+", r.path)), _methods_of(r)) for r in routes]

    async def nowhere(request: robyn.Request) -> Any:
        path = request.url.path
        served = (methods for pattern, methods in patterns if pattern.fullmatch(path))
        allowed = sorted({method for methods in served for method in methods})
        return _response(robyn, dispatcher().refuse(_raw(request), allowed))

    for method in _OTHER_METHODS:
        for path in ("/", "/*rest"):
            app.add_route(method, path, nowhere)
    app.start(host=host, port=port, _check_port=False)


def _methods_of(route: Route) -> tuple[str, ...]:
    """Return the methods that a route is reached by: HEAD where GET is."""
    return ("GET", "HEAD") if route.method == "GET" else (route.method,)


def _raw(request: Any) -> Raw:
    headers = request.headers.get_headers()
    return Raw(
        method=request.method,
        address=request.url.path,
        path=request.path_params,
        query=request.query_params.to_dict(),
        all_headers=headers,
        headers={name: values[-1] for name, values in headers.items()},
        body=request.body,
        client=request.ip_addr,
    )


def _response(robyn: Any, reply: Reply | StreamReply) -> Any:
    headers = dict(reply.headers)
    if isinstance(reply, StreamReply):
        headers["Content-Type"] = reply.media_type  # which Robyn sets for event streams only
        return robyn.StreamingResponse(
            reply.pieces, headers=robyn.Headers(headers), media_type=reply.media_type
        )
    text = ""
    if reply.status != HTTPStatus.NO_CONTENT:
        if isinstance(reply.body, str) and "Content-Type" in headers:
            text = reply.body
        else:
            headers["Content-Type"] = "application/json"
            text = encode(reply.body)
    return robyn.Response(
        status_code=int(reply.status), headers=robyn.Headers(headers), description=text
    )
