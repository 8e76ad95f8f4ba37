"""What changes while somebody looks: lists that follow the API server, and streams that tell the browser.

source (list pages, watch) ──> reflector (what is there now) ──> indexes (of one viewer) ──> stream (SSE)
"""
