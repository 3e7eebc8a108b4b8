"""Dependencies of acai_tf, zoo and export, with the reason for each. Everything else is in pyproject.toml."""

import setuptools

# The comments say what each package is for. Each range starts at the version in requirements.txt, which is tested.
REQUIREMENTS = [
    'tensorflow>=2.21,<2.22',  # models, distribution, SavedModel; other versions are untested (docs/layout.md)
    'keras>=3.15,<3.16',  # layers, optimizers, mixed precision
    'tensorflow-datasets>=4.9.10,<4.10',  # official data sets with checksums
    'importlib_resources>=7.1',  # imported by tensorflow-datasets 4.9, which requires it only for older Pythons
    'tensorflow-hub>=0.16.1,<0.17',  # hub.load, which checks exported modules
    'setuptools>=80.8,<80.9',  # tensorflow-hub 0.16 imports pkg_resources: 80.9 warns about it, 82 removed it
    'absl-py>=2.5,<3',  # flags
    'numpy>=2.4,<3',  # arrays; metrics; the lines renderer
    'pillow>=13.0,<14',  # reads PNG, JPEG and WebP; bicubic resizing
    'scikit-learn>=1.9,<2',  # k-means, logistic regression, NMI, ARI, t-SNE
    'sacrebleu>=2.6,<3',  # BLEU of sentences: self-BLEU, reconstruction, style transfer
    'scipy>=1.17,<2',  # Hungarian matching, Student's t, log-sum-exp
    'threadpoolctl>=3.8,<4',  # one thread per restart of k-means; scikit-learn requires it
    'rich>=15.0,<16',  # progress bar and tables
    'matplotlib>=3.11,<4',  # pictures
    'tensorboard>=2.21,<2.22',  # used by tf.summary; TensorFlow 2.21 no longer requires it
]

setuptools.setup(
    install_requires=REQUIREMENTS,
    extras_require={
        'test': [
            'ruff>=0.17,<1',  # lint
            'mypy>=2.4,<3',  # types
            'pytest>=9.2,<10',  # test runner
            'pytest-xdist>=3.8,<4',  # runs tests on all cores
            'packaging>=26.3,<27',  # compares these ranges with requirements.txt
            'scikit-image>=0.26,<1',  # reference for our SSIM
            'nbclient>=0.11,<0.12',  # runs the notebooks of examples/ ...
            'ipykernel>=7.4,<8',  # ... in a kernel, as readers do
            'nbformat>=5.11.1,<6',  # reads and writes them
            'tf_keras>=2.21,<2.22',  # for modules in hub.KerasLayer; tensorflow-hub requires it
        ],
        'export': [
            'ai-edge-litert>=2.3,<3',  # runs LiteRT files; TensorFlow's converter writes them
            'tf2onnx>=1.17,<2',  # writes ONNX; requires onnx
            'onnxruntime>=1.32,<2',  # runs ONNX
        ],
        'page': [  # tests the gallery's page, together with `export` and Chromium
            'playwright>=1.65.2,<2',  # drives the browser
        ],
        'docs': [
            'mkdocs>=1.6,<2',  # renders docs/ as HTML that opens from disk; fails on broken links
            'mkdocs-material>=9.8,<10',  # theme and search, without requests to other sites
            'mkdocstrings-python>=2.0,<3',  # API reference from docstrings, without importing TensorFlow
        ],
        'publish': [  # acai zoo publish --yes
            'huggingface_hub>=2.4,<3',  # uploads to Hugging Face
            'kagglehub>=1.0.3,<2',  # uploads to Kaggle
        ],
    },
)
