"""Pictures in Dagster's UI."""

from base64 import b64encode

from dagster import MarkdownMetadataValue, MetadataValue


def picture_metadata(png: bytes, alt: str) -> MarkdownMetadataValue:
    """Return a PNG file as metadata that the UI shows as a picture; `alt` is what is read where pictures are not shown.

    The event itself holds the picture, for ever: it should be small, and of a long range only the newest days need one.
    """
    return MetadataValue.md(f"![{alt}](data:image/png;base64,{b64encode(png).decode('ascii')})")
