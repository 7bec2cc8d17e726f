# Path of the Children's Song Dataset (the folder with korean/ and metadata.json), or of a folder in
# MLP Singer's layout (wav/ mid/ txt/). Empty: a small synthetic corpus is generated.
CSD=
