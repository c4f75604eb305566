"""A gating process with its admin API, one a worker process of pytest: each test opens accounts of its own."""

import pytest

from tests.gating.rest.served import serving


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("admin") / "data") as served:
        yield served


@pytest.fixture
def operator(served):
    return served.client(role="operator")
