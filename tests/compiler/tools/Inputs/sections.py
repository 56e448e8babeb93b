"""sections.py ONE ALL: what `inspect --json` says of artifacts of one level and of several; weights are stored once."""
import json
import sys

one, every = (json.load(open(path)) for path in sys.argv[1:])
assert one["weights"] == every["weights"]
code = lambda artifact: sum(level["code_bytes"] for level in artifact["levels"])
page = 4096
room = (page + 1024) * (len(every["levels"]) - 1)  # sections begin at pages; tables have a record a level and a row a kernel
grown = every["bytes"] - one["bytes"]
wanted = code(every) - code(one)
assert wanted - page <= grown <= wanted + room, f"wanted about {wanted} bytes more, found {grown}"
