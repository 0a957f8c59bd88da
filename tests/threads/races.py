"""Several calls at the same time, each with a connection of its own."""

from concurrent.futures import ThreadPoolExecutor

from django.db import connection


def in_parallel(*calls):
    """Return what each call gave, or the error that it raised."""

    def run(given):
        try:
            return given()
        except Exception as exc:
            return exc
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))
