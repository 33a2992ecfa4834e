"""What tests of pools have in common: each runs on processes and on threads."""

import pytest

import tarefa


@pytest.fixture(params=["process", "thread"])
def pool(request):
    with tarefa.Pool(2, request.param) as made:
        yield made


@pytest.fixture(params=["process", "thread"])
def kind(request):
    return request.param
