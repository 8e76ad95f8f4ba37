"""From a URL to an answer: names are checked, things are read as the viewer, `view` makes a picture of them."""
