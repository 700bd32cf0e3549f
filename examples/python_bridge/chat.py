"""A chat for the terminal, with Python's `veltix` 1.6.3 as with today's. An empty line or Ctrl-D leaves.

    pip install veltix
    python3 chat.py Ann 8080
"""

import json
import sys

from veltix import Client, ClientConfig, Logger, LoggerConfig, MessageType, Request

# The codes are those of ../chat/contract.ts.
JOIN = MessageType(200, "join")  # a name; who is there
SAY = MessageType(201, "say")  # a line
SAID = MessageType(202, "said")  # {"name": ..., "line": ...}

# The screen belongs to the chat.
Logger.get_instance(LoggerConfig(enabled=False))


def main(name, port):
    # Lines are shown in the order in which they come: one worker.
    client = Client(ClientConfig(server_addr="127.0.0.1", port=port, max_workers=1))

    @client.route(SAID)
    def on_said(response, client=None):
        said = json.loads(response.content)
        print(f"{said['name']}: {said['line']}", flush=True)

    if not client.connect():
        sys.exit(f"Nobody lets {name} in on port {port}")

    answer = client.send_and_wait(Request(JOIN, name.encode()))
    if answer is None:
        sys.exit(f"Nobody answers on port {port}")
    print(f"You are {name}. Here: {', '.join(json.loads(answer.content))}", flush=True)

    for line in map(str.strip, sys.stdin):
        if not line or not client.sender.send(Request(SAY, line.encode())):
            break
    client.disconnect()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("Usage: chat.py NAME PORT")
    main(sys.argv[1], int(sys.argv[2]))
