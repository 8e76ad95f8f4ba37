"""What several commands share: session, selection, output, exit statuses."""
