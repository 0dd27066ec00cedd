"""The commands of the command line, a file each: options in, files and lines of text out; what they share is beside.

`options` is all that is imported before the arguments are understood: torch takes seconds.
"""
