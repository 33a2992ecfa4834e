"""Pages and pictures as a browser shows them; skipped where there is none."""

import shutil
import subprocess
import sys
import sysconfig
import threading
import zlib
from pathlib import Path

import pytest
from support import run

import tarefa

pytestmark = pytest.mark.once("pages and pictures are drawn by Rust")

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
COMMAND = str(Path(sysconfig.get_path("scripts"), "tarefa"))
needs_browser = pytest.mark.skipif(BROWSER is None, reason="there is no browser")


def shown(path, tmp_path):
    """The text that a browser has of a page; it wrote no error to its console."""
    picture = tmp_path / "screen.png"
    done = subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--enable-logging=stderr",
            "--virtual-time-budget=2000",
            "--window-size=1200,1600",
            f"--screenshot={picture}",
            "--dump-dom",
            path.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert not said, said
    # A picture of one colour is a few hundred bytes of data.
    assert len(zlib.compress(picture.read_bytes())) > 4000
    return done.stdout


def nap(seconds):
    tarefa.sleep(seconds)
    return seconds


@needs_browser
@pytest.mark.parametrize("ending", ["html", "svg"])
def test_a_timeline(tmp_path, ending):
    with tarefa.Pool(2, name="ants", timeline=True) as pool:
        list(pool.map(nap, [0.02] * 6, chunksize=1))
        pool.save_timeline(tmp_path / f"it.{ending}")
    text = shown(tmp_path / f"it.{ending}", tmp_path)
    assert "ants" in text
    assert "nap" in text


@needs_browser
def test_who_waits_for_whom(tmp_path):
    one, other = tarefa.Lock(), tarefa.Lock()
    met = threading.Barrier(2)

    def hold(first, second):
        with first:
            met.wait(30)
            if second.acquire(timeout=3):
                second.release()

    threads = [
        tarefa.Thread(target=hold, args=pair, name=name).start()
        for name, pair in (("ana", (one, other)), ("rui", (other, one)))
    ]
    tarefa.sleep(0.3)
    (tmp_path / "locks.svg").write_text(tarefa.deadlocks().svg())
    for thread in threads:
        thread.join()
    text = shown(tmp_path / "locks.svg", tmp_path)
    assert "ana" in text
    assert "rui" in text


@needs_browser
def test_the_page_of_the_tour(tmp_path):
    run([COMMAND, "tour", "5", "--python", sys.executable, "--save", str(tmp_path / "tour")])
    (page,) = (tmp_path / "tour").glob("*.html")
    text = shown(page, tmp_path)
    assert "<footer>CPython" in text
    assert "<svg" in text
