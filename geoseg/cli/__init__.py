"""One file per verb: parses, calls one library function, prints."""
