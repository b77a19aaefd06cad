"""Connect, join, chat, notice, msg, leave, bye with python3-socketio; exits 1 at the first difference.

Usage: scenario.py URL TRANSPORT...
"""

import sys
import threading

import socketio

url, *transports = sys.argv[1:]
text = "héllo 👋 世界"
heard = []
events = {}
client = socketio.Client(reconnection=False)


def keep(name):
    events[name] = threading.Event()

    def listener(*args):
        heard.append((name, *args))
        events[name].set()

    client.on(name, listener, namespace="/chat")


for name in ("res", "reply", "bye", "disconnect"):
    keep(name)


def ask(event, data=None):
    return client.call(event, data, namespace="/chat", timeout=10)


def expect(actual, expected):
    if actual != expected:
        sys.exit(f"expected {expected!r}, got {actual!r}")


client.connect(f"{url}?userId=ann&room=hall", namespaces=["/chat"], transports=transports)
events["res"].wait(10)
joined = ask("join", "lobby")
expect(joined.pop("offset").split(":")[1], "0")
expect(joined, {"room": "lobby", "rooms": ["hall", "lobby"], "members": 1, "status": "new", "missed": 0})
expect(ask("chat", text)["recipients"], 2)
expect(ask("chat", (text, "lobby"))["rooms"], ["lobby"])
expect(ask("notice", text), f"have {text}")
expect(ask("msg", text), f"recv {text}")
expect(ask("leave", "lobby"), {"room": "lobby", "rooms": ["hall"], "members": 0})
expect(client.transport(), transports[-1])
expect(ask("bye"), text)
events["bye"].wait(10)
events["disconnect"].wait(10)
expect(
    [args[0]["text"] for name, *args in heard if name == "res"],
    ["connected!", "<= ann join hall", "<= ann join lobby", f"<= {text}", f"<= {text}", f"<= {text}"],
)
expect([args[0] for name, *args in heard if name == "reply"], [f"have {text}"])
expect([args[0]["text"] for name, *args in heard if name == "bye"], [text])
