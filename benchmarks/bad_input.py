"""Tests that bad input is refused with one line: `python benchmarks/bad_input.py`.

`--only TEXT` selects the cases that contain a text; `--part 2/5` selects every fifth case, from the second one on.

COMMANDS and CALLS are the table of cases, and `main` is the loop. Each case gets a folder with copies of good files
(`make_good`), of which it damages some (`bad_files.py`). Then its command must end

- with a non-zero exit status, within SECONDS of CPU time,
- with a single line on standard error that says what is wrong, without a traceback or log lines of TensorFlow,
- with all files as they were.

A command runs in a fork of this process, which has imported TensorFlow but has not created a device or a thread. This
is much faster than a new Python process. Every REAL-th command also runs in a new process, and must end the same way.
Permissions of files apply in these processes even for root. CALLS touch no files; they run in this process at the end.
"""

import argparse
import atexit
import ctypes
import dataclasses
import gc
import hashlib
import importlib
import json
import os
import pathlib
import re
import resource
import runpy
import shutil
import signal
import sys
import tempfile
import time
import traceback

import bad_files
import numpy as np
from bad_files import DAMAGES, SETS

SECONDS, REAL = 10, 40
PATIENCE = 300  # seconds of wall time after which a case is killed
PROGRESS = re.compile('^Downloading data from |━')  # progress lines of Keras's downloads
PROGRAMS = {'train': 'acai_tf.train', 'evaluate': 'acai_tf.evaluate', 'export': 'acai_tf.export', 'zoo': 'acai_tf.zoo',
            'demo': 'acai_tf.zoo._demo', 'demo_text': 'acai_tf.zoo._demo_text'}
HEAVY = ('tensorflow', 'keras', 'tensorflow_hub', 'tensorflow_datasets', 'matplotlib.pyplot', 'scipy.stats',
         'sklearn.linear_model', 'rich.progress')  # imported once, before the forks

# Words of the table, replaced in this order. Of a flag given twice, the last one counts.
WORDS = {
    'MEASURE': 'evaluate --run run',
    'RESUME': 'TRAIN --run_dir run',
    'GATHER': 'python: from acai_tf.experiment.run import Run; from acai_tf.zoo import _reproduce, base; '
              '_reproduce.gather(Run("run"), base.definition("lines_autoencoder"), "results")',
    'LOAD_ZOO': 'python: from acai_tf.zoo import _weights; _weights.load("lines_autoencoder", folder="pictures")',
    'LAYER': 'python: import keras, numpy as np; from acai_tf.export import layer; made = layer.ModuleLayer("module")',
    'SAVE_AND_LOAD': 'keras.Sequential([keras.Input([8, 8, 1]), made]).save("m.keras"); '
                     'keras.models.load_model("m.keras")',
    'CALLABLE': 'python: from tensorflow import saved_model, zeros; saved_model.load("module").encoder',
    'LOAD_WEIGHTS': 'python: from acai_tf.training import weights; weights.load("weights.npz")',
    'PICTURES': 'TRAIN --dataset folder --data_dir data --set dataset.path=pictures',
    'SENTENCES': 'TRAIN_TEXT --dataset text --set dataset.path=sentences.txt',
    'TRAIN_TEXT': 'train --model text_autoencoder SMALL --set network.embedding=4 --set network.hidden=4 '
                  '--set network.latent=4',
    'TRAIN': 'train --dataset lines SMALL_NETWORK SMALL --set dataset.size=8',
    'SMALL_NETWORK': '--model autoencoder --latent_width 2 --latent 2 --depth 2',
    'SMALL': '--recipe fast --batch 8 --samples 64 --precision float32 --set training.final_evaluations=0 '
             '--set training.checkpoint_every=32',
    'MODULE': 'evaluate --module module --dataset lines --set dataset.size=8 --metrics reconstruction',
    'TABLE': 'zoo table lines --results results',
    'RESULT': 'results/lines_autoencoder.json',
    'LONG_NAME': 'x' * 300, 'BRACKETS': '[' * 20_000, 'HUGE': str(10**400)}

