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
inference_config= inference_args= inference_nj=1
list=own nfe= robustness_mixtures=18 samples=2 examples=6 skip_train=

corpora="Corpora of this recipe. None is needed: without a root a mini LRS3 (drawn faces, synthetic speech) is generated.

LRS3-TED
  from     https://www.robots.ox.ac.uk/~vgg/data/lip_reading/ (Visual Geometry Group, Oxford); it is no longer distributed
  size     438 hours of TED and TEDx talks: pretrain 119 k clips, trainval 32 k, test 1.5 k
  layout   DIR/{pretrain,trainval,test}/<speaker>/<clip>.mp4 and .txt
  use      ./run.sh --lrs3-root DIR --train-config FILE

VoxCeleb2
  from     https://mm.kaist.ac.kr/datasets/voxceleb/ on request (with the Visual Geometry Group's permission page
           https://www.robots.ox.ac.uk/~vgg/data/voxceleb/vox2.html); links have often changed
  size     2442 hours, 1.1 million clips of 6112 speakers
  layout   DIR/[dev|test/]mp4/<speaker>/<video>/<clip>.mp4, sound in wav/, m4a/ or aac/ beside mp4/
  use      ./run.sh --vox2-root DIR --train-config conf/train_base.yaml

GRID
  from     https://zenodo.org/record/3625687 or https://spandh.dcs.shef.ac.uk/gridcorpus/ (Sheffield), without registration
  size     34 speakers, 1000 sentences of 3 s each; no video of one of them: 27.5 hours
  layout   DIR/<speaker>/*.mpg, or clips alone with --clip2spk TABLE
  use      ./run.sh --grid-root DIR --train-config FILE"

usage="usage: ./run.sh [options]     from data to a page with separated tracks and scores
  --stage N              first stage (0 prints where to get the corpora, and exits; 1 data, 2 crops and features, 3 training, 4 separation, 5 scoring) [$stage]
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
  --inference-tag NAME   name of the separation [from the list and the inference settings]
  --inference-config FILE  settings of separation in YAML: sampler, steps, nfe, noise_scale, seed, batch
  --inference-args ARGS  the same as text, before the file, e.g. 'sampler=heun steps=4'
  --inference-nj N       parallel jobs of separation; the results are the same [$inference_nj]
  --list NAME            list of mixtures to separate: own, avdiffuss or lrs3-2mix [$list]
  --nfe LIST             numbers of function evaluations to compare, 0 is the predictor alone [0,1,2,4]
  --robustness-mixtures N  mixtures of the robustness table, 0 omits it [$robustness_mixtures]
  --samples N            samples of the generator for the confidence in that table [$samples]
  --examples N           mixtures on the page [$examples]
  --skip-train           skip stage 3
  --ngpu N               GPUs per machine, 0 for none [$ngpu]
  --num-nodes N          machines (start run.sh on each, with MASTER_ADDR and NODE_RANK set) [$num_nodes]
  --nj N                 parallel jobs on the CPU [$nj]"
. ../../../tools/recipe.sh "$@"
. ./path.sh
from_caller train_config init_from distill inference_config
for name in lrs3_root vox2_root grid_root clip2spk splits yunet; do
  [ -z "${!name}" ] || [ ! -e "$caller/${!name}" ] || printf -v "$name" '%s' "$(realpath "$caller/${!name}")"
done
case $robustness_mixtures in *[!0-9]* | '') fail "--robustness-mixtures takes a number, found '$robustness_mixtures'" ;; esac

tag=${tag:-$(basename "$train_config" .yaml)}
exp=exp/$tag
separator=$exp${distill:+.$(basename "$distill" .yaml)}
separated=$separator/separate_${inference_tag:-$list$(inference_suffix)}
[ -n "$nfe$inference_config$inference_args" ] || nfe=0,1,2,4
settings=(${inference_config:+--inference-config "$inference_config"} ${inference_args:+--inference-args "$inference_args"})
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
  decode_jobs "$separated/log/separate" voicediff decode-mixtures --model "$separator" --dump "$dump/test" --list "$list" \
    --out "$separated" ${nfe:+--nfe "$nfe"} ${settings[@]+"${settings[@]}"}
  if [ "$robustness_mixtures" -gt 0 ]; then
    run $decode_cmd "$separated/log/robustness.log" voicediff robustness --model "$separator" --dump "$dump/test" --list "$list" --out "$separated" \
      --mixtures "$robustness_mixtures" --samples "$samples" ${settings[@]+"${settings[@]}"}
  fi
fi
if stage 5 "scoring"; then
  run $cpu_cmd voicediff score-mixtures --decoded "$separated" --examples "$examples" --nj "$nj"
fi
