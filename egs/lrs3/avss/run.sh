#!/usr/bin/env bash
# Audio-visual speech separation: one track per face. See README.md beside this file.
set -euo pipefail
caller=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"
. ./db.sh
. ./cmd.sh

stage=1 stop_stage=5
ngpu=auto nj=$(getconf _NPROCESSORS_ONLN) num_nodes=1
lrs3_root=$LRS3 vox2_root=$VOX2 grid_root=$GRID clip2spk= splits=
minutes=30 speakers= seed=1 skip_bad=
num_speakers=2 mixtures=96 noise=
boxes=auto yunet=
train_config=conf/train_mini.yaml train_args= init_from= distill= tag= inference_tag=
list=own nfe=0,1,2,4 robustness_mixtures=18 samples=2 examples=6 skip_train=

usage="usage: ./run.sh [options]     from data to a page with separated tracks and scores
  --stage N              first stage (1 data, 2 crops and features, 3 training, 4 separation, 5 scoring) [$stage]
  --stop-stage N         last stage [$stop_stage]
  --lrs3-root DIR        LRS3 (pretrain/ trainval/ test/); without any root a mini LRS3 is generated
  --vox2-root DIR        VoxCeleb2 (mp4/ and wav/, m4a/ or aac/)
  --grid-root DIR        GRID (<speaker>/*.mpg), or clips alone
  --clip2spk FILE        GRID: table 'clip speaker' of clips outside their speaker's folder
  --splits FILE          table 'speaker train|dev|test', '*' for all others
  --minutes M            size of the mini corpus in minutes of speech [$minutes]
  --speakers N           people in the mini corpus [120 for 30 minutes]
  --seed S               of the mini corpus, splits and lists [$seed]
  --num-speakers N       speakers in a mixture; 1 is enhancement and needs --noise [$num_speakers]
  --mixtures N           mixtures in each list [$mixtures]
  --noise RANGE          add pink noise, its level in dB relative to the first voice, e.g. '-15 0'
  --skip-bad             leave out clips that have problems
  --boxes WHAT           source of the mouth positions: auto, sidecar, track or detector [$boxes]
  --yunet FILE           model of the YuNet detector (ONNX), in place of the Haar cascade
  --train-config FILE    configuration of the training [$train_config]
  --train-args ARGS      overrides, e.g. 'training.precision=fp32 sampler.steps=4'
  --init-from DIR        fine-tune the model of this experiment folder
  --distill FILE         then distil the generator to 1 or 2 steps, e.g. conf/distill_reflow.yaml, and use the distilled model
  --tag NAME             name of the experiment folder below exp/ [name of the configuration]
  --inference-tag NAME   name of the separation [from the list]
  --list NAME            list of mixtures to separate: own, avdiffuss or lrs3-2mix [$list]
  --nfe LIST             numbers of function evaluations to compare, 0 is the predictor alone [$nfe]
  --robustness-mixtures N  mixtures of the robustness table, 0 omits it [$robustness_mixtures]
  --samples N            samples of the generator for the confidence in that table [$samples]
  --examples N           mixtures on the page [$examples]
  --skip-train           skip stage 3
  --ngpu N               GPUs per machine, 0 for none [$ngpu]
  --num-nodes N          machines (start run.sh on each, with MASTER_ADDR and NODE_RANK set) [$num_nodes]
  --nj N                 parallel jobs on the CPU [$nj]"
. ../../../tools/recipe.sh "$@"
. ./path.sh
for name in lrs3_root vox2_root grid_root clip2spk splits yunet; do
  [ -z "${!name}" ] || [ ! -e "$caller/${!name}" ] || printf -v "$name" '%s' "$(realpath "$caller/${!name}")"
done
case $robustness_mixtures in *[!0-9]* | '') fail "--robustness-mixtures takes a number, found '$robustness_mixtures'" ;; esac

tag=${tag:-$(basename "$train_config" .yaml)}
exp=exp/$tag
separator=$exp${distill:+.$(basename "$distill" .yaml)}
separated=$separator/separate_${inference_tag:-$list}
root=$lrs3_root$vox2_root$grid_root
corpus=$([ -n "$root" ] && basename "$root" || echo "mini_${minutes}min${speakers:+_${speakers}people}_seed$seed")
[ "$num_speakers" = 2 ] || corpus=${corpus}_${num_speakers}speakers
[ -z "$noise" ] || corpus=${corpus}_noise${noise// /_}
data=data/$corpus dump=dump/$corpus

if stage 1 "data"; then
  run $cpu_cmd python local/prepare_data.py --lrs3-root "$lrs3_root" --vox2-root "$vox2_root" --grid-root "$grid_root" \
    ${clip2spk:+--clip2spk "$clip2spk"} ${splits:+--splits "$splits"} --out "$data" --minutes "$minutes" \
    ${speakers:+--speakers "$speakers"} --seed "$seed" --num-speakers "$num_speakers" --mixtures "$mixtures" \
    ${noise:+--noise $noise} ${skip_bad:+--skip-bad} --nj "$nj"
fi
if stage 2 "crops and features"; then
  run $cpu_cmd python local/extract_features.py --data "$data" --out "$dump" --boxes "$boxes" ${yunet:+--yunet "$yunet"} \
    ${skip_bad:+--skip-bad} --nj "$nj"
fi
if [ -z "$skip_train" ] && stage 3 "training"; then
  has_dev=$(head -c 1 "$dump/dev/clips.scp" 2>/dev/null || true)
  run $train_cmd $(launcher "$ngpu" "$num_nodes") train --config "$train_config" --train-args "$train_args" \
    --train "$dump/train" ${has_dev:+--dev "$dump/dev"} --exp "$exp" ${init_from:+--init-from "$init_from"}
fi
if [ -z "$skip_train" ] && [ -n "$distill" ] && stage 3 "distillation"; then
  run $train_cmd $(launcher "$ngpu" "$num_nodes") train --config "$distill" --train "$dump/train" \
    ${has_dev:+--dev "$dump/dev"} --exp "$separator" --init-from "$exp"
fi
if stage 4 "separation"; then
  run $decode_cmd voicediff decode-mixtures --model "$separator" --dump "$dump/test" --list "$list" --out "$separated" --nfe "$nfe"
  if [ "$robustness_mixtures" -gt 0 ]; then
    run $decode_cmd voicediff robustness --model "$separator" --dump "$dump/test" --list "$list" --out "$separated" \
      --mixtures "$robustness_mixtures" --samples "$samples"
  fi
fi
if stage 5 "scoring"; then
  run $cpu_cmd voicediff score-mixtures --decoded "$separated" --examples "$examples" --nj "$nj"
fi
