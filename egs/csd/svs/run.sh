#!/usr/bin/env bash
# Korean singing voice synthesis on the Children's Song Dataset. See README.md beside this file.
set -euo pipefail
caller=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"
. ./db.sh
. ./cmd.sh

stage=1 stop_stage=5
ngpu=auto nj=$(getconf _NPROCESSORS_ONLN) num_nodes=1 dask_scheduler=
csd_root=$CSD minutes=30 seed=1 skip_bad= test_from=
train_config=conf/train_mini.yaml train_args= init_from= distill= tag= inference_tag=
vocoder=griffin_lim nfe=0,1,2,4,10,50 examples= skip_train=

usage="usage: ./run.sh [options]     everything from data to a page with songs and scores
  --stage N              first stage (1 data, 2 features, 3 training, 4 decoding, 5 scoring) [$stage]
  --stop-stage N         last stage [$stop_stage]
  --csd-root DIR         the Children's Song Dataset, or a folder with wav/ mid/ txt/; empty: a mini corpus is generated
  --minutes M            size of the mini corpus in minutes of singing [$minutes]
  --seed S               of the mini corpus [$seed]
  --skip-bad             go on without songs that have problems
  --test-from SECONDS    of a single recording: train before, test from there on
  --train-config FILE    what is trained [$train_config]
  --train-args ARGS      overrides, e.g. 'training.precision=fp32 sampler.steps=20'
  --init-from DIR        fine-tune the model of this experiment folder
  --distill FILE         then train a student that sings in 1 to 4 calls, e.g. conf/distill_consistency.yaml, and decode it
  --tag NAME             name of the experiment folder below exp/ [name of the configuration]
  --inference-tag NAME   name of the decoding [from the vocoder]
  --vocoder NAME         griffin_lim or harmonic [$vocoder]
  --nfe LIST             numbers of network calls to compare, 0 is the encoder alone [$nfe]
  --examples TITLES      songs for the page, separated by ';' [the first test songs]
  --skip-train           leave stage 3 out
  --ngpu N               GPUs per machine, 0 for none [$ngpu]
  --num-nodes N          machines (start run.sh on each, with MASTER_ADDR and NODE_RANK set) [$num_nodes]
  --nj N                 parallel jobs on the CPU [$nj]
  --dask-scheduler ADDR  spread stage 2 over a Dask cluster"
. ../../../tools/recipe.sh "$@"
. ./path.sh
[ ! -d "$caller/$csd_root" ] || [ -z "$csd_root" ] || csd_root=$(cd "$caller/$csd_root" && pwd)

tag=${tag:-$(basename "$train_config" .yaml)}
exp=exp/$tag
singer=$exp${distill:+.$(basename "$distill" .yaml)}
decoded=$singer/decode_${inference_tag:-$vocoder}
corpus=$([ -n "$csd_root" ] && basename "$csd_root" || echo "mini_${minutes}min_seed$seed")
data=data/$corpus dump=dump/$corpus/$(basename "$train_config" .yaml)

if stage 1 "data"; then
  run $cpu_cmd python local/prepare_data.py --csd-root "$csd_root" --out "$data" --minutes "$minutes" --seed "$seed" \
    --nj "$nj" ${skip_bad:+--skip-bad} ${test_from:+--test-from "$test_from"}
fi
if stage 2 "features"; then
  run $cpu_cmd python local/extract_features.py --config "$train_config" --data "$data" --out "$dump" --nj "$nj" \
    ${dask_scheduler:+--dask-scheduler "$dask_scheduler"}
fi
if [ -z "$skip_train" ] && stage 3 "training"; then
  run $train_cmd $(launcher "$ngpu" "$num_nodes") train --config "$train_config" --train-args "$train_args" \
    --train "$dump/train" --dev "$dump/dev" --assets "$dump/assets" --exp "$exp" \
    ${init_from:+--init-from "$init_from"}
fi
if [ -z "$skip_train" ] && [ -n "$distill" ] && stage 3 "distillation"; then
  run $train_cmd $(launcher "$ngpu" "$num_nodes") train --config "$distill" --train "$dump/train" --dev "$dump/dev" \
    --assets "$dump/assets" --exp "$singer" --init-from "$exp"
fi
if stage 4 "decoding"; then
  run $decode_cmd voicediff decode --model "$singer" --data "$data/test" --dump "$dump/test" --out "$decoded" \
    --vocoder "$vocoder" --nfe "$nfe" ${examples:+--examples "$examples"}
fi
if stage 5 "scoring"; then
  run $cpu_cmd voicediff score --decoded "$decoded" --data "$data/test" --dump "$dump/test" --nj "$nj" \
    ${examples:+--examples "$examples"}
fi
