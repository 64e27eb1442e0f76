"""Sends requests by `wasi:http`, as a component does that knows nothing of Lucid."""

from urllib.parse import urlsplit

import wit_world
from componentize_py_types import Err, Ok
from wit_world import Answer
from wit_world.imports import outgoing_handler
from wit_world.imports.streams import StreamError_Closed
from wit_world.imports.types import (
    Fields,
    IncomingBody,
    Method_Other,
    OutgoingBody,
    OutgoingRequest,
    Scheme_Http,
    Scheme_Https,
)

PLAIN = {"http": Scheme_Http, "https": Scheme_Https}


def sent(method, url, headers, body):
    """Hands a request over and waits for the answer."""
    parts = urlsplit(url)
    request = OutgoingRequest(Fields.from_list([(name, value.encode()) for name, value in headers]))
    request.set_method(Method_Other(method))
    request.set_scheme(PLAIN[parts.scheme]())
    request.set_authority(parts.netloc)
    request.set_path_with_query(parts.path + ("?" + parts.query if parts.query else ""))
    outgoing = request.body()
    future = outgoing_handler.handle(request, None)
    with outgoing.write() as stream:
        for begin in range(0, len(body), 4096):
            stream.blocking_write_and_flush(body[begin : begin + 4096].encode())
    OutgoingBody.finish(outgoing, None)
    with future.subscribe() as ready:
        ready.block()
    answer = future.get().value
    if isinstance(answer, Err):
        raise answer
    return answer.value


def read(response):
    """The whole body."""
    incoming, parts = response.consume(), []
    with incoming.stream() as stream:
        while True:
            try:
                parts.append(stream.blocking_read(65536))
            except Err as error:
                if isinstance(error.value, StreamError_Closed):
                    break
                raise
    IncomingBody.finish(incoming)
    return b"".join(parts)


class WitWorld(wit_world.WitWorld):
    def ask(self, method, url, headers, body):
        try:
            response = sent(method, url, headers, body)
            fields = [(name, value.decode()) for name, value in response.headers().entries()]
            return Answer(response.status(), fields, read(response).decode())
        except Err as error:
            raise Err(repr(error.value))

    def ask_often(self, url, times):
        answered = 0
        for _ in range(times):
            try:
                read(sent("GET", url, [], ""))
                answered += 1
            except Err:
                break
        return answered

    def hoard(self, count, size):
        kept = [Fields.from_list([("x", b"a" * size)]) for _ in range(count)]
        return len(kept)
