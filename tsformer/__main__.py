"""The command line: `tsformer classify|forecast|detect|embed`, files in, files and a line of text out.

The commands are in `tsformer.commands`, imported once the arguments are understood: torch takes seconds.
"""

import logging
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tsformer.commands.options import given, parser

# Parameters that messages name as Python spells them, and the options behind which they are.
PARAMETERS = (
    *("id_col", "time_col", "label_col", "target_cols", "past_cols", "future_cols", "static_cols", "contamination"),
    *("device", "fill", "freq", "future", "holidays", "horizon", "level", "max_steps", "season", "window_length"),
)
WORDS = {", and fill= to fill those": "", ", or drop them": ", or --drop-cols to drop them"}
WORDS |= {"n_windows=1 needs": "--metrics needs", "lower n_windows or step_size": "give more, or a smaller --horizon"}
OPTIONS = {"random_state": "seed"} | {name: name.replace("_", "-") for name in PARAMETERS}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0, 2 after an error, which is told in one line, or 130 after Ctrl-C."""
    options, unknown = parser().parse_known_args(arguments)
    if unknown:
        what = "there is no option" if unknown[0].startswith("-") else "unexpected argument"
        _tell("error", f"{what} {' '.join(unknown)}. tsformer {options.command} --help lists those there are.")
        return 2
    if not given(options, options.written):
        _tell("error", "Say what to write: --out CSV, or --save MODEL.")
        return 2
    from tsformer.commands import classify, detect, embed, forecast

    with warnings.catch_warnings(), _silent(options.quiet):
        warnings.showwarning = lambda message, *_: _tell("warning", message)
        try:
            COMMANDS = {"classify": classify, "forecast": forecast, "detect": detect, "embed": embed}
            COMMANDS[options.command].run(options)
        except (ValueError, TypeError, OSError, ImportError) as error:
            _tell("error", error)
            return 2
        except KeyboardInterrupt:
            _tell("error", "stopped by Ctrl-C.")
            return 130
    return 0


@contextmanager
def _silent(quiet: bool) -> Iterator[None]:
    """Let fits not say how long they take, if they are to be quiet."""
    logger = logging.getLogger("tsformer")
    level = logger.level
    logger.setLevel(logging.WARNING if quiet else level)
    try:
        yield
    finally:
        logger.setLevel(level)


def _tell(what: str, message: Warning | Exception | str) -> None:
    text = re.sub(r"^\[Errno \d+\] ", "", " ".join(str(message).split()))
    print(f"tsformer: {what}: {_in_options(text)}", file=sys.stderr)


def _in_options(message: str) -> str:
    """Put options in place of the parameters behind them, which messages name as Python spells them."""

    def option(match: re.Match[str]) -> str:
        name, value = match["name"], re.sub(r"['\[\],]", "", match["value"])
        return f"--{OPTIONS[name]} {value}".rstrip()

    message = re.sub(r"\bwindow_length\b(?! ?[='])", "--window-length", message)
    name = rf"(?P<name>{'|'.join(OPTIONS)})"
    for python, ours in WORDS.items():
        message = message.replace(python, ours)
    message = re.sub(r"\bdf\b(?![.\[])", "the table", message)
    message = re.sub(rf"(?:[Tt]he '|^){name}(?:' parameter(?: of \w+)?|(?= must))(?P<value>)", option, message)
    return re.sub(rf"\b{name}=(?P<value>'[^']*'|\[[^]]*\]|\w*)", option, message)


if __name__ == "__main__":
    sys.exit(main())