# Rows: `command [path: damage] -> message`. The command may set environment variables; `python: ` runs code. The path
# is a good file or folder, or a pattern. The damage is a key of DAMAGES, a key of SETS for a case with each of its
# damages, or KEY=VALUE, which sets a value in a JSON file. `{a | b}` makes two cases, one with a and one with b. The
# message is a regular expression; by default, it is the last flag of the command, or the last key that it sets.
COMMANDS = r"""
# Unknown names, and flags that are missing, wrong or do not apply
train -> --dataset is missing
{train | zoo list | evaluate --module module} --dataset mnits -> did you mean 'mnist'
{train --dataset lines | zoo list} --model acia -> did you mean 'acai'
{train --zoo | evaluate --zoo | zoo show | zoo table --ablation} lines_acia -> did you mean 'lines_acai'
{zoo reproduce | zoo gallery --to other} lines_acia -> did you mean 'lines_acai'
python: from acai_tf import zoo; zoo.{load("lines_acia") | handle("lines_acia")} -> did you mean 'lines_acai'
{train --dataset ../lines | evaluate --sentences sentences.txt --dataset lines} -> unknown data set
train --dataset lines --model arae -> is a model of sentences
train --dataset grammar --model acai -> is a model of images
train --zoo lines_acai --dataset lines -> omit --dataset
train --dataset lines more -> unexpected argument 'more'
train --dataset lines --bacth 3 -> 'bacth'
train {--dataset | --dataset lines --batch} -> Missing value
train --dataset lines {--batch 0 | --batch x | --batch 1.5 | --latent -1 | --seed -1 | --recipe fats}
train --dataset lines {--strategy gpu | --precision int8}
train --dataset grammar --latent_width 2 -> latent_width
train --dataset mnist --model arae_image {--latent 7 | --set network.depth=3} -> network.\w+ does not apply
TRAIN --strategy multi_worker -> TF_CONFIG is not set
TRAIN --strategy tpu -> no TPU
TRAIN --set {training.batch | =} -> SECTION.KEY=VALUE
TRAIN --set {trainig.batch=3 | training.bacth=3} -> did you mean '(training|batch)'
TRAIN --set training.recipe=fast -> --recipe
TRAIN --set {model.lambda_=1 | training.samples=128 | training.batch=16 | network.latent=3}
TRAIN --seed 1 --set training.seed=2
{MEASURE | RESUME} --manual_dir idx -> --manual_dir does not apply to data set lines
evaluate {| --run run --zoo lines_acai} -> expected one of --run
MEASURE --metrics {quick,all | lines,} -> metrics
MEASURE --metrics qick -> did you mean 'quick'
MEASURE {--checkpoint first | --restarts 0 | --train_images 3 | --dataset lines | --to other | --features module}
MEASURE {--feature_size 32 | --set dataset.size=8} -> --feature_size|--set
evaluate --run text_run {--restarts 3 | --metrics lines} -> --restarts|metrics
evaluate --zoo lines_acai {--checkpoint best | --weights raw}
{evaluate --zoo | zoo card} lines_acai_invariant -> no pretrained weights
python: from acai_tf import zoo; zoo.load("lines_acai_invariant") -> no pretrained weights
evaluate --interpolations lines.npy {--dataset mnist | --to other | --metrics probe}
evaluate {--sentences sentences.txt | --module module} -> --dataset is missing
evaluate --sentences sentences.txt --dataset grammar --metrics all
evaluate {--sentences sentences.txt --dataset grammar | --module module --dataset lines} --set training.batch=x
evaluate --module module --dataset lines --weights raw
export -> --run DIR and --to DIR
export --run run -> --to
export --run run --to other --formats tflite -> unknown format
export --run run --to other --weights mean
export --run text_run --to other --formats litert -> takes no strings
{zoo | zoo lsit | zoo show | zoo table} -> no command|lsit|expected
zoo list {lines | svhn_acai_d32 --pretrained} -> unknown definition|no definition matches
zoo {list --seeds 3 | show lines_acai --samples 3 | table lines --recipe fast}
zoo {table lnes | table lines --metrics recon_msee} -> did you mean '(lines|recon_mse)'
zoo {table lines | card lines_acai} --format pdf
zoo {table lines --format huggingface | card lines_acai --format html}
zoo {card lines_acai --format huggingface | publish lines_acai --to kaggle} -> --owner
zoo table lines --brief {--all | --published} -> are different tables
zoo table {*acai* | lnes_* | folder | arrays --brief} -> several data sets|no definition
zoo table {lines_* --ablation | yelp_* --sources} -> not the pattern
zoo table svhn --brief -> no results
zoo table {celeba | fashion_mnist_*} --published -> no figures are published
zoo keep lines_acai -> --run is missing
zoo publish lines_acai {| --to github --owner me} -> --to kaggle
zoo reproduce x* -> definition
zoo reproduce lines_acai {--seeds 0 | --set training.seed=3} -> --seeds
zoo reproduce lines_acai --set {dataset.size=8 | network.latent=3} -> as in the definition
zoo reproduce lines_acai --set model.lambda=3 -> did you mean 'lambda_'
{demo | demo_text} -> --module DIR is missing
python: from acai_tf import zoo; {zoo.load("lines_acai", "float8") | zoo.load(["lines_acai"])} -> precision|is a list
python: from acai_tf.export.layer import ModuleLayer; ModuleLayer({"nowhere" | "module", "foo"}) -> cannot be|no 'foo'
LAYER; made(np.{uint8([[[[0]]]]) | zeros([1, 4, 8, 1], "f") | zeros([8, 8, 1], "f")}) -> expected (dtype|shape|ndim)=
LAYER; made.handle = {"nowhere" | "pictures" | "http://127.0.0.1:9/x"}; SAVE_AND_LOAD -> nowhere|cannot be|an address
CALLABLE({zeros([8, 8, 1]) | zeros([2, 4, 8, 1])}) -> EnsureShape
TF_CONFIG={[] | BRACKETS} TRAIN -> TF_CONFIG
TF_CONFIG={} TRAIN -> TF_CONFIG
TF_CONFIG={ TRAIN -> TF_CONFIG
TF_CONFIG={"cluster":{"worker":["a:1"]}} TRAIN -> TF_CONFIG
TF_CONFIG={"cluster":3,"task":{"type":"worker","index":0}} TRAIN -> TF_CONFIG
TF_CONFIG={"cluster":{"worker":["a:1","b:2"]},"task":{"type":"worker","index":{2 | -3 | "0"}}} TRAIN -> TF_CONFIG
TF_CONFIG={"cluster":{"worker":{"a:1" | ["a:99999","b:2"]}},"task":{"type":"worker","index":0}} TRAIN -> TF_CONFIG
TF_CONFIG={"cluster":{"worker":["a:1","{a:1 | b:0}"]},"task":{"type":"worker","index":0}} TRAIN -> TF_CONFIG
TF_CONFIG={"cluster":{"chief":["a:1","b:2"]},"task":{"type":"chief","index":0}} TRAIN -> TF_CONFIG

# Values that TensorFlow or NumPy cannot use, or would train with
TRAIN --model acai --set model.{lambda_=-1 | lambda_=x | lambda_=nan | gamma=1.5 | partners=0}
TRAIN --model {dropout --set model.keep=2 | dropout --set model.keep=0 | denoising --set model.sigma=-1}
TRAIN --model vqvae --set model.{codes=0 | codes=10**20 | epsilon=1e-320 | decay=2 | bottleneck=foo | codebook=-1}
TRAIN --model {vae --set model.beta=-1 | aae --set model.units=-3 | lrae --set model.weight=-1}
TRAIN --model {amr --set model.mixing=foo | amr --set model.parts=1 | midrae --set model.target=foo}
TRAIN --model arae_image --set model.{encoder=foo | clip=0}
TRAIN --model {gaia --set model.balance=foo | gaia --set model.cap=2 | irvae --set model.lambda_=-1}
TRAIN --model vqvae --set model.codes=10**15 -> memory
TRAIN --set dataset.{size=0 | size=-8 | size=3 | size=8.5 | test_images=0 | test_seed=-5 | drawing=foo | sise=8}
TRAIN --set dataset.{size=1048576 | test_images=10**12} -> memory
train --dataset lines --set training.{samples=9**99999999 | samples=0 | samples=-3 | samples=10**30}
TRAIN --set training.{learning_rate=nan | learning_rate=inf | learning_rate=1e400 | learning_rate=-1 | beta_1=1}
TRAIN --set training.{schedule=foo | warmup=10**9 | warmup=65 | keep=0 | clipnorm=-1 | average=1 | floor=2}
TRAIN --set training.{evaluate_every=-1 | final_evaluations=-1 | epsilon=0 | optimizer=rmsprop | seed=2**70}
TRAIN --set training.learning_rate=1e30 -> diverged
TRAIN --latent_width {3 | 8} -> widths that fit
TRAIN {--latent 1000000000000 | --depth 1000000000 | --batch 1000000000000} -> memory
TRAIN --seed 1000000000000000000000000000000 -> seed
TRAIN --set network.normalization=batch
TRAIN --model {acai | aeai | amr | gaia | miae | midrae} --batch 1 -> batch
train --dataset lines --model arae_image --batch 1 -> training.batch is 1
TRAIN_TEXT --dataset grammar --set dataset.{count=5 | count=10**15 | draw_seed=-1 | test_part=train}
TRAIN_TEXT --dataset grammar {--precision mixed_bfloat16 | --set network.embedding=10**12} -> precision|memory
TRAIN_TEXT --dataset grammar --set {model.noise=-1 | network.start=foo}
TRAIN_TEXT --dataset grammar --model arae --set model.queue=7
TRAIN_TEXT --model arae_transfer --dataset text --set dataset.path=sentences.txt -> two
evaluate --module module --dataset lines --set dataset.size=1048576 -> memory
evaluate --module module --dataset lines {| --set dataset.size=16} -> 8x8x1

# Paths that are empty, missing, of another kind or not writable
{TRAIN --run_dir= | TRAIN --data_dir= | TRAIN --model= | TRAIN --zoo= | evaluate --run=} -> --\w+ is empty
{MEASURE --metrics= | evaluate --zoo lines_acai --to= | export --run run --to=} -> --\w+ is empty
{export --run run --to other --formats= | zoo table lines --results= | zoo report --to=} -> --\w+ is empty
TRAIN --set= -> --set
TRAIN --run_dir {sentences.txt | sentences.txt/run | /proc/run | LONG_NAME} -> cannot be written|File name too long
{TRAIN --run_dir | export --run run --to} pictures/new [pictures: not writable] -> cannot be written
{MEASURE | RESUME} [run: not writable] -> cannot be written
MEASURE [run/checkpoints/last{ | /*.index}: not readable] -> Permission denied
RESUME [run/checkpoints: not readable] -> Permission denied
{evaluate | export --to other | zoo gallery lines_autoencoder --to other} --run nowhere -> is not a run folder
evaluate --run {pictures | sentences.txt} -> is not a run folder|cannot be read
evaluate --module module --dataset lines --metrics reconstruction --to {sentences.txt | /proc/x} -> sentences|/proc/x
export --run run --to module -> exists already
export --run run --to {sentences.txt/other | /proc/other} -> cannot be written
train --dataset mnist --data_dir sentences.txt -> sentences.txt
train --dataset mnist --data_dir data --manual_dir {nowhere | sentences.txt} -> lacks|nowhere|sentences.txt
train --dataset mnist --data_dir data --manual_dir idx -> could not be prepared
train --dataset binarized_mnist --data_dir data --manual_dir idx [idx/*.gz: half] -> could not be prepared
train --dataset {svhn --data_dir data | yelp} --manual_dir idx -> lacks|no such file
train --dataset yelp -> --manual_dir
zoo {table lines | report | reproduce lines_autoencoder | keep lines_autoencoder --run run} --results nowhere -> nowhere
zoo keep lines_autoencoder --run nowhere -> is not a run folder
zoo keep lines_autoencoder --run run --results results --weights weights -> is not the run
zoo {report | card lines_autoencoder} --to {pictures | nowhere/file} -> pictures|nowhere
zoo card lines_autoencoder --to /dev/full -> No space
zoo gallery {lines_autoencoder --to pictures | --to pictures --serve} -> exists already
zoo gallery lines_autoencoder --to sentences.txt/other -> cannot be written
zoo reproduce lines_autoencoder --weights sentences.txt -> sentences.txt
demo --module {nowhere | module --picture pictures} -> is not a module|pictures
ACAI_TF_CACHE=/proc/cache python: from acai_tf import zoo; zoo.handle("lines_autoencoder") -> cannot be written
LOAD_ZOO -> pictures/lines_autoencoder.npz does not exist

# Run folders
RESUME {--seed 5 | --model acai | --samples 8} -> seed is|model|trained for
MEASURE --checkpoint best [run/checkpoints/best: missing] -> has no best checkpoint
MEASURE [run/experiment.json: NO_JSON] -> experiment.json
RESUME [run/experiment.json: {cut off | a list | a folder | not readable}] -> experiment.json
export --run run --to other [run/experiment.json: a list] -> experiment.json
zoo gallery --run run --to other lines_autoencoder [run/experiment.json: a number] -> experiment.json
MEASURE [run/experiment.json: dataset{_name=3 | _name="lnes" | _name="../lines" | =null | .size=-8}] -> experiment.json
MEASURE [run/experiment.json: model{_name=null | _name="os" | =3}] -> experiment.json
MEASURE [run/experiment.json: network{=[] | .depth=null | .depth=true | .depth="two" | .depth=0}] -> experiment.json
MEASURE [run/experiment.json: network.latent_width=3] -> experiment.json
MEASURE [run/experiment.json: training{="x" | .batch=1e400 | .batch=-8 | .more=1}] -> experiment.json
MEASURE [run/experiment.json: {dataset.size=1048576 | network.depth=1000000000}] -> memory
MEASURE [run/experiment.json: network.depth=4] -> of another training
RESUME [run/experiment.json: training.batch=16] -> batch is
RESUME [run/history.jsonl: {NO_JSONL | rows twice}] -> history.jsonl
RESUME [run/history.jsonl: samples={-1 | null | "64" | 1.5 | true | 1000000000}] -> history.jsonl
RESUME [run/history.jsonl: {seconds=-1 | recon_mse="small" | recon_mse=[]}] -> history.jsonl
RESUME [run/origins.jsonl: {NO_JSONL | rows twice | samples="x"}] -> origins.jsonl
RESUME [run/lock: a pipe] -> lock is not a file
{MEASURE | RESUME} [run/checkpoints/last/*.{index | data-*}: {half | bit flipped | letters swapped}] -> cannot be read
{MEASURE | RESUME} [run/checkpoints/last/*.{index | data-*}: a pipe] -> is not a file
{MEASURE | RESUME} [run/checkpoints/last: of the other run] -> of another training
MEASURE [run/checkpoints/last/*: empty] -> cannot be read
MEASURE [run/checkpoints/last/{* | *.index}: missing] -> has no last checkpoint
MEASURE [run/checkpoints/last/*.index: a folder] -> is not a file
RESUME [run/checkpoints/last/*: missing] -> samples of training, but the latest complete checkpoint
export --run run --to other [run/checkpoints/last/*.data-*: half] -> cannot be read
evaluate --run text_run [text_run/checkpoints/last/*.data-*: words changed] -> vocabulary|cannot be read

# Data: folders of pictures, files of sentences, and data caches
TRAIN --dataset folder -> dataset.path is missing
TRAIN --dataset folder --set dataset.path={nowhere | sentences.txt} -> is not a folder
TRAIN --dataset folder --set dataset.path={/proc/self | module} -> is a link to a folder|has no .png
PICTURES --set dataset.{channels=4 | test_share=0 | test_share=1 | labels=3}
PICTURES --set dataset.size=1048576 -> memory
PICTURES --data_dir {sentences.txt | /proc} -> sentences.txt|cannot|writable
PICTURES [pictures/x.png: {a link to nothing | a pipe | a folder | a link to itself}] -> is not a file|cannot be
PICTURES [pictures/x.png: a link to its folder] -> x.png is a link to a folder
PICTURES [pictures: a link that leads back] -> again is a link to a folder
PICTURES [pictures: one beside train and test] -> beside train and test
PICTURES [pictures: one in a subfolder] -> both in it and in subfolders
PICTURES [pictures: a name that is not UTF-8] -> of 21
PICTURES [pictures: not readable] -> pictures
PICTURES [pictures/?*.png: all but one missing] -> gives no (train|test) pictures
PICTURES [pictures/?.png: {NO_PICTURE | not readable}] -> 10 of 20
PICTURES [pictures/?.png: 169 million pixels] -> 10 of 20.*13000x13000
TRAIN_TEXT --dataset text -> dataset.path is missing
TRAIN_TEXT --dataset text --set dataset.path={nowhere | pictures | /dev/zero} -> is not a file
TRAIN_TEXT --dataset text --set dataset.path=more.gz [more.gz: {x | half a gzip | a damaged gzip}] -> cannot be read
SENTENCES --set dataset.{words=0 | words=10**12 | longest=0 | longest=10**9 | split_seed=-1}
SENTENCES --set dataset.held_out={nowhere | sentences.txt,sentences.txt} -> is not a file|names 2 files
SENTENCES --set dataset.labels=a,b -> not a label, a tab
SENTENCES --set dataset.labels=a,b [sentences.txt: another label] -> has the label
SENTENCES [sentences.txt: {NO_TEXT | UTF-32 | UTF-32 without a mark}] -> no sentence|not UTF-8|UTF-32
SENTENCES [sentences.txt: a long sentence] -> has 1 to
SENTENCES [sentences.txt: {one line | one line 100 times}] -> too few
SENTENCES [sentences.txt: {a pipe | not readable}] -> is not a file|cannot be read
evaluate --dataset grammar {--sentences | --paths} {nowhere | pictures} -> nowhere|pictures
evaluate --dataset grammar --sentences sentences.txt [sentences.txt: NO_TEXT] -> sentences.txt
evaluate --dataset grammar --paths paths.txt [paths.txt: {empty | two sentences | uneven | not UTF-8}] -> paths.txt
train --dataset mnist SMALL_NETWORK SMALL --data_dir data [data/acai_tf/mnist_pad2: NO_CACHE] -> data cache|0 training

# Arrays, weights, modules and networks of features
evaluate --interpolations {nowhere.npy | pictures | /dev/zero} -> nowhere.npy|pictures|/dev/zero
evaluate --interpolations lines.npy [lines.npy: {NO_LINES | not readable}] -> lines.npy
LOAD_WEIGHTS [weights.npz: {NO_WEIGHTS | empty | x | bit flipped | half}] -> weights.npz
zoo gallery lines_autoencoder --weights weights --to other [weights/*.npz: {bit flipped | half}] -> sha256|bytes
evaluate --module {nowhere | pictures | sentences.txt} --dataset lines -> cannot be loaded|cannot be read
evaluate --module {http://127.0.0.1:9/x | https://nowhere.invalid/x} --dataset lines -> is at an address
evaluate {--module text_module --dataset lines | --module module --dataset grammar} -> cannot be loaded
MODULE [module/saved_model.pb: {missing | empty | x | half | not readable}] -> cannot be loaded
MODULE [module/variables{ | /*.index}: missing] -> cannot be loaded
MODULE [module/variables/*.{index | data-*}: {half | bit flipped}] -> cannot be loaded
evaluate --module text_module --dataset grammar [text_module/variables/*.data-*: half] -> cannot be loaded
demo --module module [module/training.json: x] -> training.json
MEASURE --metrics quality --features {nowhere | module | pictures} -> nowhere|module|pictures
MEASURE --metrics quality --data_dir bad_features -> feature network

# Result files
GATHER -> lines_autoencoder
GATHER [run/metrics.json: {cut off | a list | NaN | a million brackets}] -> metrics.json
zoo report --results results --to other.html [results/lines_autoencoder.json: cut off] -> lines_autoencoder.json
TABLE [RESULT: {NO_JSON | NO_RESULT | runs=[1, 2] | definition="lines_acai"}] -> lines_autoencoder.json
TABLE [RESULT: runs.0.samples={-1 | null | "64" | 1.5 | true}] -> lines_autoencoder.json
TABLE [RESULT: runs.0.{metrics=[] | metrics=null | medians=3 | curves=3 | history=[3]}] -> lines_autoencoder.json
TABLE [RESULT: runs.0.{experiment=null | weights="mean" | train_seconds="x" | kept=3}] -> lines_autoencoder.json
TABLE [RESULT: runs.0.{experiment.model_name="acia" | experiment.training.batch="x"}] -> lines_autoencoder.json
TABLE [RESULT: runs.0.metrics.recon_mse={"small" | [1] | true | HUGE}] -> lines_autoencoder.json
TABLE [RESULT: runs.0.metrics.{mean_distance=-1 | probe_accuracy=7 | ssim=-5 | psnr=HUGE}] -> lines_autoencoder.json
TABLE [RESULT: runs.0.curves.alpha={"x" | ["x"]}] -> lines_autoencoder.json
"""

