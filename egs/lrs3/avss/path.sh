# The environment of this recipe: `. ./path.sh` makes `voicediff` and its `python` the first in PATH.
# Source it in the recipe's folder, from bash, dash or zsh.
VOICEDIFF_PYTHON=$(../../../tools/setup.sh --print) || return 2 2>/dev/null || exit 2
PATH=$(dirname "$VOICEDIFF_PYTHON"):$PATH
export PATH VOICEDIFF_PYTHON
# fewer page faults where large tensors come and go (glibc)
export MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=1073741824
