"""Who may see and do what: links that work once, sessions, the guard in front of every request, the viewer's rights."""
