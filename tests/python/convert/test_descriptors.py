"""Pipe ends, sockets and memory of `multiprocessing` go to a process with its task."""

import multiprocessing
import socket
from multiprocessing import shared_memory

import pytest
from support import run_script

import tarefa


def result(target, *args):
    return tarefa.Process(target=target, args=args).start().result(30)


@pytest.mark.parametrize("duplex", [True, False])
def test_a_pipe_end_as_argument(duplex):
    reader, writer = multiprocessing.Pipe(duplex)
    task = tarefa.Process(target=lambda end: end.send({"a": 1}), args=(writer,)).start()
    writer.close()  # the task has its own
    assert reader.recv() == {"a": 1}
    task.result(30)
    with pytest.raises(EOFError):
        reader.recv()
    reader.close()


def test_one_end_handed_over_twice_is_one_object():
    reader, writer = multiprocessing.Pipe()
    assert result(lambda a, b: (a is b, a.send("x"))[0], writer, [writer][0])
    assert reader.recv() == "x"
    reader.close()
    writer.close()


def test_deep_inside_arguments():
    pipes = [multiprocessing.Pipe() for _ in range(20)]

    def answer(given):
        for i, end in enumerate(given["ends"]):
            end.send(i)

    result(answer, {"ends": [b for _, b in pipes]})
    assert [a.recv() for a, _ in pipes] == list(range(20))
    for pair in pipes:
        for end in pair:
            end.close()


def test_a_pipe_end_that_a_closure_holds():
    reader, writer = multiprocessing.Pipe()
    result(lambda: writer.send("closed over"))
    assert reader.recv() == "closed over"
    reader.close()
    writer.close()


def test_a_pipe_end_that_is_a_global_of_the_script():
    done = run_script("""
        import multiprocessing, tarefa
        reader, writer = multiprocessing.Pipe()
        def say(n): writer.send(n)
        for n in range(25): tarefa.Process(target=say, args=(n,)).start().result(20)
        print([reader.recv() for _ in range(25)] == list(range(25)))
        writer.close()
        try: reader.recv()
        except EOFError: print("end")
    """)
    assert done.stdout == "True\nend\n"


def test_ends_inside_data_of_the_script_close_as_the_script_closes_them():
    done = run_script("""
        import multiprocessing, socket, tarefa
        reader, writer = multiprocessing.Pipe()
        mine, theirs = socket.socketpair()
        unused_reader, unused = multiprocessing.Pipe()
        many = {"pipe": writer, "socket": theirs}
        def make(end):
            def closed_over(n): end.send(n)
            return closed_over
        closed_over = make(writer)
        def say(n):
            many["pipe"].send(n)
            many["socket"].send(b"x")
        def below(n): tarefa.Process(target=say, args=(n,)).start().result(20)
        for n in range(8):
            often_set = [n] * 3
            for target in (say, closed_over, below):
                tarefa.Process(target=target, args=(n,)).start().result(20)
        print([reader.recv() for _ in range(24)] == [n for n in range(8) for _ in range(3)])
        writer.close(); theirs.close(); unused.close()
        for end in (reader, unused_reader):
            try: end.recv()
            except EOFError: print("end")
        print(mine.recv(100), mine.recv(100))
    """)
    assert done.stdout == f"True\nend\nend\n{b'x' * 16!r} b''\n"


def test_a_socket():
    with socket.create_server(("127.0.0.1", 0)) as server:
        task = tarefa.Process(target=lambda s: s.accept()[0].sendall(b"hi"), args=(server,))
        task.start()
        with socket.create_connection(server.getsockname()) as client:
            assert client.recv(10) == b"hi"
        task.result(30)


def test_a_closed_socket_is_named_at_the_call():
    closed = socket.socket()
    closed.close()
    with pytest.raises(tarefa.NotPicklable, match=r"args\[0\]\['at'\].*is closed"):
        tarefa.Process(target=print, args=({"at": closed},)).start()


def test_socket_pairs_both_ways():
    mine, theirs = socket.socketpair()
    with mine, theirs:

        def echo(end):
            with end:
                end.sendall(end.recv(10).upper())

        task = tarefa.Process(target=echo, args=(theirs,)).start()
        mine.sendall(b"word")
        assert mine.recv(10) == b"WORD"
        task.result(30)


def test_a_task_hands_on_what_it_has_got():
    reader, writer = multiprocessing.Pipe()

    def outer(end):
        tarefa.Process(target=lambda e: e.send("from below"), args=(end,)).start().result(20)

    result(outer, writer)
    assert reader.recv() == "from below"
    reader.close()
    writer.close()


def test_more_than_go_with_one_task():
    pairs = [socket.socketpair() for _ in range(130)]
    ends = [end for pair in pairs for end in pair]
    try:
        task = tarefa.Process(target=len, args=(ends,))
        with pytest.raises(tarefa.StartError, match="descriptors"):
            task.start()
    finally:
        for end in ends:
            end.close()


