#!/bin/sh
# A bundle for a machine with a GPU is made, and measured on a driver library whose kernels do
# nothing: that is seen (wrong kernels of each candidate by name), every step leaves its result or
# why there is none, no GPU ends the run, and measured times change the tiles that are chosen.
set -eu
command -v python3 >/dev/null || { echo 'SKIPPED 1 bundle for a GPU: no python3'; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset SINTER_CUDA_LIBRARY || true
cat >"$work/small.json" <<'JSON'
{"model_type": "mistral", "architectures": ["MistralForCausalLM"], "hidden_act": "silu",
 "hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "num_key_value_heads": 2,
 "num_hidden_layers": 4, "vocab_size": 256, "max_position_embeddings": 64, "rms_norm_eps": 1e-05,
 "rope_theta": 10000.0, "initializer_range": 0.06, "tie_word_embeddings": false,
 "bos_token_id": 1, "eos_token_id": 2, "sliding_window": null}
JSON
echo '{"small-1": {"model": "small", "batch": 1, "prompt": 6, "max_length": 16}}' >"$work/rows.json"
code=0
bench/gpu/prepare --sinter "$SINTER" --table "$work/rows.json" --networks "$work" --targets h200 \
    --candidates 2 --folder "$work/made" -o "$work/bundle.tar.xz" 2>"$work/said" || code=$?
cat "$work/said"
if [ $code != 0 ] && grep -q 'no NVRTC found' "$work/said"; then
    echo 'SKIPPED 1 bundle for a GPU: no NVRTC'
    exit 0
fi
[ $code = 0 ]
cd "$work"
python3 -m tarfile -e bundle.tar.xz .

code=0
SINTER_CUDA_LIBRARY=/nowhere bundle/run -o none.json 2>said || code=$?
[ $code = 5 ] && grep -q 'no NVIDIA driver found' said && grep -q 'no NVIDIA driver' none.json

export SINTER_CUDA_LIBRARY="$BUILD_DIR/tests/libfake_cuda.so" FAKE_CUDA_IDLE=1 FAKE_CUDA_SM=90
export FAKE_CUDA_MEMORY=500000000 FAKE_CUDA_CACHE=100000
export SINTER_CUBLASLT_LIBRARY="$SINTER_CUDA_LIBRARY"
code=0
bundle/run --tune --parts verify,twin,ours,kernels,torch -o all.json || code=$?
[ $code = 8 ]
code=0
bundle/run --parts ours,twin --add --step-seconds 0.001 -o all.json || code=$?
[ $code = 1 ]
code=0
FAKE_CUDA_FAIL=cuLaunchKernel:7:719 bundle/run --parts verify -o faults.json || code=$?
[ $code = 8 ]
code=0
bundle/run --budget 0 -o late.json 2>/dev/null || code=$?
[ $code = 1 ]
cat >check.py <<'PYTHON'
import json
results, late = json.load(open("all.json")), json.load(open("late.json"))
faults = json.load(open("faults.json"))["rows"]["small-1"]["verify"]
row = results["rows"]["small-1"]
assert list(row["verify"])[:2] == ["1", "2"] and row["verify"].keys() == row["kernels"].keys()
for found in row["verify"].values():
    assert found["kernels"] > 30 and found["wrong"] > 20, found
    assert found["wrong_kernels"][0]["kernel"], found
assert "longer than" in row["twin"]["failed"] and "longer than" in row["ours"]["failed"]
assert row["torch_reduce-overhead"]["failed"]
for variant, found in faults.items():  # the seventh of each process
    failed = [kernel for kernel in found["wrong_kernels"] if "719" in kernel.get("failed", "")]
    assert found["kernels"] == row["verify"][variant]["kernels"], found
    assert len(failed) == found["kernels"] // 7, found
for variant, kernels in row["kernels"].items():
    assert all(kernel["launches"] >= 20 and len(kernel["key"]) == 16 for kernel in kernels)
    assert any(kernel["cold"] for kernel in kernels)
    for kernel in kernels:
        kernel["us"] = 1.0 if variant == "2" else 9.0
assert all(late["rows"]["small-1"][part]["failed"] == "no time left"
           for part in ("verify", "ours", "kernels", "jax")), late
json.dump(results, open("tuned.json", "w"))
PYTHON
python3 check.py
"$OLDPWD/bench/tune" tuned.json h200 >h200.tbl
for table in '' '--tuning h200.tbl' '--candidate 2'; do
    "$SINTER" explain bundle/models/small --init random --dtype bf16 --max-length 16 \
        --target h200 --json $table | grep -E '"(key|tiles)"' >"explained$table"
done
changed=$(diff explained 'explained--tuning h200.tbl' | grep -c '^> .*tiles')
same=$(diff 'explained--candidate 2' 'explained--tuning h200.tbl' | grep -c '^> .*tiles' || true)
echo "$changed kernels chose other tiles by their times, $same of them not the second best"
[ "$changed" -gt 20 ] && [ "$same" -lt $((changed / 2)) ]
