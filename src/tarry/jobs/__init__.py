"""Jobs: code that runs for a request in threads or processes, and fulfils its wait."""
