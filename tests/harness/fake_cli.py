"""A program that plays a script: python fake_cli.py SCRIPT.json

The steps: {"say": text} writes it as it is (no line feed added), {"hex": bytes} the same for
bytes that are no text, {"wait": words} reads stdin until a line has them, {"stderr": text},
{"exit": code}, {"hang": true}. Whatever else it is called with is not looked at.
"""

import json
import os
import signal
import sys

with open(sys.argv[1]) as script:
    steps = json.load(script)

for step in steps:
    if "say" in step:
        os.write(1, step["say"].encode())
    elif "hex" in step:
        os.write(1, bytes.fromhex(step["hex"]))
    elif "wait" in step:
        for line in sys.stdin:
            if step["wait"] in line:
                break
    elif "stderr" in step:
        os.write(2, step["stderr"].encode())
    elif "exit" in step:
        os._exit(step["exit"])
    elif "hang" in step:
        signal.pause()
