"""One instruction of Python, run so that the evaluation loop raises what is pending."""


def tick() -> None:
    """Do nothing."""
