"""Creates znodes with kazoo: kazoo_writer.py write HOSTS FOLDER; see programs.py."""

import sys
import threading

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, NodeExistsError


def main():
    _, hosts, folder = sys.argv[1:]
    client = KazooClient(hosts=hosts, timeout=30.0)
    client.start(timeout=30)
    session = client.client_id
    client.create(folder)
    ended = threading.Thread(target=sys.stdin.read, daemon=True)
    ended.start()
    number = 0
    while ended.is_alive():
        path = f"{folder}/{number:06}"
        try:
            client.retry(client.create, path)
        except NodeExistsError:
            # Its own first try had succeeded without an answer.
            pass
        except KazooException as error:
            print(path, type(error).__name__, flush=True)
            continue
        finally:
            number += 1
        print("created", path, flush=True)
    client.retry(client.sync, "/")
    print("session same" if client.client_id == session else "session other")
    client.stop()


if __name__ == "__main__":
    main()
