"""What mkdocs adds to the site from outside docs/ (benchmarks, log and results, so that links to them are checked), and
what it leaves out.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

SHOWN = {".csv", ".md", ".png", ".py"}
NOTHING_TOLD = re.compile(r"\s*\u2013\s*<div class=\"doc-md-description\">\s*</div>")


def on_files(files: Files, config: Any) -> Files:
    """Put the files of benchmarks/ beside the pages."""
    root = Path(config.config_file_path).parent
    for path in sorted(root.glob("benchmarks/**/*")):
        if path.suffix in SHOWN:
            files.append(File.generated(config, path.relative_to(root).as_posix(), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, **kwargs: Any) -> None:
    """Leave the log and the long tables out of the search: every word of them would be found first."""
    if page.file.src_uri.startswith("benchmarks/"):
        page.meta["search"] = {"exclude": True}


def on_page_content(html: str, **kwargs: Any) -> str:
    """Leave out the dash after what is returned where nothing is told of it."""
    return NOTHING_TOLD.sub("", html)
