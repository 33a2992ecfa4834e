"""A selector loop that serves sockets and gets results of processes: one wait for all of it.

usage: selector_loop.py

Each line that a client sends is counted by a process; the loop does nothing that takes long. It is
its own client here, three times at once, and prints what they were answered.
"""

import selectors
import socket

import tarefa


def count_words(lines, counts):
    """The process: a number for each line, to whom it belongs."""
    for client, line in lines:
        counts.put((client, len(line.split())))


class Loop:
    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.lines, self.counts = tarefa.Queue(), tarefa.Queue()
        self.clients = {}
        self.worker = tarefa.Process(target=count_words, args=(self.lines, self.counts)).start()
        # A queue has a descriptor for those who ask.
        self.selector.register(self.counts, selectors.EVENT_READ, self.counted)

    def serve(self, connection):
        self.clients[connection.fileno()] = connection
        self.selector.register(connection, selectors.EVENT_READ, self.received)

    def received(self, connection):
        text = connection.recv(4096)
        if text:
            self.lines.put((connection.fileno(), text.decode()))
        else:
            self.selector.unregister(connection)
            del self.clients[connection.fileno()]
            connection.close()

    def counted(self, counts):
        client, words = counts.get()
        if client in self.clients:
            self.clients[client].sendall(f"{words} words\n".encode())

    def run(self):
        """Until the last client has gone."""
        while self.clients:
            for key, _ in self.selector.select():
                key.data(key.fileobj)
        self.lines.shutdown()
        self.worker.join()
        self.selector.close()


def ask(connection, line):
    with connection:
        connection.sendall(line.encode())
        return line, connection.recv(4096).decode().strip()


def main():
    loop = Loop()
    asking = []
    for line in ("one", "one two", "one two three"):
        ours, theirs = socket.socketpair()
        loop.serve(theirs)
        asking.append(tarefa.Thread(target=ask, args=(ours, line)).start())
    loop.run()
    for task in asking:
        print(*task.result(), sep=": ")


if __name__ == "__main__":
    main()
