"""The tables and sentences of README.md and docs/, a file a page of results: rows enter, tables and text leave."""
