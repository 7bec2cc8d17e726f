import platform
import subprocess
import sys

import pytest

REALLOCATION = """
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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_freed_memory_is_retained():
    def faults(keep):
        code = REALLOCATION.replace("{keep}", keep)
        return int(subprocess.check_output([sys.executable, "-c", code]))

    assert 50 * (1 + faults("retain_freed_memory")) < faults("(lambda: None)")
