"""What is said of a stream: its language, its title, what it is for; and what of that a container has no place for."""

from functools import cache

from av.stream import Disposition, Stream

from vidcm.media.trial import trial
from vidcm.media.words import stream_words

# Those that a viewer chooses by. Left out are `default`, which containers give by themselves, and those that FFmpeg
# reads where one of these was written.
MARKS = {
    each: (each.name or "").replace("_", " ")
    for each in (
        *(Disposition.dub, Disposition.original, Disposition.comment, Disposition.lyrics, Disposition.karaoke),
        *(Disposition.forced, Disposition.hearing_impaired, Disposition.visual_impaired, Disposition.clean_effects),
    )
}
# Two codes of one language in ISO 639-2; QuickTime's list has one of each. The last is its Swedish, as FFmpeg calls it.
TWINS = (
    *("alb sqi", "arm hye", "baq eus", "bur mya", "chi zho", "cze ces", "dut nld", "fre fra", "geo kat", "ger deu"),
    *("gre ell", "ice isl", "mac mkd", "mao mri", "may msa", "per fas", "rum ron", "slo slk", "tib bod", "wel cym"),
    "swe sve",
)
UNSAID = ("", "und")


def language_in(container: str, language: str) -> str:
    """The code of a language that a container keeps: this one or its twin; this one where it keeps neither."""
    twins = next((pair.split() for pair in TWINS if language in pair.split()), [])
    known = (code for code in (language, *twins) if code in UNSAID or _comes_back(container, code, "", 0)[0] == code)
    return next(known, language)


def say(copy: Stream, stream: Stream, container: str) -> None:
    """Say of a stream of another file what is said of this one, as far as the container has a place for it."""
    said = stream_words(stream.metadata)
    if "language" in said:
        said["language"] = language_in(container, said["language"])
    copy.metadata.update(said)
    copy.disposition = stream.disposition


def lost_marks(stream: Stream, container: str) -> str:
    """What is said of a stream that a container has no place for, in words; "" where nothing is lost."""
    said = stream_words(stream.metadata)
    language, title = language_in(container, said.get("language", "")), said.get("title", "")
    marks = sum(mark for mark in MARKS if stream.disposition & mark)
    kept_language, kept_title, kept = _comes_back(container, language, title, marks)
    gone = [f"the language {language}"] if language not in (*UNSAID, kept_language) else []
    gone += [f"the title {title}"] if title not in ("", kept_title) else []
    gone += [f"the mark {name}" for mark, name in MARKS.items() if mark & marks & ~kept]
    return ", ".join(gone)


@cache
def _comes_back(container: str, language: str, title: str, marks: int) -> tuple[str, str, int]:
    """What a container made of a stream's language, title and marks."""
    said = {key: text for key, text in (("language", language), ("title", title)) if text}

    def tell(_: object, stream: Stream) -> None:
        stream.metadata.update(said)
        stream.disposition = Disposition(marks)

    if not (said or marks):
        return "", "", 0
    with trial(container, tell) as back:
        found = back.streams[0]
        words = stream_words(found.metadata)
        return words.get("language", ""), words.get("title", ""), int(found.disposition)
