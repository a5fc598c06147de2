"""The page in a browser, if Chromium is installed."""

import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from polyclinic.exchange.html import write_assessment_page
from tests.exchange import patients

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--virtual-time-budget=3000",
    "--window-size=1200,4400",
)
TIMEOUT_S = 90

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("browser") / "page.html"
    write_assessment_page(patients.assessment(), path, {patients.TASK: patients.evidence()})
    return path


@pytest.fixture
def browse(tmp_path):
    def run(page, *options):
        return subprocess.run(
            [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *options, page.as_uri()],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=True,
            cwd=tmp_path,
        )

    return run


@pytest.fixture
def shoot(browse, tmp_path):
    def picture(page, *options):
        browse(page, f"--screenshot={tmp_path / 'seen.png'}", *options)
        with Image.open(tmp_path / "seen.png") as opened:
            return np.asarray(opened.convert("RGB")).astype(int)

    return picture


def amber(pixels):
    """Count the tinted pixels in the image's column."""
    image = pixels[1280:2130, 130:740]
    return int(((image[..., 0] - image[..., 2]) > 60).sum())


def changed(page, name, old, new):
    text = page.read_text(encoding="utf-8")
    assert old in text
    path = page.with_name(name)
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


def test_the_script_runs_under_the_policy(page, browse):
    dom = browse(page, "--dump-dom").stdout
    assert '<form class="controls">' in dom
    assert 'class="heat-map interactive"' in dom
    assert '<canvas class="live" width="' in dom
    assert 'aria-valuetext="sensitivity 0.50"' in dom


def test_other_scripts_are_blocked(page, browse):
    script = (
        '<p id="probe">as written</p><script>document.getElementById("probe").textContent = "changed"</script></main>'
    )
    dom = browse(changed(page, "hostile.html", "</main>", script), "--dump-dom").stdout
    assert '<p id="probe">as written</p>' in dom


def test_the_map_is_drawn_and_follows_the_controls(page, shoot):
    seen = amber(shoot(page))
    stop, opacity = 'max="20" step="1" value="10"', 'step="5" value="60"'
    assert amber(shoot(changed(page, "peak.html", stop, stop.replace("10", "2")))) < seen / 2
    assert amber(shoot(changed(page, "bare.html", opacity, opacity.replace("60", "0")))) == 0
    assert seen > 1000


def test_without_script_the_overlay_is_shown(page, shoot):
    still = changed(page, "still.html", "script-src 'sha256", "script-src 'sha256-no")
    assert amber(shoot(still)) > 500


@pytest.mark.parametrize("evidence", [patients.evidence, patients.evidence_with_ecg])
def test_the_page_fits_a_phone(evidence, tmp_path, browse):
    page = tmp_path / "page.html"
    write_assessment_page(patients.assessment(), page, {patients.TASK: evidence()})
    measure = "<script>document.title = document.documentElement.scrollWidth</script></body>"
    text = page.read_text(encoding="utf-8").replace("</body>", measure)
    start = text.index("script-src '")
    end = text.index("'", start + len("script-src '"))
    phone = page.with_name("phone.html")
    phone.write_text(text[:start] + "script-src 'unsafe-inline" + text[end:], encoding="utf-8")
    dom = browse(phone, "--dump-dom", "--window-size=500,900").stdout
    assert "<title>500</title>" in dom
