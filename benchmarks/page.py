"""Tables on a page of docs/, put there by the command that measured them."""

from pathlib import Path

from vidcm.core.errors import UserError


def fill_page(page: Path, table: str, begin: str, end: str) -> None:
    """Put the tables between the page's markers. Raises UserError where it has none, or is not there."""
    if not page.is_file():
        raise UserError(f"{page} is not there: it needs the lines {begin} and {end}")
    text = page.read_text(encoding="utf-8")
    before, found_begin, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise UserError(f"{page} has no place for the tables: it needs the lines {begin} and {end}")
    page.write_text(f"{before}{begin}\n{table}\n{end}{after}", encoding="utf-8")