# As COMMANDS, with the names of `names_of_calls`. By default, the message names the last argument that has a name.
CALLS = r"""
# Images
model().fit({images[:, :4] | images[..., 0] | np.repeat(images, 3, 3) | images[0] | large}, verbose=0) -> shape
model().fit(batches(images[:, :4]), verbose=0) -> shape
model().fit({images * 255 | images + 2}, verbose=0) -> \[-1, 1\]
model().fit({np.where(images > 0, np.nan, images) | np.full_like(images, np.inf)}, verbose=0) -> NaN|finite|inf
model().fit({uint8 | images > 0}, verbose=0) -> uint8|bool|type|float
model().fit(images[:0], verbose=0) -> nothing
model().fit({dict(x=images) | (images, labels) | [images]}, verbose=0) -> x is a (dict|tuple|list)
model().fit({None | "images" | dates}, verbose=0) -> x is a (NoneType|str)|images are datetime64
model().fit(batches(dict(image=images)), verbose=0) -> a batch holds a dict
model({"vae" | "vqvae" | "arae_image" | "denoising"}).fit(images * 255, labels, verbose=0) -> \[-1, 1\]
model().evaluate(images * 255, labels, verbose=0) -> \[-1, 1\]
model().{train_on_batch | test_on_batch}(images * 255, labels) -> \[-1, 1\]
model().predict({images * 255 | images[:, :4] | uint8}, verbose=0) -> \[-1, 1\]|shape|uint8
model("vae").predict({dict(x=images) | [images] | None | images, 1.5}, verbose=0) -> expected
# Labels and other arguments of fit
model().fit(images, {labels + 3 | labels - 1 | labels + 0.5 | np.eye(3)[labels]}, verbose=0) -> label
model().fit(images, {np.eye(3, dtype=int)[labels][:, :2] | np.array(["a"] * 8)}, verbose=0) -> label
model().fit(images, labels[:4], verbose=0) -> cardinality|size|label
model().fit(images, {list(labels) | labels.astype("M8[s]")}, verbose=0) -> labels are (a list|datetime64)
model().fit(images, labels, validation_data=(images, labels + 3), verbose=0) -> label
model().fit(images, labels, validation_data=(images * 9, labels), verbose=0) -> \[-1, 1\]
model().fit(batches((images, labels + 0.5)), verbose=0) -> label
model().fit(batches((images, {labels + 3 | labels - 3})), shuffle=False, verbose=0) -> a label is
model().fit(images, labels, verbose=0, {sample_weight=np.ones(8) | batch_size=1.5 | batch_size=0})
model().fit(images, labels, verbose=0, class_weight={0: 2.0})
model(compiled=False).fit(images, labels, verbose=0) -> compile
model().compile({loss="mse" | metrics=["mae"] | optimizer="adam" | clipnorm=-1.0})
# Latents, interpolations and samples
model({"acai" | "vae" | "vqvae" | "arae_image"}).encode(images[:, :4]) -> shape
model({"acai" | "vae" | "vqvae" | "arae_image"}).decode(np.zeros([2, 3, 3, 2], np.float32)) -> shape
model().{encode(large) | encode(images[0]) | represent(images[:, :4]) | decode(images[0, :, :, 0])} -> shape
model()(images[:, :4]) -> shape
model().encode(uint8) -> uint8|type|float
model("vae").{encode | decode | represent}({dict(x=images) | None | "x" | images[:0] | [images] | dates}) -> expected
model("vae").{encode | decode | represent}(np.zeros([0, 2, 2, 2], np.float32)) -> expected
model().interpolate(images, images, {1.5 | -0.1 | float("nan") | np.linspace(0, 1, 3) | "half" | None}) -> alpha
model().interpolate(images, images, {np.full([8, 1], 0.5) | np.full([8], np.nan)}) -> alpha
model().interpolate(images, images[:4], 0.5) -> images
model().interpolate(images[:, :4], images[:, :4], 0.5) -> shape
model().interpolate(uint8, uint8, 0.5) -> uint8|type|float
model().interpolate(images, images, 0.5, path="curved")
model("vqvae").interpolate(images, images, 0.5, path="geodesic") -> geodesic
model().sample(3) -> no prior
model("vae").sample({-3 | 2.5 | 10**400 | "a" | None | 10**12}) -> count|memory
model("vae").sample(2, {1.5 | 2**70}) -> seed
# Configurations and data sets
{dropout.Config(keep=2) | denoising.Config(sigma=-1) | vqvae.Config(codes=0) | vqvae.Config(decay=2)}
{acai.Config(gamma=1.5) | acai.Config(partners=1.5) | acai.Config(lambda_="1") | amr.Config(mixing="foo")}
{aae.Config(units=-3) | vae.Config(beta=float("nan")) | config.Network(latent_width=0) | config.Training(batch=0)}
config.Training(samples=64, warmup=65)
resolve("lines", "acai", "fats") -> fast
aae.Model(acai.Config(), config.Network(), (32, 32, 1)) -> config of aae
aae.Model(aae.Config(), config.Network(depth=10**6), (32, 32, 1)) -> memory
aae.Model(aae.Config(), config.Network(), (32, 32)) -> shape of aae
lines.load(lines.Config({test_seed=-5 | size=1 << 20})) -> test_seed|memory|size
lines.render({[0.5], 0 | [float("nan")]}) -> size|angle
# Sentences
text_model().fit({np.zeros([4, 7], int) | np.full([4, 5], 99) | np.zeros([4, 5])}, verbose=0) -> shape|99|ids|float
text_model().fit(np.array([["a cat"]]), verbose=0) -> type|ids|string
text_model().{encode(["a cat"]) | decode(np.zeros([2, 7], np.float32))} -> ids|shape
vocabulary.Vocabulary({[] | ["a", "a"]}, 4) -> no words|twice|duplicate|repeated
"""


