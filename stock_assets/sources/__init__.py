"""Everything outside: sessions, retries and plans. Nothing here knows a setting or writes to the store."""
