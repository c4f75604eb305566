"""These run on uvloop, as workers do: a connection that breaks shows otherwise there. The contract suite is asyncio's."""

import uvloop


def pytest_asyncio_loop_factories(config, item):
    return {"uvloop": uvloop.new_event_loop}
