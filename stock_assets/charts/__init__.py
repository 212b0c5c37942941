"""Pictures: frames in, pages and image bytes out; nothing is read or written here."""