def test_segments_of_shared_memory():
    done = run_script("""
        import tarefa
        from multiprocessing import shared_memory
        s = shared_memory.SharedMemory(create=True, size=64)
        def use(n):
            m = shared_memory.SharedMemory(n); m.buf[0] += 1; m.close()
        def itself(m): m.buf[0] += 1
        for _ in range(3): tarefa.Process(target=use, args=(s.name,)).start().result(20)
        tarefa.Process(target=itself, args=(s,)).start().result(20)
        print(s.buf[0])
        s.close(); s.unlink()
    """)
    assert (done.stdout, done.stderr) == ("4\n", "")


def test_a_segment_that_a_task_makes_is_there_after_it():
    segment = shared_memory.SharedMemory(create=True, size=8)  # so there is a tracker
    try:

        def make():
            made = shared_memory.SharedMemory(create=True, size=16)
            made.buf[:2] = b"ok"
            made.close()
            return made.name

        found = shared_memory.SharedMemory(result(make))
        assert bytes(found.buf[:2]) == b"ok"
        found.close()
        found.unlink()
    finally:
        segment.close()
        segment.unlink()


def test_values_without_a_lock_and_locks_of_the_spawn_context():
    done = run_script("""
        import multiprocessing, tarefa
        context = multiprocessing.get_context("spawn")
        value, lock, queue = context.RawValue("i", 5), context.Lock(), context.SimpleQueue()
        whole, some = context.Value("i", 1), multiprocessing.RawArray("d", 3)
        def use(value, lock, queue, whole, some):
            with lock: value.value += 1
            with whole.get_lock(): whole.value += 1
            some[1] = 2.5
            queue.put("through")
        args = (value, lock, queue, whole, some)
        tarefa.Process(target=use, args=args).start().result(20)
        print(value.value, whole.value, queue.get(), list(some))
    """)
    assert done.stdout == "6 2 through [0.0, 2.5, 0.0]\n"


def test_locks_of_the_fork_context_are_refused_with_the_name_of_ours():
    done = run_script("""
        import multiprocessing, tarefa
        context = multiprocessing.get_context("fork")
        for made, name in ((context.Lock(), "Lock"), (context.Semaphore(2), "Semaphore"),
                           (context.Event(), "Event"), (context.Value("i", 1), "Value"),
                           (context.Queue(), "Queue"),
                           (context.JoinableQueue(), "JoinableQueue"),
                           (context.SimpleQueue(), "SimpleQueue")):
            try: tarefa.Process(target=print, args=(made,)).start()
            except tarefa.NotPicklable as e: assert f"tarefa.{name}" in str(e), e
            else: raise AssertionError(name)
        print("all refused")
    """)
    assert done.stdout == "all refused\n"


def test_so_are_those_that_a_target_reaches():
    done = run_script("""
        import multiprocessing, tarefa
        context = multiprocessing.get_context("fork")
        def holding(held):
            return lambda: held
        for made, name in ((context.Lock(), "Lock"), (context.RLock(), "RLock"),
                           (context.Semaphore(2), "Semaphore"), (context.Event(), "Event"),
                           (context.Condition(), "Condition"), (context.Queue(), "Queue")):
            def reach():
                return made
            for target in reach, lambda: made, holding(made):
                try: tarefa.Process(target=target).start()
                except tarefa.NotPicklable as e: assert f"tarefa.{name}," in str(e), e
                else: raise AssertionError(name)
        print("all refused")
    """)
    assert done.stdout == "all refused\n"


def test_proxies_of_managers():
    done = run_script("""
        import multiprocessing, tarefa
        if __name__ == "__main__":
            with multiprocessing.Manager() as manager:
                shared, numbers = manager.dict(), manager.list([1])
                def use(d, l): d["x"] = 1; l.append(2)
                tarefa.Process(target=use, args=(shared, numbers)).start().result(20)
                print(dict(shared), list(numbers))
    """)
    assert done.stdout == "{'x': 1} [1, 2]\n"


def test_in_a_result_it_is_refused():
    def make():
        return multiprocessing.Pipe()[0]

    with pytest.raises(tarefa.NotPicklable, match="as an argument"):
        result(make)


def test_pickle_is_as_ever():
    import pickle

    with socket.socket() as one, pytest.raises(TypeError):
        pickle.dumps(one)


@pytest.mark.parametrize("timeout", [None, 30.0])
@pytest.mark.parametrize("way", ["argument", "queue"])
def test_a_socket_has_its_timeout(timeout, way):
    # What is put into a queue is sent by a thread of multiprocessing's, which stays.
    run_script(f"""
        import socket, tarefa
        def read(given):
            end = queue.get() if given is None else given
            return end.gettimeout(), end.recv(5)
        ours, theirs = socket.socketpair()
        theirs.settimeout({timeout})
        queue = tarefa.Queue()
        if {way!r} == "queue":
            queue.put(theirs)
        argument = theirs if {way!r} == "argument" else None
        task = tarefa.Process(target=read, args=(argument,)).start()
        ours.send(b"hello")
        assert task.result(30) == ({timeout}, b"hello")
    """)
