# Where the corpora lie. All empty: the embedded mini LRS3 is generated. One may be set here, or given
# to run.sh, which goes before: --grid-root /corpora/GRID (and --lrs3-root= to empty one set here).
LRS3= # pretrain/ trainval/ test/
VOX2= # [dev|test/] mp4/ and wav|m4a|aac/
GRID= # <speaker>/*.mpg
