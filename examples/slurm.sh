#!/bin/bash
# Trains ACAI on CelebA on four hosts of two GPUs each: sbatch examples/slurm.sh
# All hosts must see the run folder and the data. Five minutes before its time is up Slurm sends SIGTERM:
# the training saves a checkpoint and ends, and the same command resumes it.
#SBATCH --job-name=acai_tf
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=2
#SBATCH --cpus-per-task=16
#SBATCH --time=12:00:00
#SBATCH --signal=TERM@300

set -euo pipefail
port=23456
hosts=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed "s/.*/\"&:$port\"/" | paste -sd,)
export hosts

srun --kill-on-bad-exit=1 --cpus-per-task="$SLURM_CPUS_PER_TASK" bash -c '
  export TF_CONFIG="{\"cluster\": {\"worker\": [$hosts]}, \"task\": {\"type\": \"worker\", \"index\": $SLURM_PROCID}}"
  exec python -m acai_tf.train --zoo celeba_acai_d256 --run_dir "$SLURM_SUBMIT_DIR/runs/celeba_acai" \
    --data_dir "$SLURM_SUBMIT_DIR/data"
'
