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
vocoder= vocoder_config= vocoder_args= vocoder_init_from= vocoder_tag= vocoder_finetune=
inference_config= inference_args= inference_nj=1 nfe= examples= skip_train=

corpora="Corpora of this recipe. None is needed: without --csd-root a mini corpus of a synthetic singer is generated.

Children's Song Dataset (CSD)
  from     https://zenodo.org/record/4785016, without registration
  licence  CC BY-NC-SA 4.0 (no commercial use)
  size     50 Korean and 50 English songs, each in two keys: 200 recordings of one singer, 44.1 kHz; Korean is used
  layout   DIR/korean/wav/*.wav, mid/*.mid, txt/*.txt, csv/*.csv, and metadata.json
  use      ./run.sh --csd-root DIR --train-config conf/train_gradtts.yaml

Recordings of your own (MLP Singer's layout)
  layout   DIR/wav/NAME.wav, mid/NAME.mid, txt/NAME.txt: one note per syllable; see docs/singing.md
  use      ./run.sh --csd-root DIR --train-config FILE"

usage="usage: ./run.sh [options]     from data to a page with songs and scores
  --stage N              first stage (0 prints where to get the corpora, and exits; 1 data, 2 features, 3 training, 4 decoding, 5 scoring) [$stage]
  --stop-stage N         last stage [$stop_stage]
  --csd-root DIR         the Children's Song Dataset, or a folder with wav/ mid/ txt/; empty: a mini corpus is generated
  --minutes M            size of the mini corpus in minutes of singing [$minutes]
  --seed S               of the mini corpus [$seed]
  --skip-bad             leave out songs that have problems
  --test-from SECONDS    for a single recording: train on what is before this time, test on the rest
  --train-config FILE    training configuration [$train_config]
  --train-args ARGS      overrides of it, e.g. 'training.precision=fp32 sampler.steps=20'
  --init-from DIR        fine-tune the model of this experiment folder
  --distill FILE         then distil the model to 1 to 4 sampling steps, e.g. with conf/distill_consistency.yaml, and decode that
  --tag NAME             name of the experiment folder below exp/ [name of the configuration]
  --inference-tag NAME   name of the decoding [from the vocoder, best with auto, and the inference settings]
  --inference-config FILE  settings of decoding in YAML: sampler, steps, nfe, noise_scale, guidance, shallow, vocoder ...
  --inference-args ARGS  the same as text, before the file, e.g. 'sampler=heun steps=4'
  --inference-nj N       parallel jobs of decoding; the results are the same [$inference_nj]
  --vocoder NAME         griffin_lim, harmonic, neural (trained here), or auto: train one and use the best of the three
                         [auto with conf/train_mini.yaml, else griffin_lim]
  --vocoder-config FILE  configuration of the neural vocoder [train_vocoder_mini, train_vocoder or train_vocoder_44k, like --train-config]
  --vocoder-args ARGS    overrides of it, like --train-args
  --vocoder-init-from DIR  fine-tune the vocoder of this experiment folder
  --vocoder-tag NAME     name of its folder below exp/ [name of its configuration]
  --vocoder-finetune FILE  then fine-tune it on the acoustic model's own mels with this configuration
  --nfe LIST             numbers of function evaluations (NFE) to compare; 0 is the encoder alone [0,1,2,4,10,50]
  --examples TITLES      songs for the page, separated by ';' [the first test songs]
  --skip-train           skip stage 3
  --ngpu N               GPUs per machine, 0 for none [$ngpu]
  --num-nodes N          machines (start run.sh on each, with MASTER_ADDR and NODE_RANK set) [$num_nodes]
  --nj N                 parallel jobs on the CPU [$nj]
  --dask-scheduler ADDR  spread stage 2 over a Dask cluster"
. ../../../tools/recipe.sh "$@"
. ./path.sh
from_caller train_config init_from distill vocoder_config vocoder_init_from vocoder_finetune inference_config
[ ! -d "$caller/$csd_root" ] || [ -z "$csd_root" ] || csd_root=$(cd "$caller/$csd_root" && pwd)

system=$(basename "$train_config" .yaml)
tag=${tag:-$system}
exp=exp/$tag
singer=$exp${distill:+.$(basename "$distill" .yaml)}
given_vocoder=$vocoder
[ "$system" = train_mini ] && vocoder=${vocoder:-auto} || vocoder=${vocoder:-griffin_lim}
case $system in
  train_mini* | train_sentencepiece | train_smoke | finetune_mini) vocoder_config=${vocoder_config:-conf/train_vocoder_mini.yaml} ;;
  train_44k*) vocoder_config=${vocoder_config:-conf/train_vocoder_44k.yaml} ;;
  *) vocoder_config=${vocoder_config:-conf/train_vocoder.yaml} ;;
esac
vocoder_exp=exp/${vocoder_tag:-$(basename "$vocoder_config" .yaml)}
case $vocoder in auto) named=best ;; *) named=$(basename "$vocoder") ;; esac
decoded=$singer/decode_${inference_tag:-$named$(inference_suffix)}
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
# train_acoustic HOW THREADS: HOW is `run`, or `until_joined`; THREADS may be empty
train_acoustic() {
  $1 $train_cmd ${2:+env OMP_NUM_THREADS=$2} $(launcher "$ngpu" "$num_nodes") train --config "$train_config" \
    --train-args "$train_args" --train "$dump/train" --dev "$dump/dev" --assets "$dump/assets" --exp "$exp" \
    ${init_from:+--init-from "$init_from"}
}
# train_vocoder HOW CONFIG EXP ARGS INIT: HOW is `run`, or `beside LOG`: in parallel with the acoustic model, on one core
train_vocoder() {
  $1 $train_cmd $([ "$1" = run ] || echo env OMP_NUM_THREADS=1) $(launcher "$ngpu" "$num_nodes") train --config "$2" --train-args "$4" \
    --train "$dump/train" --dev "$dump/dev" --assets "$dump/assets" --exp "$3" ${5:+--init-from "$5"}
}
if [ -z "$skip_train" ] && stage 3 "training"; then
  neural=
  case $vocoder in auto | neural) neural=true ;; esac
  if [ -n "$neural" ] && [[ $ngpu = auto || $ngpu -le 1 ]] && [ "$num_nodes" -eq 1 ]; then
    train_vocoder "beside $vocoder_exp.log" "$vocoder_config" "$vocoder_exp" "$vocoder_args" "$vocoder_init_from"
    train_acoustic until_joined "${OMP_NUM_THREADS:-$(spare_cores)}"
    join
  elif [ -n "$neural" ]; then
    train_vocoder run "$vocoder_config" "$vocoder_exp" "$vocoder_args" "$vocoder_init_from"
  fi
  train_acoustic run ""
  if [ -n "$neural" ] && [ -n "$vocoder_finetune" ]; then
    run $decode_cmd "$exp/log/mels.log" voicediff mels --model "$exp" --dump "$dump/train" --out "$dump/mels_$tag"
    train_vocoder run "$vocoder_finetune" "$exp.vocoder" "training.phases.finetune.data.mels=$dump/mels_$tag" "$vocoder_exp"
  fi
fi
if [ -z "$skip_train" ] && [ -n "$distill" ] && stage 3 "distillation"; then
  run $train_cmd $(launcher "$ngpu" "$num_nodes") train --config "$distill" --train "$dump/train" --dev "$dump/dev" \
    --assets "$dump/assets" --exp "$singer" --init-from "$exp"
fi
if stage 4 "decoding"; then
  finetuned=
  [ -z "$vocoder_finetune" ] || finetuned=$exp.vocoder
  case $vocoder in
    auto) candidates=(--vocoder griffin_lim harmonic "$vocoder_exp" ${finetuned:+"$finetuned"}) ;;
    neural) candidates=(--select "${finetuned:-$vocoder_exp}") ;;
    *) candidates=() ;;
  esac
  [ ${#candidates[@]} -eq 0 ] ||
    run $decode_cmd "$decoded/log/choose_vocoder.log" voicediff choose-vocoder --model "$singer" --dump "$dump/dev" "${candidates[@]}"
  # settings of decoding may name the vocoder, so only one that was asked for goes before them
  [ -n "$given_vocoder" ] || [ -z "$inference_config$inference_args" ] || vocoder=auto
  decode_jobs "$decoded/log/decode" voicediff decode --model "$singer" --data "$data/test" --dump "$dump/test" --out "$decoded" \
    $([ "$vocoder" = auto ] || echo --vocoder "$vocoder") ${nfe:+--nfe "$nfe"} ${inference_config:+--inference-config "$inference_config"} \
    ${inference_args:+--inference-args "$inference_args"} ${examples:+--examples "$examples"}
fi
if stage 5 "scoring"; then
  run $cpu_cmd voicediff score --decoded "$decoded" --data "$data/test" --dump "$dump/test" --nj "$nj" \
    ${examples:+--examples "$examples"}
fi
