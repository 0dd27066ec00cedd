"""Builds the site, takes a picture of each page on a wide screen and on a phone, and names pages that scroll sideways.

    python scripts/screenshots.py --out FOLDER

Needs playwright (`pip install playwright`) and a Chromium: that of `playwright install chromium`, or another whose path
--browser says. Exits with 1 where a page is wider than the screen.
"""

import argparse
import functools
import http.server
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
WIDTHS = {"wide": 1400, "phone": 390}
HEIGHT = 900


def main() -> int:
    """Build, look, tell."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the pictures go")
    parser.add_argument("--site", type=Path, metavar="FOLDER", help="a site that is built already")
    parser.add_argument(
        "--pages", nargs="+", metavar="PAGE", help="only these, such as classify/ or reference/detector/"
    )
    parser.add_argument("--browser", metavar="FILE", help="the program of a Chromium")
    parser.add_argument("--dark", action="store_true", help="as those see it who prefer dark pages")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        site = options.site or build(Path(folder))
        pages = options.pages or pages_of(site)
        too_wide = photograph(site, pages, options)
    for page, width, found in too_wide:
        print(f"{page or 'home'} is {found} pixels wide on a screen of {width}.")
    print(f"{len(pages)} pages, {len(too_wide)} times too wide; pictures in {options.out}")
    return bool(too_wide)


def build(folder: Path) -> Path:
    """Build the site."""
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True)
    return folder


def pages_of(site: Path) -> list[str]:
    """List the pages but those of benchmarks/, which are for the record."""
    folders = sorted(path.parent.relative_to(site) for path in site.glob("**/index.html"))
    return ["" if str(path) == "." else f"{path}/" for path in folders if path.parts[:1] != ("benchmarks",)]


def photograph(site: Path, pages: list[str], options: argparse.Namespace) -> list[tuple[str, int, int]]:
    """Save the pictures; return each page, screen and width where the page is the wider one."""
    from playwright.sync_api import sync_playwright

    options.out.mkdir(parents=True, exist_ok=True)
    server = serve(site)
    address = f"http://127.0.0.1:{server.server_address[1]}/"
    too_wide = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.browser, args=["--no-sandbox"])
        for name, width in WIDTHS.items():
            scheme: Any = "dark" if options.dark else "light"
            screen: Any = {"width": width, "height": HEIGHT}
            tab = browser.new_page(viewport=screen, color_scheme=scheme, device_scale_factor=1)
            for page in pages:
                tab.goto(address + page, wait_until="load")
                tab.wait_for_timeout(300)  # tabs fade in
                found = tab.evaluate("document.scrollingElement.scrollWidth")
                if found > width:
                    too_wide.append((page, width, found))
                title = page.strip("/").replace("/", "_") or "home"
                tab.screenshot(path=options.out / f"{title}_{name}.png", full_page=True)
        browser.close()
    server.shutdown()
    return too_wide


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files, and says nothing."""

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


def serve(site: Path) -> http.server.ThreadingHTTPServer:
    """Serve the site from a free port of this machine."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


if __name__ == "__main__":
    sys.exit(main())
