"""Last of the suite: every operation of the contract has been made to succeed by a test, and its answer held against the contract."""
import os
import pathlib

import pytest


@pytest.mark.skipif(os.environ.get("TIENDO_SUITE") != "http", reason="only the whole suite reaches everything")
def test_every_operation_was_reached(world):
    table = world.contract.table()
    path = pathlib.Path(os.environ["TIENDO_BINARY"]).parents[1] / "http-coverage.txt"
    path.write_text(table + "\n", encoding="utf-8")
    print(f"\noperation × status reached, also in {path}:\n{table}")
    assert world.contract.missed() == []
