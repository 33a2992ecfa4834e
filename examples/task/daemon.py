"""A daemon beside a program: it keeps a service alive, and is gone when the program is.

usage: daemon.py

The daemon starts the service, starts it again when it dies, and says so. The program works with the
service through two queues, and kills it once, as a bug would. The message that it held is not lost.
"""

import os
import signal

import tarefa


def service(orders, done):
    """What may die at any time: an order is done when that is said, and not before."""
    while True:
        order = orders.get(ack=True)
        again = orders.redelivered
        if order == "crash" and not again:
            os.kill(os.getpid(), signal.SIGKILL)
        done.put((order, again))
        orders.ack()


def keep_alive(orders, done, deaths):
    """The daemon: one service at a time, for ever."""
    while True:
        task = tarefa.Process(target=service, args=(orders, done), daemon=True).start()
        deaths.put(signal.Signals(task.exception().signal).name)


def main():
    orders, done, deaths = tarefa.Queue(), tarefa.Queue(), tarefa.Queue()
    daemon = tarefa.Process(target=keep_alive, args=(orders, done, deaths), daemon=True).start()
    orders.put_many(["one", "crash", "two"])
    for _ in range(3):
        order, again = done.get()
        print(f"{order}: done" + (", at the second time" if again else ""))
    print("the service died of", deaths.get())
    print("the daemon is", "there" if daemon.is_alive() else "gone")
    # Nobody stops it: it ends with the program, and the service with it.


if __name__ == "__main__":
    main()
