"""A script that sets its names anew between starts: each process has them as they are then."""

import textwrap

from support import run_script


def well(source, **rest):
    done = run_script(textwrap.dedent(source) + "\nprint('all well')\n", **rest)
    assert done.stdout.endswith("all well\n"), done.stdout + done.stderr
    return done


def test_numbers_and_texts_that_come_to_be_where_others_were():
    # Set twice between starts, the second value is often where the one before the first was. It
    # is done in a function, so that no other name of the script changes.
    well("""
        import tarefa
        number, count, text = 0.0, 1000, ""
        def get(): return number, count, text
        def turn():
            global number, count, text
            for i in range(12):
                number = i * 0.5
                number = number + 0.25
                count += 1000
                count += 1000
                text = "a%d" % (i + 10)
                text = "b%d" % (i + 10)
                found = tarefa.Process(target=get).start().result()
                assert found == (number, count, text), (i, found)
        turn()
    """)
