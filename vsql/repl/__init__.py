"""The shell, its script mode and the demo: text in, aligned text out.

`main` reads the command line, `session` runs statements, `script` runs files, `shell` reads lines;
`commands` holds the backslash commands, and `present` picks one of the output formats.
"""
