# Folders of the corpora. All empty: mini LRS3 is generated. Set one here, or give it to run.sh, whose option
# takes precedence: --grid-root /corpora/GRID (--lrs3-root= clears one that is set here).
LRS3= # pretrain/ trainval/ test/
VOX2= # [dev|test/] mp4/ and wav|m4a|aac/
GRID= # <speaker>/*.mpg
