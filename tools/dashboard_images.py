"""Make the pictures of the dashboard in docs/images, from a demonstration that runs meanwhile.

Needs Debian's chromium (``CHROMIUM=program`` for another).
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page, sync_playwright

from pine.web.run import listen

IMAGES: Final = Path(__file__).parents[1] / "docs" / "images"
PINE: Final = [sys.executable, "-P", "-m", "pine"]
ARGUMENTS: Final = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
SHOTS: Final = {
    "wide": {"viewport": {"width": 1600, "height": 1000}, "color_scheme": "light"},
    "narrow": {"viewport": {"width": 390, "height": 1240}, "color_scheme": "dark"},
}
TRADES: Final = 42
"""Filled entries and exits that a chart must show before it is worth a picture."""

SECONDS: Final = 240_000


def main() -> None:
    """Run a demonstration and a dashboard beside it, and take the pictures while both live."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = folder / "run"
        demo = subprocess.Popen([*PINE, "demo", "--keep", str(run), "--days", "5", "--speed", "2000"], cwd=folder)
        while not (run / "pine.yaml").exists():
            time.sleep(0.1)  # a file that comes tells nobody
        with listen("127.0.0.1", 0) as probe:
            port = probe.getsockname()[1]
        command = [*PINE, "-c", "run/pine.yaml", "dashboard", "--port", str(port)]
        dashboard = subprocess.Popen(command, cwd=folder)
        try:
            shoot(port)
        finally:
            dashboard.terminate()
            dashboard.wait()
            demo.terminate()
            demo.wait()


def shoot(port: int) -> None:
    """Take every picture."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        pages = {shot: opened(browser, shot, port) for shot in SHOTS}
        waiting = next(iter(pages.values()))
        waiting.wait_for_function(f"{_ORDERS} >= {TRADES}", timeout=SECONDS)
        for shot, page in pages.items():
            page.wait_for_timeout(1500)
            page.screenshot(path=IMAGES / f"dashboard-{shot}.png")
        browser.close()


_ORDERS: Final = "Number((document.querySelector('.q-table__bottom')?.innerText.match(/of (\\d+)/) ?? [0, 0])[1])"


def opened(browser: Browser, shot: str, port: int) -> Page:
    """Open the page on a screen, with hours on its chart."""
    page = browser.new_context(**SHOTS[shot]).new_page()  # type: ignore[arg-type]
    for _ in range(100):
        try:
            page.goto(f"http://127.0.0.1:{port}/")
            break
        except Exception:  # noqa: BLE001  # it does not listen yet
            time.sleep(0.2)  # a server that starts tells nobody
    page.get_by_text("hourly", exact=True).click()
    return page


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    main()
