"""Where audio and words may be: rules that a compliance team writes, and what follows from them. PURE.

A bundle (Cedar rules, a schema, dated rows) is asked one question at a time, and anything but a clean allow is a deny.
Nothing here looks at health or load, and nothing reads files or clocks: bytes and instants are given.
"""
