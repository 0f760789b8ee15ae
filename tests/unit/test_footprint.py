"""What a process keeps of memory that was freed, as it is seen in a process of its own."""

import os
import subprocess
import sys

MIB = 2**20
# Four threads keep something each; glibc lists the heaps.
_HEAPS = """
import ctypes, threading
from aggregator.footprint import limit_footprint
limit_footprint()
begun, over = threading.Barrier(5), threading.Event()
def work():
    kept = bytearray(4096)
    begun.wait()
    over.wait()
for _ in range(4):
    threading.Thread(target=work).start()
begun.wait()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
over.set()
"""
# Of what lies side by side every second piece is freed: none of it is at the heap's end.
_FREED = """
from aggregator.app.garbage import resident_bytes
from aggregator.footprint import give_back
pieces = [bytearray(b"x" * 65536) for _ in range(1024)]
full = resident_bytes()
del pieces[::2]
give_back()
print(full - resident_bytes())
"""


def run(program: str, **environment: str) -> str:
    """Give what a program prints, with these variables and none of the allocators' that we may have ourselves."""
    inherited = {name: value for name, value in os.environ.items() if "MALLOC" not in name}
    return subprocess.run(
        [sys.executable, "-c", program], env={**inherited, **environment}, capture_output=True, text=True, check=True
    ).stdout


def test_threads_have_one_heap_together() -> None:
    assert run(_HEAPS).count("<heap nr=") == 1


def test_the_number_of_heaps_that_the_administrator_has_set_stays() -> None:
    assert run(_HEAPS, MALLOC_ARENA_MAX="3").count("<heap nr=") == 3


def test_what_is_free_within_the_heap_goes_back() -> None:
    assert int(run(_FREED)) >= 24 * MIB
