"""What mkdocs adds to the site from outside docs/: benchmarks, log and results, so that links to them are checked."""

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

SHOWN = {".csv", ".md", ".png", ".py"}


def on_files(files: Files, config: Any) -> Files:
    """Put the files of benchmarks/ beside the pages."""
    root = Path(config.config_file_path).parent
    for path in sorted(root.glob("benchmarks/**/*")):
        if path.suffix in SHOWN:
            files.append(File.generated(config, path.relative_to(root).as_posix(), abs_src_path=str(path)))
    return files
