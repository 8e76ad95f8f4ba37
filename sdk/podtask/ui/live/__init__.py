"""What changes while somebody looks: lists that follow the API server, and streams that tell the browser.

resumable_watch ──> reflector (what is there now) ──> indexes (of one viewer) ──> stream (SSE)
"""
