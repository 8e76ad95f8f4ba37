"""From TaskRuns and FlowRuns as JSON to what a page shows. Pure: no HTTP, no clock, no HTML but in `log_html`.

briefs (what is kept of a TaskRun) ──> summary, timeline, graph, listing ──> templates
"""
