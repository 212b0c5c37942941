"""Pictures as Dagster keeps them."""

import re
from base64 import b64decode

from stock_assets.assets.pictures import picture_metadata


def test_a_picture_is_in_the_event_byte_for_byte() -> None:
    content = bytes(range(256))
    text = picture_metadata(content, "2026-03-20").md_str
    assert text is not None
    found = re.fullmatch(r"!\[2026-03-20\]\(data:image/png;base64,([A-Za-z0-9+/=]+)\)", text)
    assert found is not None
    assert b64decode(found[1]) == content
