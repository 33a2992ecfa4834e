"""What a notebook shows of a pool."""

import xml.etree.ElementTree as ET

import pytest

import tarefa


@pytest.mark.parametrize("kind", ["process", "thread", "auto"])
def test_a_pool_is_shown_with_its_workers(kind):
    with tarefa.Pool(2, kind, name="a<b") as pool:
        assert list(pool.map(abs, range(-3, 3))) == [3, 2, 1, 0, 1, 2]
        page = pool._repr_html_()
        whole = ET.fromstring(f"<div>{page}</div>")
        text = "".join(whole.itertext())
        assert repr(pool) in text
        assert "0 tasks run, 0 wait, 0 workers replaced" in text
        for worker in pool.stats().workers:
            assert worker.name in text
    assert "closed" in pool._repr_html_()


def test_an_explanation_is_shown_as_it_is_printed():
    with tarefa.Pool(2, "auto") as pool:
        assert list(pool.map(abs, range(10))) == list(range(10))
        explained = pool.explain()
    shown = ET.fromstring(explained._repr_html_())
    assert shown.tag == "pre"
    assert "".join(shown.itertext()) == str(explained)


@pytest.mark.parametrize("kind", ["process", "thread"])
def test_a_pool_is_a_picture_of_its_workers_or_of_its_timeline(kind):
    with tarefa.Pool(2, kind, name="a<b") as pool:
        assert list(pool.map(abs, [-1, -2])) == [1, 2]
        text = "".join(ET.fromstring(pool._repr_svg_()).itertext())
        for worker in pool.stats().workers:
            assert worker.name in text
        # A look begins no recording.
        assert pool._recording is None
    ET.fromstring(pool._repr_svg_())
    with tarefa.Pool(2, kind, timeline=True) as recorded:
        assert list(recorded.map(abs, [-1, -2])) == [1, 2]
        text = "".join(ET.fromstring(recorded._repr_svg_()).itertext())
    assert "Who ran what when" in text
