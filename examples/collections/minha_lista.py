"""The lesson's program: four tasks in a list, and a list counted before and after joining them.

usage: minha_lista.py [thread|process plain|shared]

Without arguments all four forms run and a table says what each one shows. There is no `__main__`
guard: tarefa never runs the script a second time.
"""

import sys

import tarefa

TASKS, EACH = 4, 1000
KINDS = {"thread": tarefa.Thread, "process": tarefa.Process}
LISTS = {"plain": list, "shared": tarefa.List}
MEANING = {
    ("thread", "plain"): "Threads live in one process, so they all fill the same Python list.",
    (
        "thread",
        "shared",
    ): "A shared list works on threads as well: nothing else in the program changes.",
    (
        "process",
        "plain",
    ): "Each process filled a list of its own; the one counted here stayed empty.",
    ("process", "shared"): "A shared list is one list for every process that holds it.",
}


def guarda(minha_lista, quantos):
    for numero in range(quantos):
        minha_lista.append(numero)


def conta(kind, form):
    """Run the lesson once; return the length before and after joining."""
    minha_lista = LISTS[form]()
    tarefas = []
    for _ in range(TASKS):
        tarefa_ = KINDS[kind](target=guarda, args=(minha_lista, EACH))
        tarefa_.start()
        tarefas.append(tarefa_)
    before = len(minha_lista)
    for tarefa_ in tarefas:
        tarefa_.join()
        tarefa_.result()  # an error in a task is an error here
    return before, len(minha_lista)


def main(arguments):
    forms = list(MEANING)
    if arguments:
        if len(arguments) != 2 or tuple(arguments) not in MEANING:
            sys.exit(__doc__)
        forms = [tuple(arguments)]
    print(f"{TASKS} tasks, each appending {EACH} numbers to one list\n")
    print(f"{'task':<9}{'list':<8}{'before':>7}{'after':>7}   what it shows")
    wrong = 0
    for kind, form in forms:
        before, after = conta(kind, form)
        print(f"{kind:<9}{form:<8}{before:>7}{after:>7}   {MEANING[kind, form]}")
        wrong += after != (0 if (kind, form) == ("process", "plain") else TASKS * EACH)
    return 1 if wrong else 0


sys.exit(main(sys.argv[1:]))