@dataclasses.dataclass(frozen=True)
class Case:
  """A bad input and the expected message."""

  command: str  # with WORDS
  message: str  # regular expression
  path: str = ''  # of what is damaged
  damage: str = ''  # its name
  change: object = None  # value of DAMAGES or SETS
  call: bool = False  # whether it is one of CALLS

  def __str__(self):
    return f'{self.command[:300]} [{self.path}: {self.damage}]' if self.path else self.command[:300]


def expanded(text) -> list[str]:
  """A text with `{a | b}` as one text with a and one with b, for all such groups."""
  group = re.search(r'\{([^{}]*\|[^{}]*)\}', text)
  if not group:
    return [text]
  return [each for choice in group[1].split('|')
          for each in expanded(text[:group.start()] + choice.strip() + text[group.end():])]


def with_words(text) -> str:
  """A text with WORDS replaced."""
  for word, meaning in WORDS.items():
    text = re.sub(rf'\b{word}\b', lambda _, meaning=meaning: meaning, text)
  return text


def cases(table, call=False) -> list[Case]:
  """The cases of COMMANDS or CALLS."""
  found = []
  for row in table.splitlines():
    text, _, message = row.partition(' -> ')
    for command in expanded(text) if text and not text.startswith('#') else ():
      command, path, damage = re.fullmatch(r'(.*?)(?: \[(\S+): (.+)\])?', command).groups()
      names = re.findall(r'(\w+)=(?!=)' if call else r'(?<=--set )\w+\.\w+|--\w+', command)
      expected = message or names[-1].split('.')[-1]
      if path:
        found += [Case(command, expected, with_words(path), *named) for named in changes_of(damage).items()]
      else:
        found.append(Case(command, expected, call=call))
  return found


