"""Words in a file, such as its title: those that still hold in another one, and those that have no place there."""

from collections.abc import Mapping

from vidcm.media.trial import trial

STALE = {
    *("major_brand", "minor_version", "compatible_brands", "encoder", "rotate", "duration", "vendor_id", "timecode"),
    "alpha_mode",  # of the pictures, which may have become others
}
STATISTICS = ("NUMBER_OF_", "BPS", "DURATION", "_STATISTICS")


def words(metadata: Mapping[str, str]) -> dict[str, str]:
    """What still holds in another file; brands, encoder and sizes are the muxer's own business."""
    return {
        key: text
        for key, text in metadata.items()
        if key.lower() not in STALE and not key.upper().startswith(STATISTICS)
    }


def stream_words(metadata: Mapping[str, str]) -> dict[str, str]:
    """The same of a stream. MP4 reads a title as its `name`, and writes the one it finds as `title`."""
    kept = words(metadata)
    return {**kept, "title": kept["name"]} if "name" in kept and "title" not in kept else kept


def lost_words(metadata: Mapping[str, str], container: str) -> list[str]:
    """Keys that a container has no place for. Only the QuickTime family is so choosy."""
    if container not in ("mp4", "mov") or not metadata:
        return []
    with trial(container, lambda target, _: target.metadata.update(metadata)) as back:
        kept = {key.lower() for key in back.metadata}
    return [key for key in metadata if key.lower() not in kept]
