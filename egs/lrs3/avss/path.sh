# The environment of this recipe: `. ./path.sh` makes `voicediff` and its `python` the first in PATH.
. ../../../tools/setup.sh || exit $?
PATH=$(dirname "$VOICEDIFF_PYTHON"):$PATH
export PATH
# fewer page faults where large tensors come and go (glibc)
export MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=1073741824