def changes_of(damage) -> dict:
  """Dict: name -> value of DAMAGES, for a damage in the table."""
  if damage in SETS:
    return SETS[damage]
  if damage in DAMAGES:
    return {damage: DAMAGES[damage]}
  key, _, value = damage.partition('=')
  return {damage: bad_files.with_value(key, json.loads(with_words(value)))}


def make_good(folder, run) -> None:
  """Makes the good files; `run(command)` runs a command in `folder`."""
  bad_files.write_good(folder)
  run('TRAIN --run_dir run')
  run('TRAIN --run_dir other_run --seed 5')
  run('TRAIN_TEXT --dataset grammar --set dataset.count=400 --run_dir text_run')
  run('export --run run --to module')
  run('export --run text_run --to text_module')
  run('python: import pathlib; from acai_tf.evaluation import feature_network; from acai_tf.experiment.run import Run; '
      'from acai_tf.training import build; path = pathlib.Path(feature_network.path_of(build.load_data('
      'Run("run").experiment()), "lines", "bad_features")); path.parent.mkdir(parents=True); path.write_bytes(b"x")')


def names_of_calls() -> dict:
  """The names in CALLS: models, images of 8x8x1, their labels in 3 classes, and our modules."""
  import tensorflow as tf

  from acai_tf import vocabulary
  from acai_tf.data import lines
  from acai_tf.experiment import config, registry
  from acai_tf.experiment.resolve import resolve
  from acai_tf.models.sentences import text_autoencoder

  def model(name='acai', compiled=True):
    module = registry.load('acai_tf.models', name)
    made = module.Model(module.Config(), config.Network(latent_width=2, latent=2, depth=2), (8, 8, 1), 3)
    if compiled:
      made.compile()
    return made

  def text_model():  # of at most 4 words out of 9
    network = config.TextNetwork(embedding=4, hidden=4, latent=4)
    made = text_autoencoder.Model(text_autoencoder.Config(), network, (5, 13))
    made.words.set(vocabulary.Vocabulary(['the', 'a', 'cat', 'dog', 'sees', 'is', '.', 'big', 'old'], 4))
    made.compile()
    return made

  rng = np.random.default_rng(0)
  images = rng.uniform(-1, 1, [8, 8, 8, 1]).astype(np.float32)
  return {'np': np, 'images': images, 'large': np.zeros([8, 28, 28, 1], np.float32), 'dates': images.astype('M8[s]'),
          'uint8': np.uint8(images * 100 + 100), 'labels': rng.integers(3, size=8),
          'batches': tf.data.Dataset.from_tensors, 'model': model, 'text_model': text_model, 'config': config,
          'lines': lines, 'resolve': resolve, 'vocabulary': vocabulary,
          **{name: registry.load('acai_tf.models', name) for name in registry.names('acai_tf.models', 'images')}}


