import platform
import subprocess
import sys

import pytest

FREED_AND_WANTED_AGAIN = """
import resource
import numpy as np
from voicediff.training.memory import retain_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        arrays = [np.ones(30 * 2**17) for _ in range(3)]
        del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

{keep}()
faults()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="wants glibc")
def test_what_is_freed_is_not_handed_back():
    def faults(keep):
        code = FREED_AND_WANTED_AGAIN.replace("{keep}", keep)
        return int(subprocess.check_output([sys.executable, "-c", code]))

    assert 50 * (1 + faults("retain_freed_memory")) < faults("(lambda: None)")
