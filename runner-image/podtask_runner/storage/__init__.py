"""Reading and writing under grants, over HTTP; spooled payloads. Shared with the SDK."""
