#!/bin/bash
# A search on machines that Slurm gives: sbatch slurm.sh --data cifar10 --max-params 1m
# The same command goes on with a search that was stopped. See README.md beside.
#SBATCH --job-name=kscale
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --output=kscale-%j.log
# With GPUs, one training a GPU:  #SBATCH --gpus-per-node=4
set -euo pipefail
cd "$SLURM_SUBMIT_DIR" # which all machines must see under this path

# A token of this job alone. Slurm hands the environment to the other machines.
RAY_AUTH_TOKEN=$(head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n')
export RAY_AUTH_TOKEN

# Jobs that share a machine mostly have ports of their own: 1,000 each, from 20000 to
# 31999. Where numbers of jobs differ by a multiple of 12, the later one ends and says so.
KSCALE_PORT=$((20000 + SLURM_JOB_ID % 12 * 1000))
KSCALE_HEAD=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export KSCALE_PORT KSCALE_HEAD

# A node on each machine; the first is the one that runs this script, and the others end
# with it.
# shellcheck disable=SC2016 # the variables are those of each machine
srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 --kill-on-bad-exit=1 bash -c '
  if [ "$SLURM_NODEID" -eq 0 ]; then
    exec kscale node --port "$KSCALE_PORT" --workers "$SLURM_CPUS_PER_TASK"
  fi
  until kscale node "$KSCALE_HEAD:$KSCALE_PORT" --port "$KSCALE_PORT" \
      --workers "$SLURM_CPUS_PER_TASK"; do
    sleep 5
  done
' &
nodes=$!
trap 'kill "$nodes" 2>/dev/null; wait "$nodes" || true' EXIT

for _ in $(seq 120); do
  kill -0 "$nodes" # srun, and with it a node, may have failed
  if (: <"/dev/tcp/$KSCALE_HEAD/$KSCALE_PORT") 2>/dev/null; then break; fi
  sleep 1
done
kscale tune --cluster "$KSCALE_HEAD:$KSCALE_PORT" --run "runs/$SLURM_JOB_NAME" "$@"