def execute(code, names) -> None:
  """Runs code as a program: a ValueError of one line is printed, and ends it with exit status 2."""
  try:
    exec(code, names)
  except ValueError as error:
    if len(str(error).splitlines()) > 1:
      raise
    print(f'error: {error}', file=sys.stderr)
    sys.exit(2)


def status_of(run, scratch) -> int:
  """Calls `run`, with output and errors redirected to files in `scratch`; returns the exit status."""
  for descriptor, name in (1, 'output'), (2, 'errors'):  # of the process, so that lines from C++ are caught, too
    opened = os.open(scratch / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(opened, descriptor)
    os.close(opened)
  status = 0
  try:
    run()
  except SystemExit as error:
    status = error.code or 0
  except BaseException:
    traceback.print_exc()
    status = 1
  sys.stdout.flush()
  return status


def run_here(code, names, scratch) -> tuple[int, float]:
  """Runs a call in this process: (exit status, seconds of CPU time)."""
  saved, began = [os.dup(1), os.dup(2)], time.process_time()
  status = status_of(lambda: execute(code, names), scratch)
  for descriptor, original in enumerate(saved, 1):
    os.dup2(original, descriptor)
    os.close(original)
  return status, time.process_time() - began


def run_in_child(command, folder, scratch, new=False) -> tuple[int, float]:
  """Runs a command in a fork of this process, or in a `new` Python process: (exit status, seconds of CPU time)."""
  child = os.fork()
  if not child:
    status = status_of(lambda: become(command, folder, new), scratch)
    atexit._run_exitfuncs()
    os._exit(status)  # To delete all modules takes ten times longer than a case.
  _, status, used = os.wait4(child, 0)
  return os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime


def become(command, folder, new) -> None:
  """Runs a command in this process as if a shell had started it, or executes a `new` Python process."""
  os.chdir(folder)
  sys.path[0] = str(folder)  # as for `python -m`; in benchmarks/, files have the names of programs
  os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
  signal.alarm(PATIENCE)
  memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
  resource.setrlimit(resource.RLIMIT_AS, (memory, memory))  # A missing check of sizes must not exhaust the machine.
  drop_capabilities()
  command = with_words(command)
  while setting := re.match(r'([A-Z_]+)=(\S*) ', command):
    os.environ[setting[1]] = setting[2]
    command = command[setting.end():]
  if command.startswith('python: '):
    execute(command.removeprefix('python: '), {})
    return
  program, *words = command.split()
  if new:
    os.execv(sys.executable, [sys.executable, '-m', PROGRAMS[program], *words])
  sys.argv = ['', *words]
  runpy.run_module(PROGRAMS[program], run_name='__main__', alter_sys=True)


def drop_capabilities() -> None:
  """Makes permissions of files apply to root, too, in this process and in a program that it executes."""
  if not os.getuid():
    libc, drop_from_bounding_set = ctypes.CDLL(None), 24
    for capability in 1, 2:  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
      libc.prctl(drop_from_bounding_set, capability, 0, 0, 0)
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    if libc.capset(header, none):
      sys.exit('capset failed')


def prepare(case, good, folder) -> None:
  """Copies the good files to `folder`, and damages them as the case says."""
  shutil.rmtree(folder, ignore_errors=True)
  shutil.copytree(good, folder)
  if case.path:
    for path in sorted(folder.glob(case.path)) or [folder / case.path]:
      case.change(path) if callable(case.change) else path.write_bytes(case.change)


def state(folder) -> dict[str, str]:
  """Dict: path -> what it is, and the SHA-256 of its content."""
  found = {}
  for path in sorted(folder.rglob('*')):
    name = os.fsencode(path.relative_to(folder)).decode(errors='replace')
    found[name] = (f'link {os.readlink(path)}' if path.is_symlink() else 'folder' if path.is_dir() else
                   hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else 'other')
  return found


def judged(case, good, scratch, names=None, new=False) -> tuple[str, list[str], tuple]:
  """Runs a case: (the message, what is wrong with the result, exit status and message without numbers)."""
  if case.call:
    before = after = {}
    status, seconds = run_here(case.command, names, scratch)
  else:
    folder = scratch / 'case'
    prepare(case, good, folder)
    before = state(folder)
    status, seconds = run_in_child(case.command, folder, scratch, new)
    after = state(folder)
  output, errors = ((scratch / name).read_text(errors='replace') for name in ('output', 'errors'))
  lines = [line for line in errors.splitlines() if line.strip() and not PROGRESS.search(line)]
  message = lines[-1] if lines else (output.splitlines() or [''])[-1]
  lost = [path for path, value in before.items() if after.get(path) != value]
  left = [path for path in after if '.part' in path]
  wrong = [text for text, bad in (
      (f'exit status {status}', status not in (1, 2)),
      (f'{len(lines)} lines', len(lines) != 1 or not message.startswith('error: ')),
      ('a traceback', 'Traceback' in errors + output), (f'{seconds:.1f} s', seconds > SECONDS),
      (f'not about {case.message}', not re.search(case.message, message)), ('long', len(message) > 700),
      (f'changed {", ".join(lost)[:100]}', lost), (f'left {", ".join(left)[:100]}', left)) if bad]
  return message, wrong, (status, [re.sub(r'\d[\d.,]*', '#', line) for line in lines])


def run_all(chosen, scratch) -> tuple[int, int]:
  """Runs cases and prints the results: (number of those that are not ok, number of those run in a new process, too)."""
  good, names, bad, new = scratch / 'good', {}, 0, 0

  def make(command):
    status, _ = run_in_child(command, good, scratch)
    if status:
      raise SystemExit(f'{command} ended with {status}: {(scratch / "errors").read_text()[-2000:]}')

  if not all(case.call for case in chosen):
    good.mkdir()
    make_good(good, make)
  for number, case in enumerate(chosen):
    if case.call:
      names = names or names_of_calls()
    message, wrong, ending = judged(case, good, scratch, names)
    if number % REAL == 0 and not case.call and 'python: ' not in with_words(case.command):
      new += 1
      _, other, also = judged(case, good, scratch, new=True)
      if not wrong and (other or also != ending):
        wrong = ['a new process: ' + ('; '.join(other) or str(also))]
    bad += bool(wrong)
    print(f'{number:3} {"NOT OK: " + "; ".join(wrong) if wrong else "ok"}\n    {case}\n      {message[:1000]}',
          flush=True)
  return bad, new


def main() -> None:
  """Runs the cases."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--only', default='', help='only cases that contain this text')
  parser.add_argument('--part', default='1/1', help='K/N: every N-th case, from the K-th on')
  arguments = parser.parse_args()
  first, step = map(int, arguments.part.split('/'))
  every = [*cases(COMMANDS), *cases(CALLS, call=True)]
  chosen = [case for case in every if arguments.only in str(case)][first - 1::step]
  began = time.monotonic()
  from acai_tf import cli

  cli.set_environment()
  with cli.silent():
    for name in HEAVY:
      importlib.import_module(name)
  gc.freeze()  # Forks then do not copy memory that they only read.
  scratch = pathlib.Path(tempfile.mkdtemp())  # A TemporaryDirectory would be deleted at the end of each fork, too.
  try:
    bad, new = run_all(chosen, scratch)
  finally:
    shutil.rmtree(scratch)
  print(f'{len(chosen)} cases, {new} of them also in a new process; {len(chosen) - bad} ok, {bad} not; '
        f'{time.monotonic() - began:.0f} s')
  sys.exit(bool(bad))


if __name__ == '__main__':
  main()
